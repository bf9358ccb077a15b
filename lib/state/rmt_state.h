// rmt_state - calls of the function library in Redis (ramet.lua), and their answers.
//
// Redis is spoken to by a thread of its own: a slow or dead Redis never stops the
// caller's loop. The library is loaded at every new connection, which is tried again
// with growing pauses. Calls are sent in order and pipelined, as many as Redis can do; a
// call that waits for its turn for the whole time-out is not made. Every call is answered
// exactly once: by the function; with UNAVAILABLE when Redis is gone or silent for the
// time-out, and with `doubtful` in the body when it may have had its effect; or with
// CANCELLED in destroy.
// What was asked before the caller has heard that the connection went is not asked of the
// Redis that comes next, which may have lost what it rests on.
// An instance belongs to one thread, in which all callbacks are made.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"
#include "wire/rmt_msg.h"

typedef struct rmt_state rmt_state_t;

// reply is of kind RMT_MSG_REPLY and belongs to the library; the function may change it.
typedef void(rmt_state_fn)(void *context, rmt_msg_t *reply);
// What is told without being asked; each function may be NULL.
typedef struct {
    // The connection to the Redis at this address came or went. Before the first call
    // nothing is connected.
    void (*on_link)(void *context, bool is_up, const char *address);
    // A task waits for this service since now, whichever broker put it there. It is told
    // once and to all; what is told while there is no connection is lost.
    void (*on_ready)(void *context, const char *service);
    // There is no connection, with the reason and what to do: once for each reason.
    void (*on_away)(void *context, const char *text);
    void *context;
} rmt_state_listener_t;

#define RMT_SENTINELS_MAX 15

// Where Redis is, and how the caller shows itself there. With sentinels it is the primary
// that more than half of them name, which is followed to where it goes; and no answer is
// given before `replicas` of its replicas have what it says, so that it is not lost with
// the primary. An answer that they do not confirm in time is a doubtful one.
typedef struct {
    const char *address;  // Path of a unix socket, or host:port; unused with sentinels
    const char *user;     // NULL or "": the default user
    const char *password; // NULL or "": none is asked for
    uint32_t database;
    const char *const *sentinels; // host:port of each, ended by NULL; or NULL
    const char *primary;          // Its name at the sentinels
    const char *sentinel_user, *sentinel_password; // As above
    uint32_t replicas;
    uint32_t timeout_ms;
} rmt_state_server_t;

static inline bool
rmt_state_server_is_guided(const rmt_state_server_t *self) // By sentinels
{
    return self->sentinels && self->sentinels[0];
}

// server is copied, its texts are borrowed. listener is copied and may be NULL. Caller
// owns the result. NULL: USAGE.
rmt_state_t *rmt_state_new(const rmt_state_server_t *server,
                           const rmt_state_listener_t *listener, rmt_error_t *error);
void rmt_state_destroy(rmt_state_t **self_p);

// To be polled; when it is readable, rmt_state_handle makes the callbacks that are due.
zsock_t *rmt_state_socket(rmt_state_t *self);
void rmt_state_handle(rmt_state_t *self);

// In place of a function: the settings of Redis that doctor judges, as fields of the
// body.
#define RMT_STATE_SETTINGS "settings"

typedef struct {
    const char *function;
    const rmt_record_t *meta;   // What is known of the caller; may be NULL
    const rmt_record_t *body;   // May be NULL
    const rmt_records_t *items; // May be NULL
} rmt_call_t;

// Borrows call. fn may be NULL for "not wanted". Never blocks, never fails.
void rmt_state_call(rmt_state_t *self, const rmt_call_t *call, rmt_state_fn *fn,
                    void *context);

// The farm's clock, as an answer said it. From then on it is counted by the monotonic
// clock of this process and said with every call; it never goes back.
void rmt_state_hear_clock(rmt_state_t *self, uint64_t clock_ms);
