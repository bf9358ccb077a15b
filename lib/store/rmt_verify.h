// rmt_verify - which images and files a missing or damaged chunk hits. For lib/store
// alone; rmt_store_verify is for all.
#pragma once

#include "store/rmt_idset.h"
#include "store/rmt_store.h"

// What of an image is to be looked at, and what was found so far.
typedef struct {
    rmt_store_t *store;
    const rmt_store_watch_t *watch;
    rmt_store_report_t *report;
    rmt_idset_t *sound, *bad; // Chunks that were looked at
    rmt_idset_t *unread;      // Those of the bad ones that the disk refuses to read
    bool deep;                // Re-hash, where else it is enough that they are there
} rmt_verify_t;

// Visit an image and tell what is missing, damaged or unread. 0, or -1: NOT_FOUND (the
// image), CANCELLED.
int rmt_verify_image(rmt_verify_t *self, const rmt_id_t *id, rmt_error_t *error);
