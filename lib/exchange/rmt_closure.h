// rmt_closure - everything that an image needs, by id.
//
// The descriptor's own id; for each record with a field "root" that manifest's root
// chunk, its chunks, and the chunks of the contents it lists; and the single chunks that
// records name in their fields "chunks" and "facts" (docs/spec/2-store.md).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "store/rmt_manifest.h"
#include "base/rmt_record.h"

// ---- Walking

typedef struct {
    rmt_chunk_source_fn *source; // Gives descriptor and manifest chunks
    void *context;               // Of source
    // Told once after each manifest was opened; may be NULL. For reading ahead.
    void (*expect)(void *visitor, const rmt_id_t *ids, size_t count);
    // Each id in order of first need, repeats too; plain_size is 0 where it is not
    // known. -1 ends the walk.
    int (*visit)(void *visitor, const rmt_id_t *id, uint32_t plain_size,
                 rmt_error_t *error);
    void *visitor;
} rmt_closure_walk_t;

// Walk an image. 0, or -1: the source's, the visitor's, CORRUPT, UNSUPPORTED.
int rmt_closure_walk(const rmt_closure_walk_t *walk, const rmt_id_t *image,
                     rmt_error_t *error);

// A rmt_chunk_source_fn with a rmt_store_t as its context, which also finds a descriptor
// that the store holds as an image and not as a chunk.
int rmt_closure_from_store(void *store, const rmt_id_t *id, void *plain_out,
                           size_t *size_out, rmt_error_t *error);

// ---- The set

typedef struct rmt_closure rmt_closure_t;

// Read an image's manifests and keep the sorted set of all ids (33 bytes each).
// Caller owns the result. NULL: as rmt_closure_walk; TOO_BIG over 64 million ids.
rmt_closure_t *rmt_closure_new(rmt_chunk_source_fn *source, void *context,
                               const rmt_id_t *image, rmt_error_t *error);
void rmt_closure_destroy(rmt_closure_t **self_p);
bool rmt_closure_has(const rmt_closure_t *self, const rmt_id_t *id);
size_t rmt_closure_count(const rmt_closure_t *self);
// For tests.
const rmt_id_t *rmt_closure_at(const rmt_closure_t *self, size_t index);
