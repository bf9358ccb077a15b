// rmt_super - the options of mkfs, read from superblocks. Private to lib/disk.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Add the fields of one file system's superblock to its volume record.
// 0, or -1: UNSUPPORTED (a feature that is not supported), IO.
typedef int rmt_super_read_t(int fd, rmt_record_t *volume, rmt_error_t *error);

rmt_super_read_t rmt_super_read_ext;
rmt_super_read_t rmt_super_read_xfs;
rmt_super_read_t rmt_super_read_btrfs;
rmt_super_read_t rmt_super_read_vfat;
