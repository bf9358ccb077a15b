// select - the machines that the user selects: names, ranges r12-n[01-40], conditions
// rack=r12 (console/condition.h).
#pragma once

#include "base/rmt_record.h"
#include "base/rmt_error.h"

// The known targets that a choice means, as items {target}, each once, in the order
// given. A name that no target has, and a part that means no target, choose nothing at
// all. Caller owns. NULL: USAGE, NOT_FOUND (names the word).
rmt_records_t *select_targets(const char *list, const rmt_records_t *known,
                              rmt_error_t *error);
