// image - an image of the catalogue whose contents are fetched from a holder of its
// place.
#pragma once

#include "console/call.h"
#include "exchange/rmt_fetch.h"
#include "store/rmt_manifest.h"

typedef struct {
    call_t *call;
    rmt_fetch_t *fetch; // Of descriptor and manifests
    rmt_fetch_t *data;  // Of contents, so that each reads ahead in its own order
    rmt_records_t *descriptor;
    rmt_id_t id;
    char *signatures; // Owned: lines of text, as trust/rmt_release.h reads them
} image_t;

// Get the right to fetch the image called name, find its holders, read its descriptor.
// Caller owns the result. NULL: what the broker said, UNAVAILABLE, CORRUPT.
image_t *image_open(call_t *call, const char *name, rmt_error_t *error);
void image_destroy(image_t **self_p);

// Get the right to fetch anew, which the broker gives for some minutes; with anew, find
// the holders anew as well. 0, or -1 as above.
int image_renew(image_t *self, bool anew, rmt_error_t *error);

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
