// rmt_starter - how each init is told to start the agent of the first boot. Private to
// lib/system.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Append what makes the tree's init start this line once the system is up.
// 0, or -1: UNSUPPORTED (no init, or one that is not known, by name), what
// rmt_rooted_load says.
int rmt_starter_plan(int root_fd, const char *command, rmt_records_t *actions,
                     rmt_error_t *error);
