// rmt_json - a record as members of a JSON object, for files of lines.
#pragma once

#include "base/rmt_record.h"

// "name":"value","name":"value": all fields as text, in their order. Octets that are not
// UTF-8 become U+FFFD. Empty for a record without fields. Caller owns the result (free).
char *rmt_json_members(const rmt_record_t *record);
