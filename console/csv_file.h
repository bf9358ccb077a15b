// csv_file - lists of machines as other programs write them: RFC 4180, and the forms of
// spreadsheets and inventories (a byte-order mark; semicolons or tabs between values;
// headings with capitals and blanks).
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Read text, size bytes with a NUL behind them. map: "Heading=field,Other=field", which
// heading is which field; one without a field is left out; may be NULL. Other headings
// are names of fields, in which capitals become small letters and blanks become -.
// Caller owns. NULL: USAGE with line, column and value.
rmt_records_t *csv_read(const char *text, size_t size, const char *map,
                        rmt_error_t *error);
