// harden - what the writer gives away before it reads its first byte.
#pragma once

#include "base/rmt_error.h"

// Keep the capabilities that writing disks and trees needs and no others, also for every
// program that is started; no new privileges by a program's mode, and no core file, which
// would hold keys. 0, or -1: IO.
int rmt_harden(rmt_error_t *error);
