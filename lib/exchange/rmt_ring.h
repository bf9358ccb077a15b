// rmt_ring - the chunks of one image that passed last, kept for the peers behind.
//
// It has the stored form of chunks, by id, within a bound of bytes; the oldest goes
// first. It also knows which chunks are on their way, so that a peer can wait for them.
// Any thread may call it.
#pragma once

#include "store/rmt_chunk.h"
#include "wire/rmt_msg.h"

typedef struct rmt_ring rmt_ring_t;

typedef enum { RMT_RING_ABSENT, RMT_RING_COMING, RMT_RING_HERE } rmt_ring_state_t;

// Caller owns the result.
rmt_ring_t *rmt_ring_new(const rmt_id_t *image, size_t bytes_max);
void rmt_ring_destroy(rmt_ring_t **self_p);

const rmt_id_t *rmt_ring_image(const rmt_ring_t *self);

// These will be put. Copies ids.
void rmt_ring_expect(rmt_ring_t *self, const rmt_id_t *ids, size_t count);
// A checked chunk. Copies it.
void rmt_ring_put(rmt_ring_t *self, const rmt_chunk_t *chunk);
// Nothing more is on its way.
void rmt_ring_stop(rmt_ring_t *self);

// When it is here, fills codec, size and payload of a CHUNK.
rmt_ring_state_t rmt_ring_get(rmt_ring_t *self, const rmt_id_t *id, rmt_msg_t *msg);

// Plain bytes that were put so far: how far the owner has come in the image.
uint64_t rmt_ring_position(rmt_ring_t *self);
// Bytes that it takes now. For tests.
size_t rmt_ring_size(rmt_ring_t *self);
