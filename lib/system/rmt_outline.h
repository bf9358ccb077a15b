// rmt_outline - of a system's trees what the planner of a personalisation looks at: the
// names of some places, and the small files below /etc.
//
// A source takes the outline of what it images; an engine builds it as a tree in a
// folder of its own, and plans there what it will order, long before the real tree is
// written. An outline is a list of records, parents before what lies in them:
//   {path, kind: folder | file | link | other, mode (octal), bytes, content | target}
// Contents are left out of private keys and of files over 64 KiB.
// docs/spec/5-image.md lists the places.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef struct {
    const char *mount; // Where the tree stands in the system
    int fd;
} rmt_outline_tree_t;

// Look at the trees of one system. What cannot be read is not in it; *cut_out: there was
// more than fits (30,000 names, 3 MiB of contents). Blocks for reading. Caller owns the
// result.
rmt_records_t *rmt_outline_take(const rmt_outline_tree_t *trees, size_t count,
                                bool *cut_out);

// Make that tree in an empty folder of the caller's own. Records may be foreign: nothing
// outside of the folder is touched. 0, or -1: PROTOCOL (no outline), REFUSED, USAGE,
// NO_SPACE, IO.
int rmt_outline_build(const rmt_records_t *outline, int folder_fd, rmt_error_t *error);
