// import - a list of records, in as many requests as it needs.
#pragma once

#include "console/call.h"

// Add and change the records of a list, by the verb (X.import). What one request cannot
// hold goes in parts: all of them are checked before the first one is taken.
// The answer {added, changed}, or NULL; when records were taken before, error says how
// many. Caller owns the result. Blocks.
rmt_record_t *import_records(call_t *call, const char *verb, const rmt_records_t *items,
                             rmt_error_t *error);
