// rmt_fs_rows - the table of file systems. Private to lib/disk.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "disk/rmt_super.h"

#define RMT_FS_ARGUMENTS_MAX 40

// A command line under construction, which owns its words.
typedef struct {
    char *words[RMT_FS_ARGUMENTS_MAX + 1];
    size_t count;
} rmt_fs_line_t;

void rmt_fs_line_add(rmt_fs_line_t *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

typedef struct {
    const char *name;       // As blkid calls it
    rmt_super_read_t *read; // More of the superblock; NULL: uuid and label do
    void (*make)(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
    const char *mount_type; // NULL: never mounted
    const char *options_write;
    const char *options_read;
    const char *options_replay; // Read-only, but the log may be replayed
    uint64_t spare_bytes;       // What an empty one of this kind needs
    const char *checked;        // Fields that must read back as they were asked for
    // What sets more than mkfs can, on a line that stays empty when there is nothing.
    void (*tune)(rmt_fs_line_t *line, const rmt_record_t *volume);
} rmt_fs_row_t;

// NULL for one that is not supported.
const rmt_fs_row_t *rmt_fs_find_row(const char *name);

// Does a list with commas have this word?
bool rmt_fs_has_word(const char *list, const char *word);
// Features of a volume are such a list.
bool rmt_fs_has_feature(const rmt_record_t *volume, const char *feature);
