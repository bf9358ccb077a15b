// rmt_fs_tune - settings of file systems that change nothing of their form: what mkfs and
// tune2fs write into the superblock. Private to lib/disk.
#pragma once

#include "base/rmt_record.h"
#include "disk/rmt_fs_rows.h"

// Add the settings to a volume's record; super: as the kind keeps it, 1 KiB.
void rmt_fs_tune_read_ext(const unsigned char *super, rmt_record_t *volume);
void rmt_fs_tune_read_xfs(const unsigned char *super, rmt_record_t *volume);

// Options of mke2fs; and a line of tune2fs for a new file system, empty when there is
// nothing to set.
void rmt_fs_tune_make_ext(rmt_fs_line_t *line, const rmt_record_t *volume);
void rmt_fs_tune_ext(rmt_fs_line_t *line, const rmt_record_t *volume);
// More of mkfs.xfs, for a device of so many bytes.
void rmt_fs_tune_make_xfs(rmt_fs_line_t *line, const rmt_record_t *volume,
                          uint64_t bytes);
