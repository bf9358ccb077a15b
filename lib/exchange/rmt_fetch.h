// rmt_fetch - get chunks of one granted image from its holders.
//
// It checks every chunk against its id before the caller sees it. A holder is told of one
// that does not match, and looks for another copy. When a holder is silent, lacks a chunk
// or has it damaged, it asks the next one. An instance belongs to one thread.
#pragma once

#include "store/rmt_chunk.h"
#include "exchange/rmt_link.h"
#include "exchange/rmt_ring.h"
#include "store/rmt_manifest.h"

typedef struct rmt_fetch rmt_fetch_t;

typedef struct {
    uint64_t chunks, bytes; // Received and right; stored bytes
    uint64_t refused;       // Received and not what their id says
    uint64_t moves;         // Times another holder was tried, or the same anew
} rmt_fetch_stats_t;

// holders: items of the answer to the verb `holders`; host: of the broker, for "@"
// (rmt_task_host); root: the image id. Borrows own until destroyed, connects at the first
// use. Caller owns the result. NULL: UNAVAILABLE (no holder), USAGE.
rmt_fetch_t *rmt_fetch_new(const rmt_records_t *holders, const char *host,
                           const rmt_key_t *own, const rmt_id_t *root,
                           rmt_error_t *error);
void rmt_fetch_destroy(rmt_fetch_t **self_p);

// See rmt_link: for signs of life and cancelling while a call waits.
void rmt_fetch_set_alive(rmt_fetch_t *self, rmt_link_alive_fn *alive, void *context);

// Get many chunks, any number, in the order in which they arrive; ids that are named
// twice come once. The sink borrows a checked chunk (stored form) for its call; -1 from
// it ends the call.
// Blocks. Returns 0 when all were given, or -1: the sink's, UNAVAILABLE (no holder
// answers), NOT_FOUND, CORRUPT, NOT_ALLOWED (what the last holder said), CANCELLED.
int rmt_fetch_get(rmt_fetch_t *self, const rmt_id_t *ids, size_t count,
                  rmt_chunk_sink_fn *sink, void *context, rmt_error_t *error);
// As rmt_fetch_get, with the plain bytes, which are made by the check anyway: they have
// chunk->plain_size bytes and are borrowed like the chunk.
typedef int(rmt_fetch_plain_fn)(void *context, const rmt_chunk_t *chunk,
                                const void *plain, rmt_error_t *error);
int rmt_fetch_get_plain(rmt_fetch_t *self, const rmt_id_t *ids, size_t count,
                        rmt_fetch_plain_fn *sink, void *context, rmt_error_t *error);

// A rmt_chunk_source_fn with a rmt_fetch_t as its context, for rmt_manifest_reader_new.
int rmt_fetch_read(void *fetch, const rmt_id_t *id, void *plain_out, size_t *size_out,
                   rmt_error_t *error);

// Say what rmt_fetch_read will be asked for, in order (rmt_manifest_reader_chunks): what
// comes next is on its way while the caller works. Copies ids; replaces what was said
// before.
void rmt_fetch_expect(rmt_fetch_t *self, const rmt_id_t *ids, size_t count);
// Say what comes after that.
void rmt_fetch_expect_more(rmt_fetch_t *self, const rmt_id_t *ids, size_t count);

// Have other holders, as rmt_fetch_new; what is expected stays. 0, or -1: UNAVAILABLE,
// USAGE, and the holders stay as they were.
int rmt_fetch_renew(rmt_fetch_t *self, const rmt_records_t *holders, const char *host,
                    rmt_error_t *error);

// ---- Relays

// What is read goes into this ring too. Borrows it.
void rmt_fetch_set_ring(rmt_fetch_t *self, rmt_ring_t *ring);

// The holder is a relay, which is told how far the ring's owner has come. It is asked
// once, and an answer is waited for so long: whatever does not go as it should ends the
// call, and the engine always has the chunk.
void rmt_fetch_be_brief(rmt_fetch_t *self, uint32_t wait_ms);

// Connect if need be, and ask for what is expected; when that is nothing, whether it
// would give (rmt_fetch_hears). Never waits. 0, or -1: IO, UNAVAILABLE.
int rmt_fetch_start(rmt_fetch_t *self, rmt_error_t *error);
// Has it said that it would? 1, 0: nothing yet, or -1: as rmt_fetch_read_brief. Never
// waits.
int rmt_fetch_hears(rmt_fetch_t *self, rmt_error_t *error);
// As rmt_fetch_read, of what is expected next. -1: NOT_FOUND (it has it not), BUSY (it
// gives to another peer), NOT_ALLOWED, CORRUPT (wrong bytes), UNAVAILABLE, PROTOCOL,
// CANCELLED.
int rmt_fetch_read_brief(rmt_fetch_t *self, const rmt_id_t *id, void *plain_out,
                         size_t *size_out, rmt_error_t *error);
// How far the relay had come when it last said so.
uint64_t rmt_fetch_position(const rmt_fetch_t *self);

// For tests.
void rmt_fetch_stats(const rmt_fetch_t *self, rmt_fetch_stats_t *stats_out);
