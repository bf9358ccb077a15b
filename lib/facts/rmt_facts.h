// rmt_facts - records as text, one record a line.
//
//     class=disk bus=virtio media=virtual bytes=10737418240 model="QEMU \"x\""
//
// A value is bare when it is not empty and has only printable ASCII other than
// space, quote, backslash and '#'; else it stands in quotes, where \" \\ and \xNN
// are the only escapes. Empty lines and lines that start with '#' are skipped.
// Every record has a field "class". The classes are in docs/spec/3-facts.md.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Caller owns the result. NULL: USAGE, with the line's number.
rmt_records_t *rmt_facts_parse(const char *text, rmt_error_t *error);

// Caller owns the text (free). Parsing it gives equal records again.
char *rmt_facts_print(const rmt_records_t *records);
