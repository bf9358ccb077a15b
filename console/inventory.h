// inventory - the hardware of a target as tables, as JSON, or raw (M5).
#pragma once

#include "console/call.h"

// The fields of a fact that a list of all classes shows.
extern const char *const inventory_columns[];

// Operand 0 is the target; with the option "raw" its facts are printed as they were told,
// one a line (docs/spec/3-facts.md). Returns 0, or -1 with error.
int inventory_run(call_t *call, rmt_error_t *error);
