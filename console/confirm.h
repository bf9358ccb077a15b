// confirm - what a user is asked before disks are erased.
#pragma once

#include "console/call.h"

// Ask the broker how many targets a request would erase, and let the user confirm it: by
// --count, by the number typed at a terminal, or by --yes when the job is not large. The
// number goes into body. verb: deploy.start or job.retry. A request that erases nothing
// asks nothing.
// 0, or -1: USAGE without a terminal, CANCELLED, what the broker said.
int confirm_erase(call_t *call, const char *verb, rmt_record_t *body,
                  rmt_records_t *items, rmt_error_t *error);

// Help of the options --yes and --count.
#define CONFIRM_YES "do not ask for confirmation of a job that is not large"
#define CONFIRM_COUNT                                                                    \
    "confirm that the job erases N targets; a large job needs it where no terminal is"

// Let the user confirm that an action cuts the power of these targets {target}: by
// --count N, by the number typed at a terminal, or for one machine by --yes. 0, or -1:
// USAGE, CANCELLED.
int confirm_power(call_t *call, const char *action, const rmt_records_t *chosen,
                  rmt_error_t *error);

// Let the user count the targets {target} of a list, when there is more than one: by
// --count N, or typed on a terminal. A --count that is given is compared with one too. 0,
// or -1: USAGE, CANCELLED.
int confirm_count(call_t *call, const rmt_records_t *chosen, rmt_error_t *error);
