// rmt_wipe - signatures in a part of a device, taken away and seen to be gone; inside
// Private to lib/disk.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

// Part of a device, in bytes; size 0 is all of it.
typedef struct {
    uint64_t offset, size;
} rmt_range_t;

// Clear the signatures of file systems, layers and tables. 0, or -1: IO.
int rmt_wipe_range(int fd, const char *path, const rmt_range_t *range,
                   rmt_error_t *error);

// Check that a probe finds no signature there. 0, or -1: IO.
int rmt_wipe_check(int fd, const char *path, const rmt_range_t *range,
                   rmt_error_t *error);

// The partitions of any table that is there, those in others behind these. Caller owns
// *ranges_out (free). 0, or -1: IO.
int rmt_wipe_find_partitions(int fd, const char *path, rmt_range_t **ranges_out,
                             size_t *count_out, rmt_error_t *error);
