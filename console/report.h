// report - jobs that give counts and findings: upkeep of stores, verify, compare.
#pragma once

#include "console/call.h"

// After a verb that made such a job: say its name, or with wait follow it to its end and
// show counts and findings. Returns the exit status, or -1 with error.
int report_made(call_t *call, const rmt_msg_t *reply, bool wait, rmt_error_t *error);
