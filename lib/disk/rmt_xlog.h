// rmt_xlog - the log of an XFS file system: does it end with the record of an unmount?
// Private to lib/disk.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

// The log lies at this byte of the device and has this many bytes. *clean_out is true
// when all that it holds is in place for certain. 0, or -1: IO.
int rmt_xlog_is_clean(int fd, uint64_t start, uint64_t size, bool *clean_out,
                      rmt_error_t *error);
