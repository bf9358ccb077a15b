// bulk - one verb over the machines of a list.
#pragma once

#include "console/command.h"

// Does the word mean more than the one machine of that name: a range, a condition, or
// several names (condition.h)?
bool bulk_is_list(const char *word);

// Do more machines than one need their number: may the verb undo what keeps a machine
// safe, or what each has of its own? What keeps machines out of jobs asks nothing.
bool bulk_needs_count(const char *verb);

// Act on one machine; body has its name. 0, or -1 with error.
typedef int(bulk_fn)(call_t *call, rmt_record_t *body, rmt_error_t *error);

// Act on each target that operand 0 means, with a copy of body, whose field (name or
// target) is set. What fails does not hinder the others. With need_count, more than one
// needs --count N, or the number typed on a terminal. Caller owns the result: {name,
// code, text} of each target; what a machine's reason says of itself is said of "the
// target". NULL: nothing was done.
rmt_records_t *bulk_each(call_t *call, const rmt_record_t *body, const char *field,
                         bool need_count, bulk_fn *act, rmt_error_t *error);

// The same, and tell what failed on standard error; equal reasons once. The exit status,
// or -1 with error.
int bulk_run(call_t *call, const rmt_record_t *body, const char *field, bool need_count,
             bulk_fn *act, rmt_error_t *error);
