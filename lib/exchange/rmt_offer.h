// rmt_offer - give chunks to the store of a place, sending only what it lacks.
//
// It offers ids in batches; the receiver answers which it wants, and only those travel,
// within the window that the receiver granted. Chunk bytes are kept in a bounded buffer
// until then. A stream is one attempt of one task: when it breaks, the receiver keeps
// what has come, so a new stream that offers the same sends only what is lacking. An
// instance belongs to one thread.
#pragma once

#include "store/rmt_chunk.h"
#include "exchange/rmt_link.h"

// Bytes that wait here for the receiver's word or window.
#define RMT_OFFER_BUFFER_SIZE ((size_t) 24 * 1024 * 1024)

typedef struct rmt_offer rmt_offer_t;

typedef struct {
    uint64_t chunks_offered, bytes_offered; // Stored bytes; repeats count
    uint64_t chunks_sent, bytes_sent;
} rmt_offer_stats_t;

typedef struct {
    const rmt_records_t *holders; // Items of the answer to the verb `holders`
    const char *host;             // Of the broker, for "@" (rmt_task_host)
    const rmt_key_t *own;
    const uint8_t *task; // [RMT_UID_SIZE]
    const uint8_t *job;  // [RMT_UID_SIZE]
    uint32_t attempt;
    rmt_link_alive_fn *alive; // May be NULL: see rmt_link
    void *context;            // Of alive
} rmt_offer_config_t;

// Open a stream to the first holder that takes it. Borrows nothing but alive's
// context. Blocks until it is open, up to about 10 s for each address.
// Caller owns the result. NULL: UNAVAILABLE, NOT_ALLOWED, NO_SPACE (of the receiver's
// store: try again when it has some), FENCED (a higher attempt of the task has a stream),
// CANCELLED, USAGE.
rmt_offer_t *rmt_offer_new(const rmt_offer_config_t *config, rmt_error_t *error);

// Leave. The receiver keeps what has come to it, but has promised to only what was
// sealed.
void rmt_offer_destroy(rmt_offer_t **self_p);

// True when the stream is over for a fault of the connection, because the receiver does
// not know it (it was started anew, or its grant has ended), or because its store was
// full: another stream may do better.
bool rmt_offer_is_cut(const rmt_offer_t *self);

// Offer a chunk; its stored bytes are copied. Chunks that this stream offered lately
// are skipped. Blocks while the buffer is full.
// Returns 0, or -1 (the stream is over): UNAVAILABLE, CANCELLED, or the receiver's.
int rmt_offer_chunk(rmt_offer_t *self, const rmt_chunk_t *chunk, rmt_error_t *error);

// Offer a chunk that is not at hand, by its id. When the receiver lacks it, nothing is
// sent and the id is one of rmt_offer_missing. Blocks and returns as rmt_offer_chunk.
int rmt_offer_id(rmt_offer_t *self, const rmt_id_t *id, rmt_error_t *error);

// Wait until all that was offered is answered and sent. 0, or -1 as rmt_offer_chunk.
int rmt_offer_drain(rmt_offer_t *self, rmt_error_t *error);

// What was offered by id and is lacked, as far as answers have come; valid until the next
// call. At most RMT_OFFER_MISSING_MAX are kept, *count_out counts on.
#define RMT_OFFER_MISSING_MAX 4096u
const rmt_id_t *rmt_offer_missing(const rmt_offer_t *self, size_t *count_out);
// Forget them, and what was offered lately, so that all of it can be offered anew.
void rmt_offer_forget(rmt_offer_t *self);

// Ask whether the receiver holds a manifest whole: its own chunks and all that its
// entries name. What it names need not be offered then. Blocks. 0, or -1 as
// rmt_offer_chunk.
int rmt_offer_holds(rmt_offer_t *self, const rmt_id_t *root, bool *holds_out,
                    rmt_error_t *error);

// Send all that is still here and have everything made durable. Blocks for that.
// Returns 0, or -1 as rmt_offer_chunk; NO_SPACE and IO of the receiver's disk.
int rmt_offer_seal(rmt_offer_t *self, rmt_error_t *error);

void rmt_offer_stats(const rmt_offer_t *self, rmt_offer_stats_t *stats_out);
