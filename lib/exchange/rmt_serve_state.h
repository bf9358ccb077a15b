// rmt_serve_state - the state of the thread of rmt_serve. Private to lib/exchange.
#pragma once

#include <czmq.h>
#include "exchange/rmt_grants.h"
#include "wire/rmt_msg.h"
#include "exchange/rmt_roots.h"
#include "exchange/rmt_serve.h"
#include "net/rmt_connections.h"
#include "net/rmt_inflow.h"
#include "net/rmt_socket.h"
#include "store/rmt_space.h"
#include "store/rmt_store.h"
#include "exchange/rmt_stream.h"

// A FETCH that is being answered.
typedef struct {
    rmt_id_t root;
    zchunk_t *ids;
    size_t next, count;
    bool is_checked;   // Ids outside the image were taken out
    bool is_refreshed; // The store was looked at again for this FETCH
    bool is_doubted;   // Bytes of these ids came that do not match them
    uint64_t done;     // How far the caller had come, when a relay is asked
} rmt_wish_t;

// A peer with a connection.
typedef struct {
    zframe_t *route;
    char user[RMT_USER_SIZE];
    int64_t heard_ms;
    bool is_gone; // To be removed

    zlistx_t *wishes; // rmt_wish_t, in the order in which they came
    size_t wished;    // Ids in them
    uint64_t window;  // The caller's own limit
    uint64_t unacked; // Cost of chunks sent and not acknowledged
    rmt_msg_t *held;  // Made, and not sent: no credit, or a full queue

    rmt_stream_t *stream; // NULL: offers nothing
    bool is_unsealed;     // Chunks came since the last seal
    uint8_t task[RMT_UID_SIZE];
    uint32_t attempt;
    uint64_t stream_window;
    uint64_t under_way; // Cost of chunks received and not acknowledged
    size_t offers;      // OFFERs not answered
} rmt_caller_t;

typedef struct {
    zsock_t *pipe, *socket;
    rmt_connections_t *connections;
    rmt_inflow_t *inflow;
    zpoller_t *poller;
    rmt_grants_t *grants;
    rmt_roots_t *roots;
    rmt_store_t *store; // NULL, as roots: a relay
    rmt_ring_t *ring;
    char child[RMT_USER_SIZE]; // The key with the slot of the relay, and when it was used
    int64_t child_ms;
    uint64_t child_done; // How far it had come
    bool is_waiting;     // A caller waits for what is on its way into the ring
    char *root;          // Folder of the store
    char *place;
    uint64_t space_needed; // Before another stream begins; 0: as much as each needs
    bool receives;
    uint64_t window; // Of one caller, at most
    rmt_serve_event_fn *event;
    void *context;
    unsigned events_left;       // Until the next second, so that no peer floods the log
    zhashx_t *callers;          // Route in hexadecimal -> rmt_caller_t
    uint64_t unacked, reserved; // Of all callers: sent; windows of streams
    rmt_serve_stats_t stats;
} rmt_serve_state_t;

void rmt_serve_tell(rmt_serve_state_t *self, const char *event, const char *key,
                    const char *text);

// Send at once; a caller that cannot be reached is marked as gone.
// 0, or -1: NOT_FOUND, UNAVAILABLE (queue full).
int rmt_serve_send(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *msg,
                   rmt_error_t *error);

// What one caller may have under way now.
uint64_t rmt_serve_share(const rmt_serve_state_t *self);

// ---- Giving (rmt_serve_fetch.c)

typedef enum { RMT_PUMP_IDLE, RMT_PUMP_FULL, RMT_PUMP_MORE } rmt_pump_t;

// Takes the ids of msg.
void rmt_serve_fetch(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_msg_t *msg);
void rmt_serve_ack(rmt_serve_state_t *self, rmt_caller_t *caller, uint64_t window);
// Send some chunks to all callers that wait. MORE: call again at once; FULL: soon.
rmt_pump_t rmt_serve_pump(rmt_serve_state_t *self);
// What is left of a wish is answered ABSENT.
void rmt_serve_refuse_rest(rmt_serve_state_t *self, rmt_caller_t *caller,
                           rmt_wish_t *wish, rmt_error_t *why);
void rmt_wish_destroy(rmt_wish_t **self_p);

// ---- Giving from a ring (rmt_serve_ring.c)

// Has the caller the slot of the relay, or was it free? Answers when not.
bool rmt_serve_ring_admits(rmt_serve_state_t *self, rmt_caller_t *caller,
                           const rmt_msg_t *fetch);
// Hold the next answer to a wish. False: it waits for what is on its way.
bool rmt_serve_ring_hold(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_wish_t *wish);

// ---- Taking (rmt_serve_stream.c)

// OPEN, OFFER, CHUNKS and SEAL. Takes *msg_p.
void rmt_serve_offered(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_msg_t **msg_p);
// Pass on what the caller's stream says.
void rmt_serve_drain(rmt_serve_state_t *self, rmt_caller_t *caller);
// End a stream, if there is one; what has come is kept. why is told when it was not
// sealed.
void rmt_serve_end_stream(rmt_serve_state_t *self, rmt_caller_t *caller, const char *why);
