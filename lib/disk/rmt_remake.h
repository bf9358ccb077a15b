// rmt_remake - whether what a layout describes can be made again, tried in memory before
// a disk is touched.
//
// The table is written, which reads it back, and each mkfs program is run with the very
// words that it will be run with: for ext and XFS as their dry run, else in a sparse
// file.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "facts/rmt_layout.h"

// Try one disk of a layout that was checked on a disk of so many bytes, with the programs
// of this machine; a file system whose program it lacks is not tried. A source has other
// programs than its targets: what they lack an option for is not tried there.
// Blocks for mkfs. 0, or -1: UNSUPPORTED (what cannot be made, and why), IO.
int rmt_remake_try(const rmt_layout_t *layout, size_t disk, uint64_t bytes,
                   bool is_source, rmt_error_t *error);
