// image - an image of the catalogue whose contents are fetched from a holder of its
// place.
#pragma once

#include "console/call.h"
#include "exchange/rmt_fetch.h"
#include "store/rmt_manifest.h"

typedef struct {
    call_t *call;
    char *name;         // As the call names it
    rmt_fetch_t *fetch; // Of descriptor and manifests
    rmt_fetch_t *data;  // Of contents, so that each reads ahead in its own order
    rmt_records_t *descriptor;
    rmt_id_t id;
    char *signatures;         // Owned: lines of text, as trust/rmt_release.h reads them
    char *place;              // Of the store in use; NULL: the image's own
    rmt_records_t *engines;   // That may hold it; NULL until they were asked for
    rmt_link_alive_fn *alive; // For fetch, also for those that image_reach makes, or NULL
    void *context;
} image_t;

// Get the right to fetch the image called name, find its holders, read its descriptor: at
// the place that the option --place names, else at its own place, and where no holder is
// there, at an engine that has it. Caller owns the result. NULL: what the broker said,
// UNAVAILABLE, CORRUPT.
image_t *image_open(call_t *call, const char *name, rmt_error_t *error);
void image_destroy(image_t **self_p);

// Get the right to fetch from the store in use anew, which the broker gives for some
// minutes. 0, or -1 as above.
int image_renew(image_t *self, rmt_error_t *error);
// Use another store that may hold the image: 0 is the first of those above. 1; 0 behind
// the last; -1 when this one cannot be used, and what was in use stays.
int image_reach(image_t *self, size_t index, rmt_error_t *error);

// The volumes with a mount point, in the order of the descriptor. NULL behind the last.
const rmt_record_t *image_volume(const image_t *self, size_t index);
// Where a volume is mounted without a slash at its end: "" for the root.
const char *image_mount(const rmt_record_t *volume);

// Called with each entry of each volume. 0, or -1 with error.
typedef int(image_entry_fn)(void *context, const rmt_record_t *volume,
                            const rmt_entry_t *entry, rmt_error_t *error);
// 0, or -1: what act or fetching says.
int image_each_entry(image_t *self, const rmt_record_t *volume, image_entry_fn *act,
                     void *context, rmt_error_t *error);

// Say that the contents of a volume will be asked for in the order of its entries.
int image_expect_contents(image_t *self, const rmt_record_t *volume, rmt_error_t *error);
