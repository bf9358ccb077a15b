// room - how much of a disk the last partition needs, so that others can be smaller or
// larger.
#pragma once

#include "facts/rmt_layout.h"

// Of a layout of one disk whose volumes with a tree have files and bytes: sets min-size
// of the last partition and grow of the disk where that one has a tree, as only the last
// may follow the size of a disk. All subvolumes in it count.
void rmt_room_settle(rmt_layout_t *layout);
