// rmt_pool - a bounded number of open packs for reading. Private to lib/store.
#pragma once

#include "store/rmt_file_name.h"
#include "store/rmt_slot.h"

typedef struct rmt_pool rmt_pool_t;

rmt_pool_t *rmt_pool_new(void);
void rmt_pool_destroy(rmt_pool_t **self_p);
// The descriptor of the pack, opened in folder, or else in second (may be NULL); it
// belongs to the pool, and stays open until the next call at least. -1: NOT_FOUND, IO.
int rmt_pool_get(rmt_pool_t *self, const rmt_file_name_t *name, const char *folder,
                 const char *second, rmt_error_t *error);
