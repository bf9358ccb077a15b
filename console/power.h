// power - switch the power of machines, and look at it.
#pragma once

#include "console/call.h"

// The fields of a machine that the list shows.
extern const char *const power_columns[];

// operands: LIST, ACTION. A request for each engine, followed to its end; then a line a
// machine. What ends what runs there is confirmed first. The exit status: 0, 1 when some
// machines failed, 2 when all did; or -1 with error.
int power_run(call_t *call, rmt_error_t *error);
