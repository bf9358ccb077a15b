// rmt_chunk_cache - plain chunks by id, as many as fit into a bound. What was not asked
// for longest leaves first. One thread.
#pragma once

#include <stddef.h>
#include "crypto/rmt_id.h"

typedef struct rmt_chunk_cache rmt_chunk_cache_t;

// Chunks that take at most size bytes of memory together. Caller owns the result.
rmt_chunk_cache_t *rmt_chunk_cache_new(size_t size);
void rmt_chunk_cache_destroy(rmt_chunk_cache_t **self_p);

// Keep a copy of a chunk that was checked against its id, unless it is kept already or
// is larger than the bound.
void rmt_chunk_cache_put(rmt_chunk_cache_t *self, const rmt_id_t *id, const void *plain,
                         size_t size);
// The bytes of a chunk, valid until the next put, or NULL.
const void *rmt_chunk_cache_get(rmt_chunk_cache_t *self, const rmt_id_t *id,
                                size_t *size_out);
// Is it kept? Asking so does not keep it longer.
bool rmt_chunk_cache_has(const rmt_chunk_cache_t *self, const rmt_id_t *id);

// What all chunks that are kept take. For tests.
size_t rmt_chunk_cache_size(const rmt_chunk_cache_t *self);
