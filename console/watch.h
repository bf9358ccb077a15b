// watch - follow a job to its end.
#pragma once

#include "console/call.h"

#define WATCH_INTERRUPTED 130 // Exit status after Ctrl-C

// Show the job's progress on standard error until it ends, or timeout_s is over (0:
// never), or Ctrl-C, which leaves the job running. With quiet only what the job is stuck
// at is shown. Returns the exit status for the job's end (0 done, 1 partial, 2 failed or
// cancelled), WATCH_INTERRUPTED, also when the job has ended meanwhile, or -1 with error.
// Afterwards Ctrl-C ends the program again.
int watch_job(call_t *call, const char *job, unsigned timeout_s, bool quiet,
              rmt_error_t *error);

// After a verb that made a job: say its name, or with --wait follow it.
int watch_made(call_t *call, const rmt_msg_t *reply, rmt_error_t *error);
