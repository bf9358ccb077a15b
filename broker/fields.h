// fields - what the fields of a record of a source, engine or target may be, so that a
// wrong address is refused when it is entered and not when a machine does not come up.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Check the known fields of a record of this class; empty values, which remove a field,
// and unknown fields pass. 0, or -1: USAGE, which names field and value, and for the
// policy of an engine the words that are allowed.
int rmt_fields_check(const char *class, const rmt_record_t *record, rmt_error_t *error);
