// harden - what the writer gives away before it reads its first byte.
#pragma once

#include "base/rmt_error.h"

#include <stddef.h>

// Keep the capabilities that writing disks and trees needs and no others, also for every
// program that is started; no new privileges by a program's mode, and no core file, which
// would hold keys. 0, or -1: IO.
int rmt_harden(rmt_error_t *error);

// Of the capabilities that this process has left keep these alone. It can start no
// program with others: that is its filter's part. 0, or -1: IO.
int rmt_harden_keep(const unsigned *kept, size_t count, rmt_error_t *error);
