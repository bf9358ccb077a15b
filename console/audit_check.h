// audit_check - are files of the audit whole? Reads files alone (docs/spec/8-audit.md).
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Walk these files, those of each broker in their sequence. heads: records {key} of the
// keys that count, with n and link where the farm has said how far the broker has come.
// Returns an item for each chain: {key, first, n, records, state}; state is
// "whole", or what is wrong first. Caller owns. NULL: IO, NOT_FOUND, CORRUPT for a file
// that does not begin like one of the audit.
rmt_records_t *audit_check(char *const *paths, size_t count, const rmt_records_t *heads,
                           rmt_error_t *error);
