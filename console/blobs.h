// blobs - byte strings one behind the other, each with its size before it: what an
// archive's head carries of an image beside the files.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

// All zero is empty; free(data) ends it.
typedef struct {
    uint8_t *data;
    size_t size;
} blobs_t;

void blobs_add(blobs_t *self, const void *data, size_t size);

// The blob at *at, which moves on; *at is 0 at first. 1, 0 at the end, -1: CORRUPT.
int blobs_next(const void *data, size_t size, size_t *at, const void **blob_out,
               size_t *blob_size_out, rmt_error_t *error);
