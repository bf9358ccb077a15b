// mount_points - whether the volumes of a source can be mounted where it mounts them, as
// they will be on its copies.
#pragma once

#include "agent/source/source_disk.h"
#include "base/rmt_error.h"

// Each mount point is a folder of the volume that it lies in, or is missing and can be
// made. 0, or -1: UNSUPPORTED.
int rmt_mount_points_check(rmt_source_disk_t *disk, rmt_error_t *error);
