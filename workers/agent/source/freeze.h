// freeze - a file system that stands still while it is read, for a bounded time.
//
// For volumes of which no snapshot can be made. Writers wait meanwhile, so a process of
// its own watches: it thaws when the time is over, or when this process is gone. A file
// system that the agent itself writes to is never frozen.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

typedef struct rmt_freeze rmt_freeze_t;

// tree_fd: root of the volume, borrowed for its whole life. state: the agent's folder.
// Blocks until all that is dirty was written. Caller owns the result.
// NULL: REFUSED (the agent's own, or read-only), UNSUPPORTED, TIMEOUT, IO.
rmt_freeze_t *rmt_freeze_new(int tree_fd, const char *state, uint32_t limit_s,
                             rmt_error_t *error);
// Thaw now, if it is still frozen. Returns whether it was frozen up to now.
bool rmt_freeze_end(rmt_freeze_t **self_p);
