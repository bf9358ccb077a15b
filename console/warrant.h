// warrant - signing what `deploy start` is about to do, one warrant for each target.
#pragma once

#include "console/call.h"

// Help of the options of verbs that sign.
#define OPTION_ALLOW_OLDER "allow a release that is older than the one a target runs"
#define OPTION_VALID                                                                     \
    "with an order key: how long targets may begin with this order (default 24h)"

// With an order key in the configuration: let the engines choose the disks by a plan,
// sign a warrant for each target of items, and give them to the broker; body then names
// them. A target that the image does not fit gets none. Without an order key nothing is
// done. 0, or -1: NOT_ALLOWED (the image is not signed, or older than what a target
// runs), CONFIG, what the broker said.
int warrant_sign_all(call_t *call, rmt_record_t *body, const rmt_records_t *items,
                     const rmt_records_t *targets, rmt_error_t *error);

// The same for the failed targets of the job that body names. Without an order key a
// retry takes the warrants of that job along.
int warrant_sign_retry(call_t *call, rmt_record_t *body, rmt_error_t *error);
