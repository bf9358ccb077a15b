// plan - the verdicts of a matching, for people and programs (M11, M12).
#pragma once

#include "console/call.h"

// The fields of a verdict that a list shows.
extern const char *const plan_columns[];

// Help of the option --timeout of a plan.
#define OPTION_PLAN_TIMEOUT                                                              \
    "stop waiting after this time (default 10m, exit 124) and show what the engines "    \
    "have "                                                                              \
    "answered; the plan continues"

// Ask for a plan with this body, wait for it, show the verdict for every target; with the
// call's option "explain" every compared fact side by side, and the disks that would be
// written. Borrows body, which may change. Returns the exit status, or -1 with error.
int plan_run(call_t *call, rmt_record_t *body, rmt_error_t *error);

// Operands target and image: the plan of this one target, always explained. The status
// is 0 when it fits, else 1.
int plan_target(call_t *call, rmt_error_t *error);

// The verdicts of a plan over image, engines and policy of this body. Caller owns the
// result. NULL: UNAVAILABLE (an engine did not answer), CANCELLED (Ctrl-C), what the
// broker said.
rmt_records_t *plan_verdicts(call_t *call, const rmt_record_t *body, rmt_error_t *error);

// The verdicts of a plan that was made before, whose uid or name the call's option "plan"
// has. Caller owns. NULL: REFUSED (it is not over image, engines and policy of this body,
// or has not ended well), what the broker said.
rmt_records_t *plan_read(call_t *call, const rmt_record_t *body, rmt_error_t *error);
