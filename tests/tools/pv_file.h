// A file in memory that stands for a physical volume of LVM.
#pragma once

#include "base/rmt_error.h"

#include <stdint.h>

#define PV_FILE_BYTES ((uint64_t) 100 * 1024 * 1024)

// A file of PV_FILE_BYTES zeros; the caller closes it.
int pv_file_new(void);

// Writes the head of a physical volume with this UUID and metadata text; its data begin
// at 1 MiB.
int pv_file_put(int fd, const char *uuid, const char *text, rmt_error_t *error);
