// min_size - the smallest size of the partition that follows the size of its disk, so
// that a target's disk can be smaller or larger than the source's.
#pragma once

#include "facts/rmt_layout.h"

// The last partition that is no swap follows the size of the disk, if it has a tree: set
// its min-size and grow of the disk, and at-end of the swap behind it, which moves with
// the end. All subvolumes in it count. layout has one disk, and its volumes with a tree
// have files and bytes.
void rmt_min_size_set(rmt_layout_t *layout);
