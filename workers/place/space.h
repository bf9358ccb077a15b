// space - tasks that wait while the store of their place is full, and name its disk when
// that fails.
#pragma once

#include "place/holder.h"

// Run a task function with the holder as its context. When it fails because the store has
// no space, tell so (phase await-space), wait until there is some, and run it again: what
// it has committed stays. Returns as the function does, with the disk's name before the
// words of a DISK, or -1: CANCELLED.
int place_with_space(rmt_task_t *task, void *holder, rmt_task_fn *run,
                     rmt_error_t *error);
