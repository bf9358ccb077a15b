// rmt_btrfs - the subvolumes of a mounted btrfs.
//
//   class=subvolume {subvolume, subvolume-id, default yes, read-only yes, snapshot yes}
//
// "subvolume" is the path from the top of the file system, "" for the top itself; a
// field that would be "no" is absent.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// All subvolumes of the file system that is mounted on a folder, sorted by path, so that
// one comes before those in it. Caller owns the result. NULL: IO.
rmt_records_t *rmt_btrfs_list(const char *folder, rmt_error_t *error);

// Put a new subvolume in place of the empty folder at path below a mounted subvolume;
// the folder above it keeps its times. With is_default it becomes the one that is
// mounted when none is named. 0, or -1: REFUSED (a symlink in the path), IO.
int rmt_btrfs_make(const char *folder, const char *path, bool is_default,
                   rmt_error_t *error);

// Make the subvolume that is mounted on a folder a read-only one. 0, or -1: IO.
int rmt_btrfs_set_read_only(const char *folder, rmt_error_t *error);
