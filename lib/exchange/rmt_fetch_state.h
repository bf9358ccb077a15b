// rmt_fetch_state - the parts of rmt_fetch. Private to lib/exchange.
#pragma once

#include "exchange/rmt_fetch.h"
#include "exchange/rmt_serve.h"

#define RMT_FETCH_ASK_COUNT 256  // Ids in one FETCH
#define RMT_FETCH_ASKED_MAX 1024 // Ids under way
#define RMT_FETCH_ACK_LOT ((uint64_t) 256 * 1024)
#define RMT_FETCH_CONNECT_MS 8000   // For the first word of a holder
#define RMT_FETCH_SILENCE_MS 10000  // Between words
#define RMT_FETCH_USELESS_MS 300000 // Between words that answer a question

// What rmt_fetch_read will be asked for. Those before `at` were read; those before `next`
// have come, and those before `asked` are under way by the connection in use. A holder
// answers in the order in which it is asked, so the next that comes is that at `next`.
typedef struct {
    rmt_id_t *ids;
    size_t count, room;
    size_t at, next, asked;
    bool has_last; // plain has the bytes of `last`, which are wanted again
    rmt_id_t last;
    size_t last_size;
} rmt_fetch_ahead_t;

struct rmt_fetch {
    rmt_link_t *link;
    const rmt_key_t *own;
    rmt_id_t root;
    rmt_fetch_stats_t stats;
    rmt_link_alive_fn *alive;
    void *alive_context;
    bool is_connected, has_heard;
    int64_t useful_ms; // When an answer came last, or waiting began
    uint64_t taken;    // Cost of chunks that were not acknowledged yet
    void *plain;       // RMT_CHUNK_PLAIN_MAX bytes
    rmt_fetch_ahead_t ahead;
    rmt_ring_t *ring;  // NULL: what is read is not kept
    uint32_t brief_ms; // Of a relay; 0: of a holder of all
    uint64_t position; // Of the relay
};

// A FETCH of this image without ids. Caller owns the result.
rmt_msg_t *rmt_fetch_question(const rmt_fetch_t *self);
// How long to wait for a message, of `usual` ms with a holder of all.
uint32_t rmt_fetch_limit(const rmt_fetch_t *self, uint32_t usual);
// Connect to the next holder. 0, or -1: IO.
int rmt_fetch_connect(rmt_fetch_t *self, rmt_error_t *error);
// Before each message: may more be waited for from this holder? 0, or -1: CANCELLED,
// UNAVAILABLE (it talks, and answers nothing).
int rmt_fetch_go_on(rmt_fetch_t *self, rmt_error_t *error);
// Acknowledge what was taken. 0, or -1: UNAVAILABLE, CANCELLED, NOT_ALLOWED.
int rmt_fetch_ack(rmt_fetch_t *self, rmt_error_t *error);
// The chunk of a CHUNK, which is valid as long as it, and its checked plain bytes.
// 0, or -1: CORRUPT.
int rmt_fetch_open(const rmt_msg_t *msg, rmt_chunk_t *chunk_out, void *plain_out,
                   rmt_error_t *error);
// Before other ids are asked for: ends the connection by which answers are under way.
void rmt_fetch_leave_ahead(rmt_fetch_t *self);
