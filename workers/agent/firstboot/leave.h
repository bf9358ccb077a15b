// leave - takes all that the first boot needed out of the installed system.
#pragma once

#include "base/rmt_error.h"

// Remove the key first, so that no later process can report with it again,
// then the links and lines that start the agent, the scripts, and the agent itself. What
// is already gone is a success. root: "" for the running system.
// 0, or -1: IO; then the key is gone unless the error names it.
int rmt_leave_run(const char *root, const char *key, rmt_error_t *error);
