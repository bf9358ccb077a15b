// rmt_gc - take back the space of packs that no image needs.
//
// A pack without a chunk of any image is marked in trash/. From then on, writers that
// refreshed do not build on it. A later run removes it when it is still without use and
// its mark is older than an age; so the age must be longer than any capture takes, from
// its first question what the store has to its image. Readers and writers go on
// meanwhile.
#pragma once

#include "store/rmt_store.h"

typedef struct {
    uint64_t packs_live, packs_marked; // Marked: new and old ones
    uint64_t packs_revived;            // Were marked, and are in use again
    uint64_t packs_removed, bytes_removed;
    uint64_t left_behind; // Folders and files of writers that died, removed
} rmt_gc_report_t;

// Run once. Changes nothing but leftovers when an image cannot be read. Also repairs
// damaged indexes from the packs. Images are published while it reads what the others
// need; for a moment before and after that one waits for the other. watch may be NULL.
// 0, or -1: IO, NO_SPACE, CORRUPT, NOT_FOUND (an image lacks a list), CANCELLED.
int rmt_store_gc(rmt_store_t *self, int64_t age_s, const rmt_store_watch_t *watch,
                 rmt_gc_report_t *report_out, rmt_error_t *error);
