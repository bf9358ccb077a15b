// parser_raw - the blocks of a partition of kind raw. Private to the parser.
#pragma once

#include "agent/diskw/parser_tasks.h"

// Write the blocks that come. 0, or -1: CORRUPT (a file that is no piece of the
// partition), NO_SPACE (the partition is smaller), PROTOCOL, IO.
int rmt_parse_raw_unpack(rmt_parse_t *self, rmt_error_t *error);
// Compare them with the manifest that comes; differences are told as findings.
// 0, or -1: as above.
int rmt_parse_raw_verify(rmt_parse_t *self, rmt_error_t *error);
