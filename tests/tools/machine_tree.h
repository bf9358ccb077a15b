// machine_tree - a machine in a few lines, turned into the sysfs and proc files that its
// kernel would show (tests/fixtures/machines/README).
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Make the tree of a machine's text below root, which exists. 0, or -1: USAGE (a line of
// the text), IO.
int machine_tree_make(const char *root, const char *text, rmt_error_t *error);

// The same from a file, in a folder of its own, read back by rmt_inventory_read_at; the
// folder is removed. edit may be NULL: lines to put behind those of the file, and before
// them "-WORD" lines: every line of the file that has WORD in it is left out.
// Caller owns the result.
rmt_records_t *machine_tree_read(const char *path, const char *edit, rmt_error_t *error);
