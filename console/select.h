// select - the machines that the user selects: names, ranges r12-n[01-40], labels
// rack=r12.
#pragma once

#include "base/rmt_record.h"
#include "base/rmt_error.h"

// Expand a comma list against the known targets into items {target}, each once, in the
// order given. Caller owns. NULL: USAGE, NOT_FOUND (names the word), TOO_BIG.
rmt_records_t *select_targets(const char *list, const rmt_records_t *known,
                              rmt_error_t *error);
