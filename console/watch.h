// watch - follow a job to its end.
#pragma once

#include "console/call.h"

// Show the job's progress on standard error until it ends, or timeout_s is over (0:
// never), or Ctrl-C, which leaves the job running. With quiet nothing is shown.
// Returns the exit status for the job's end (0 done, 1 partial, 2 failed or cancelled,
// 124, 130), or -1 with error.
int watch_job(call_t *call, const char *job, unsigned timeout_s, bool quiet,
              rmt_error_t *error);

// After a verb that made a job: say its name, or with --wait follow it.
int watch_made(call_t *call, const rmt_msg_t *reply, rmt_error_t *error);

// "90", "90s", "45m", "2h" in seconds. 0, or -1: USAGE.
int watch_parse_time(const char *text, unsigned *seconds_out, rmt_error_t *error);
