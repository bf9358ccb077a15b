// room - how much of a disk the last partition needs, so that others can be smaller or
// larger.
#pragma once

#include "base/rmt_record.h"

// Records of a layout whose volumes with a tree have files, bytes-tree and
// bytes-reserved. Sets min-size of the last partition and grow of the disk where that one
// has a tree: only the last may follow the size of a disk. All subvolumes in it count.
void rmt_room_settle(rmt_records_t *layout);
