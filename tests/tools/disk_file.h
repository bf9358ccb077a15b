// disk_file - files that stand for disks, facts as text, and what programs say; each
// fails the test that asks.
#pragma once

#include <stdint.h>
#include "base/rmt_record.h"

// A new sparse file of so many bytes in a folder; one of this name goes first. Caller
// owns its path (free).
char *disk_file_make(const char *folder, const char *name, uint64_t bytes);

// Records from their text form. Caller owns the result.
rmt_records_t *disk_file_facts(const char *text);

// What a program prints. Caller owns the text (free).
char *disk_file_output(const char *const *arguments);
