// table - records as a table for people. The door to libsmartcols.
#pragma once

#include "console/view.h"

// Print to standard output, cut to the width of a terminal. Headings are the names of
// fields in capitals.
void table_print(const rmt_records_t *items, const char *const *columns,
                 const view_t *view);
