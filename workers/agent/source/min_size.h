// min_size - the smallest size of the last partition that holds the files in it, so that
// a target's disk can be smaller or larger than the source's.
#pragma once

#include "facts/rmt_layout.h"

// Set min-size of the last partition and grow of the disk, if that partition has a tree;
// only the last partition may follow the size of a disk. All subvolumes in it count.
// layout has one disk, and its volumes with a tree have files and bytes.
void rmt_min_size_set(rmt_layout_t *layout);
