// rmt_batch - what one store instance put since its last commit: packs and indexes in
// a temporary folder of its own, which is locked while the owner lives. Private to
// lib/store.
#pragma once

#include "store/rmt_pack.h"

typedef struct rmt_batch rmt_batch_t;

// A batch in <root>/tmp. Caller owns the result. NULL: IO, NO_SPACE.
rmt_batch_t *rmt_batch_new(const char *root, rmt_error_t *error);
// Removes what was not published.
void rmt_batch_destroy(rmt_batch_t **self_p);
const char *rmt_batch_folder(const rmt_batch_t *self);
// Where a chunk of this batch lies. False: it is not here.
bool rmt_batch_find(rmt_batch_t *self, const rmt_id_t *id, rmt_slot_t *slot_out,
                    rmt_file_name_t *pack_out);
// Make what was put readable through the files. 0, or -1: IO, NO_SPACE.
int rmt_batch_flush(rmt_batch_t *self, rmt_error_t *error);
// Add a chunk that is not here yet. 0, or -1: IO, NO_SPACE. A failed batch stays so.
int rmt_batch_put(rmt_batch_t *self, const rmt_chunk_t *chunk, rmt_error_t *error);
// Make all durable, then visible: packs first, then indexes. Nothing may be put after it.
// 0, or -1: IO, NO_SPACE.
int rmt_batch_publish(rmt_batch_t *self, rmt_error_t *error);
