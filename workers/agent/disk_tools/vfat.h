// vfat - FAT volumes are read and written with mtools, also where the kernel has no
// driver for them: one way for all machines.
#pragma once

#include "base/rmt_error.h"

// Copy all that a FAT volume holds into an empty folder. 0, or -1: NOT_FOUND (no mtools),
// IO.
int rmt_vfat_copy_out(const char *device, const char *folder, rmt_error_t *error);

// Copy all that a folder holds into an empty FAT volume. 0, or -1: NOT_FOUND, IO.
int rmt_vfat_copy_in(const char *folder, const char *device, rmt_error_t *error);
