#include "disk/rmt_fs_rows.h"
#include "disk/rmt_fs_tune.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t) 1024 * 1024)

static void s_make_ext(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_xfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_btrfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_vfat(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_swap(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);

#define EXT_READ "noload,errors=remount-ro"
#define EXT_REPLAY "errors=remount-ro"
#define EXT_CHECKED                                                                      \
    "uuid label features block-size inode-size mount-presets max-mounts check-interval " \
    "reserved-uid reserved-gid stride stripe-width name-hash"

// The driver of ext4 mounts its elders too. A read-only mount must not write, so it
// replays no journal. What an image asks for at errors, such as a panic, is for its own
// machine.
static const rmt_fs_row_t s_rows[] = {
    {"ext4", rmt_super_read_ext, s_make_ext, "ext4", "", EXT_READ, EXT_REPLAY, 0,
     EXT_CHECKED, rmt_fs_tune_ext},
    {"ext3", rmt_super_read_ext, s_make_ext, "ext4", "", EXT_READ, EXT_REPLAY, 0,
     EXT_CHECKED, rmt_fs_tune_ext},
    {"ext2", rmt_super_read_ext, s_make_ext, "ext4", "", EXT_READ, EXT_REPLAY, 0,
     EXT_CHECKED, rmt_fs_tune_ext},
    {"xfs", rmt_super_read_xfs, s_make_xfs, "xfs", "nouuid", "nouuid,norecovery",
     "nouuid", 320 * MIB,
     "uuid label features block-size inode-size inode-percent folder-block-size names",
     NULL},
    {"btrfs", rmt_super_read_btrfs, s_make_btrfs, "btrfs", "", "rescue=nologreplay",
     "subvolid=5", 256 * MIB, "uuid label features checksum block-size node-size", NULL},
    {"vfat", rmt_super_read_vfat, s_make_vfat, NULL, NULL, NULL, NULL, 0,
     "uuid label fat-bits", NULL},
    {"swap", NULL, s_make_swap, NULL, NULL, NULL, NULL, 0, "uuid label", NULL},
    {"raw", NULL, NULL, NULL, NULL, NULL, NULL, 0, "", NULL},
    {"none", NULL, NULL, NULL, NULL, NULL, NULL, 0, "", NULL},
};

const rmt_fs_row_t *
rmt_fs_find_row(const char *name)
{
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strcmp(s_rows[i].name, name) == 0)
            return &s_rows[i];
    }
    return NULL;
}

void
rmt_fs_line_add(rmt_fs_line_t *line, const char *format, ...)
{
    assert(line->count < RMT_FS_ARGUMENTS_MAX);
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&line->words[line->count++], format, arguments) == -1)
        abort();
    va_end(arguments);
}

// Option and value, when the volume has the field.
static void
s_add_field(rmt_fs_line_t *line, const char *option, const rmt_record_t *volume,
            const char *field)
{
    const char *text = rmt_record_text(volume, field, "");
    if (!text[0])
        return;
    rmt_fs_line_add(line, "%s", option);
    rmt_fs_line_add(line, "%s", text);
}

bool
rmt_fs_has_word(const char *list, const char *word)
{
    const size_t size = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += size) {
        if ((p == list || p[-1] == ',') && (p[size] == ',' || p[size] == '\0'))
            return true;
    }
    return false;
}

bool
rmt_fs_has_feature(const rmt_record_t *volume, const char *feature)
{
    return rmt_fs_has_word(rmt_record_text(volume, "features", ""), feature);
}

// The density of inodes goes over to a disk of another size; where that gives fewer
// than the image has in use, their number is said instead.
static void
s_add_inodes(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    const uint64_t inodes = rmt_record_u64(volume, "inodes", 0);
    const uint64_t used = rmt_record_u64(volume, "inodes-used", 0);
    const uint64_t needed = used + used / 16 + 64;
    const uint64_t old_bytes = rmt_record_u64(volume, "bytes", 0);
    const uint64_t ratio = inodes ? old_bytes / inodes : 0;
    if (ratio == 0)
        return;
    if (bytes / ratio < needed || old_bytes == bytes) {
        rmt_fs_line_add(line, "-N");
        rmt_fs_line_add(line, "%" PRIu64,
                        old_bytes == bytes && inodes > needed ? inodes : needed);
        return;
    }
    rmt_fs_line_add(line, "-i");
    rmt_fs_line_add(line, "%" PRIu64, ratio < 1024 ? 1024 : ratio);
}

static void
s_make_ext(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    rmt_fs_line_add(line, "mke2fs");
    rmt_fs_line_add(line, "-q");
    rmt_fs_line_add(line, "-F");
    rmt_fs_line_add(line, "-t");
    rmt_fs_line_add(line, "%s", rmt_record_text(volume, "fs", ""));
    const char *features = rmt_record_text(volume, "features", "");
    rmt_fs_line_add(line, "-O");
    rmt_fs_line_add(line, "none%s%s", features[0] ? "," : "", features);
    s_add_field(line, "-U", volume, "uuid");
    s_add_field(line, "-L", volume, "label");
    s_add_field(line, "-b", volume, "block-size");
    s_add_field(line, "-I", volume, "inode-size");
    s_add_field(line, "-m", volume, "reserved-percent");
    s_add_field(line, "-e", volume, "errors");
    if (rmt_fs_has_feature(volume, "flex_bg"))
        s_add_field(line, "-G", volume, "flex-groups");
    if (rmt_fs_has_feature(volume, "bigalloc"))
        s_add_field(line, "-C", volume, "cluster-size");
    rmt_fs_tune_make_ext(line, volume);
    s_add_inodes(line, volume, bytes);
}

static void
s_make_xfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    rmt_fs_line_add(line, "mkfs.xfs");
    rmt_fs_line_add(line, "-q");
    rmt_fs_line_add(line, "-f");
    s_add_field(line, "-L", volume, "label");
    rmt_fs_line_add(line, "-b");
    rmt_fs_line_add(line, "size=%s", rmt_record_text(volume, "block-size", "4096"));
    rmt_fs_line_add(line, "-i");
    const bool crc = rmt_fs_has_feature(volume, "crc");
    const char *inode_size = rmt_record_text(volume, "inode-size", "512");
    if (crc)
        rmt_fs_line_add(line, "size=%s,sparse=%d,nrext64=%d", inode_size,
                        rmt_fs_has_feature(volume, "sparse"),
                        rmt_fs_has_feature(volume, "nrext64"));
    else
        rmt_fs_line_add(line, "size=%s", inode_size);
    rmt_fs_line_add(line, "-m");
    const char *uuid = rmt_record_text(volume, "uuid", "");
    if (crc)
        rmt_fs_line_add(
            line, "crc=1,finobt=%d,rmapbt=%d,reflink=%d,inobtcount=%d,bigtime=%d%s%s",
            rmt_fs_has_feature(volume, "finobt"), rmt_fs_has_feature(volume, "rmapbt"),
            rmt_fs_has_feature(volume, "reflink"),
            rmt_fs_has_feature(volume, "inobtcount"),
            rmt_fs_has_feature(volume, "bigtime"), uuid[0] ? ",uuid=" : "", uuid);
    else
        rmt_fs_line_add(line, "crc=0%s%s", uuid[0] ? ",uuid=" : "", uuid);
    rmt_fs_tune_make_xfs(line, volume, bytes);
}

static void
s_make_btrfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    (void) bytes;
    static const char *const features[] = {"mixed-bg", "extref", "skinny-metadata",
                                           "no-holes"};
    rmt_fs_line_add(line, "mkfs.btrfs");
    rmt_fs_line_add(line, "-q");
    rmt_fs_line_add(line, "-f");
    s_add_field(line, "-U", volume, "uuid");
    s_add_field(line, "-L", volume, "label");
    s_add_field(line, "-s", volume, "block-size");
    s_add_field(line, "-n", volume, "node-size");
    s_add_field(line, "--csum", volume, "checksum");
    if (!rmt_record_has(volume, "features"))
        return;
    // Without a word mkfs has its own mind about these.
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        rmt_fs_line_add(line, "-O");
        rmt_fs_line_add(line, "%s%s", rmt_fs_has_feature(volume, features[i]) ? "" : "^",
                        features[i]);
    }
    rmt_fs_line_add(line, "-R");
    rmt_fs_line_add(line, "%sfree-space-tree",
                    rmt_fs_has_feature(volume, "free-space-tree") ? "" : "^");
}

static void
s_make_vfat(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    rmt_fs_line_add(line, "mkfs.vfat");
    s_add_field(line, "-F", volume, "fat-bits");
    const char *id = rmt_record_text(volume, "uuid", "");
    if (strlen(id) == 9 && id[4] == '-') {
        rmt_fs_line_add(line, "-i");
        rmt_fs_line_add(line, "%.4s%s", id, id + 5);
    }
    s_add_field(line, "-n", volume, "label");
    s_add_field(line, "-S", volume, "sector-size");
    // On another size the old clusters could be too many or too few for the table.
    const uint64_t sector = rmt_record_u64(volume, "sector-size", 0);
    if (sector && rmt_record_u64(volume, "device-bytes", 0) == bytes) {
        rmt_fs_line_add(line, "-s");
        rmt_fs_line_add(line, "%" PRIu64,
                        rmt_record_u64(volume, "block-size", sector) / sector);
    }
}

static void
s_make_swap(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    (void) bytes;
    rmt_fs_line_add(line, "mkswap");
    s_add_field(line, "-U", volume, "uuid");
    s_add_field(line, "-L", volume, "label");
}
