// subvolume - of btrfs: where one lies in another. Volumes of a layout that are
// subvolumes have `subvolume`, their path from the top ("" for the top itself).
#pragma once

#include <stdbool.h>
#include "facts/rmt_layout.h"

// The rest of a path that lies below another one, or NULL.
const char *rmt_subvolume_below(const char *path, const char *above);

// True when a name in the tree of one volume is the place of another volume of the
// layout. What stands there of itself (times, owner, mode) says nothing about an image:
// it is the root of that other volume, or, in a snapshot, an empty folder that the kernel
// makes up.
bool rmt_subvolume_is_at(const rmt_layout_t *layout, const rmt_layout_volume_t *volume,
                         const char *path);
