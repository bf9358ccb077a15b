// leave - takes all that the first boot needed out of the installed system.
#pragma once

#include "base/rmt_error.h"

// Remove the key first, so that whatever stays behind nobody can report with it again,
// then the links and lines that start the agent, the scripts, and the agent itself. What
// is not there any more is well. root: "" for the running system.
// 0, or -1: IO; then the key is gone unless the error names it.
int rmt_leave_run(const char *root, const char *key, rmt_error_t *error);
