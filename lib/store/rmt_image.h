// rmt_image - what the descriptor of an image says that it needs. Private to lib/store.
// rmt_store.h puts, gets, lists and removes the images of a store.
#pragma once

#include "base/rmt_record.h"
#include "store/rmt_store.h"

#define RMT_IMAGE_SIZE_MAX ((size_t) 16 * 1024 * 1024)

// Called for each id; path is of the entry that needs it, or NULL. 0, or -1 to stop.
typedef int(rmt_visit_fn)(void *context, const rmt_id_t *id, const char *path,
                          rmt_error_t *error);
// Visit all that one record of a descriptor needs. 0, or -1: what visit or reading says.
int rmt_image_visit(rmt_store_t *self, const rmt_record_t *record, rmt_visit_fn *visit,
                    void *context, rmt_error_t *error);
// The records of an image. Caller owns. NULL: NOT_FOUND, CORRUPT, IO.
rmt_records_t *rmt_image_load(rmt_store_t *self, const rmt_id_t *id, rmt_error_t *error);
