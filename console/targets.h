// targets - the machines of the farm as people know them.
#pragma once

#include "console/call.h"

// The fields of a target that a list shows.
extern const char *const targets_columns[];

// All targets; state also tells pending and absent, image-name and since which image runs
// there and since when. Caller owns. NULL: what the broker said.
rmt_records_t *targets_list(call_t *call, rmt_error_t *error);

// Show the targets of these engines (with commas between), from which a user selects.
int targets_show_choice(call_t *call, const char *engines, rmt_error_t *error);

// What lies on the targets {target} that will be erased: {name, address, state,
// image-name, since, disks}; disks for some machines alone. Caller owns. NULL: what the
// broker said.
rmt_records_t *targets_erased(call_t *call, const rmt_records_t *chosen,
                              rmt_error_t *error);

// Show it.
int targets_show_erased(call_t *call, const rmt_records_t *chosen, rmt_error_t *error);
