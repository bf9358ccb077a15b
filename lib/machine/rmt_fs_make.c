#include "rmt_fs.h"
#include "rmt_auto.h"
#include "rmt_fs_rows.h"
#include "rmt_io.h"
#include "rmt_process.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

#define MIB ((uint64_t) 1024 * 1024)

static void s_make_ext(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_xfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_btrfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_vfat(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);
static void s_make_swap(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes);

#define EXT_CHECKED "uuid label features block-size inode-size"

// The driver of ext4 mounts its elders too. A read-only mount must not write, so it
// replays no journal.
static const rmt_fs_row_t s_rows[] = {
    {"ext4", rmt_super_read_ext, s_make_ext, "ext4", "", "noload", 0, EXT_CHECKED},
    {"ext3", rmt_super_read_ext, s_make_ext, "ext4", "", "noload", 0, EXT_CHECKED},
    {"ext2", rmt_super_read_ext, s_make_ext, "ext4", "", "noload", 0, EXT_CHECKED},
    {"xfs", rmt_super_read_xfs, s_make_xfs, "xfs", "nouuid", "nouuid,norecovery",
     320 * MIB, "uuid label features block-size inode-size"},
    {"btrfs", rmt_super_read_btrfs, s_make_btrfs, "btrfs", "", "rescue=nologreplay",
     256 * MIB, "uuid label features checksum block-size node-size"},
    {"vfat", rmt_super_read_vfat, s_make_vfat, NULL, NULL, NULL, 0,
     "uuid label fat-bits"},
    {"swap", NULL, s_make_swap, NULL, NULL, NULL, 0, "uuid label"},
    {"none", NULL, NULL, NULL, NULL, NULL, 0, ""},
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

static void s_add(rmt_fs_line_t *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
s_add(rmt_fs_line_t *line, const char *format, ...)
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
    s_add(line, "%s", option);
    s_add(line, "%s", text);
}

static bool
s_has_feature(const rmt_record_t *volume, const char *feature)
{
    const char *features = rmt_record_text(volume, "features", "");
    const size_t size = strlen(feature);
    for (const char *p = features; (p = strstr(p, feature)); p += size) {
        if ((p == features || p[-1] == ',') && (p[size] == ',' || p[size] == '\0'))
            return true;
    }
    return false;
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
        s_add(line, "-N");
        s_add(line, "%" PRIu64, old_bytes == bytes && inodes > needed ? inodes : needed);
        return;
    }
    s_add(line, "-i");
    s_add(line, "%" PRIu64, ratio < 1024 ? 1024 : ratio);
}

static void
s_make_ext(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    s_add(line, "mke2fs");
    s_add(line, "-q");
    s_add(line, "-F");
    s_add(line, "-t");
    s_add(line, "%s", rmt_record_text(volume, "fs", ""));
    const char *features = rmt_record_text(volume, "features", "");
    s_add(line, "-O");
    s_add(line, "none%s%s", features[0] ? "," : "", features);
    s_add_field(line, "-U", volume, "uuid");
    s_add_field(line, "-L", volume, "label");
    s_add_field(line, "-b", volume, "block-size");
    s_add_field(line, "-I", volume, "inode-size");
    s_add_field(line, "-m", volume, "reserved-percent");
    s_add_field(line, "-e", volume, "errors");
    if (s_has_feature(volume, "flex_bg"))
        s_add_field(line, "-G", volume, "flex-groups");
    if (s_has_feature(volume, "bigalloc"))
        s_add_field(line, "-C", volume, "cluster-size");
    s_add_inodes(line, volume, bytes);
}

static void
s_make_xfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    (void) bytes;
    s_add(line, "mkfs.xfs");
    s_add(line, "-q");
    s_add(line, "-f");
    s_add_field(line, "-L", volume, "label");
    s_add(line, "-b");
    s_add(line, "size=%s", rmt_record_text(volume, "block-size", "4096"));
    s_add(line, "-i");
    const bool crc = s_has_feature(volume, "crc");
    const char *inode_size = rmt_record_text(volume, "inode-size", "512");
    if (crc)
        s_add(line, "size=%s,sparse=%d,nrext64=%d", inode_size,
              s_has_feature(volume, "sparse"), s_has_feature(volume, "nrext64"));
    else
        s_add(line, "size=%s", inode_size);
    s_add(line, "-m");
    const char *uuid = rmt_record_text(volume, "uuid", "");
    if (crc)
        s_add(line, "crc=1,finobt=%d,rmapbt=%d,reflink=%d,inobtcount=%d,bigtime=%d%s%s",
              s_has_feature(volume, "finobt"), s_has_feature(volume, "rmapbt"),
              s_has_feature(volume, "reflink"), s_has_feature(volume, "inobtcount"),
              s_has_feature(volume, "bigtime"), uuid[0] ? ",uuid=" : "", uuid);
    else
        s_add(line, "crc=0%s%s", uuid[0] ? ",uuid=" : "", uuid);
}

static void
s_make_btrfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    (void) bytes;
    static const char *const features[] = {"mixed-bg", "extref", "skinny-metadata",
                                           "no-holes"};
    s_add(line, "mkfs.btrfs");
    s_add(line, "-q");
    s_add(line, "-f");
    s_add_field(line, "-U", volume, "uuid");
    s_add_field(line, "-L", volume, "label");
    s_add_field(line, "-s", volume, "block-size");
    s_add_field(line, "-n", volume, "node-size");
    s_add_field(line, "--csum", volume, "checksum");
    if (!rmt_record_has(volume, "features"))
        return;
    // Without a word mkfs has its own mind about these.
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        s_add(line, "-O");
        s_add(line, "%s%s", s_has_feature(volume, features[i]) ? "" : "^", features[i]);
    }
    s_add(line, "-R");
    s_add(line, "%sfree-space-tree", s_has_feature(volume, "free-space-tree") ? "" : "^");
}

static void
s_make_vfat(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    s_add(line, "mkfs.vfat");
    s_add_field(line, "-F", volume, "fat-bits");
    const char *id = rmt_record_text(volume, "uuid", "");
    if (strlen(id) == 9 && id[4] == '-') {
        s_add(line, "-i");
        s_add(line, "%.4s%s", id, id + 5);
    }
    s_add_field(line, "-n", volume, "label");
    s_add_field(line, "-S", volume, "sector-size");
    // On another size the old clusters could be too many or too few for the table.
    const uint64_t sector = rmt_record_u64(volume, "sector-size", 0);
    if (sector && rmt_record_u64(volume, "device-bytes", 0) == bytes) {
        s_add(line, "-s");
        s_add(line, "%" PRIu64, rmt_record_u64(volume, "block-size", sector) / sector);
    }
}

static void
s_make_swap(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    (void) bytes;
    s_add(line, "mkswap");
    s_add_field(line, "-U", volume, "uuid");
    s_add_field(line, "-L", volume, "label");
}

static int
s_device_bytes(const char *device, uint64_t *bytes_out, rmt_error_t *error)
{
    rmt_auto_fd fd = open(device, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd == -1 || fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "open %s", device);
    *bytes_out = (uint64_t) info.st_size;
    if (S_ISBLK(info.st_mode) && ioctl(fd, BLKGETSIZE64, bytes_out) == -1)
        return rmt_fail_errno(error, "size of %s", device);
    return 0;
}

// Features are a set, whatever their order.
static bool
s_has_features(const rmt_record_t *volume, const char *features)
{
    rmt_auto_str copy = rmt_text("%s", features);
    char *rest = copy;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        if (word[0] && !s_has_feature(volume, word))
            return false;
    }
    return true;
}

static bool
s_is_as_asked(const rmt_record_t *volume, const rmt_record_t *made, const char *field)
{
    const char *wanted = rmt_record_text(volume, field, NULL);
    const char *had = rmt_record_text(made, field, "");
    if (!wanted)
        return true;
    if (strcmp(field, "features") == 0)
        return s_has_features(made, wanted) && s_has_features(volume, had);
    return strcmp(wanted, had) == 0;
}

// mkfs programs follow their own minds where they are older or newer than the image,
// so what they made is looked at before anything is written into it.
static int
s_check(const rmt_fs_row_t *row, const rmt_record_t *volume, const char *device,
        rmt_error_t *error)
{
    rmt_auto(rmt_record) made = rmt_fs_probe(device, error);
    if (!made)
        return -1;
    rmt_auto_str fields = rmt_text("fs %s", row->checked);
    char *rest = fields;
    for (char *field = strsep(&rest, " "); field; field = strsep(&rest, " ")) {
        if (!s_is_as_asked(volume, made, field))
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "%s: mkfs made %s with %s '%s' instead of '%s'", device,
                            row->name, field, rmt_record_text(made, field, ""),
                            rmt_record_text(volume, field, ""));
    }
    return 0;
}

// Neither the blkid cache nor the defaults of the running system may have a say.
static int
s_run(const rmt_fs_line_t *line, rmt_error_t *error)
{
    const char *words[RMT_FS_ARGUMENTS_MAX + 4] = {
        "env",
        "BLKID_FILE=/dev/null",
        "MKE2FS_CONFIG=/dev/null",
    };
    for (size_t i = 0; i < line->count; i++)
        words[3 + i] = line->words[i];
    return rmt_process_run(words, NULL, NULL, error);
}

int
rmt_fs_make(const rmt_record_t *volume, const char *device, rmt_error_t *error)
{
    assert(volume);
    assert(device);
    const char *fs = rmt_record_text(volume, "fs", "");
    const rmt_fs_row_t *row = rmt_fs_find_row(fs);
    if (!row)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "file system '%s' is not carried", fs);
    if (rmt_fs_wipe(device, error) == -1)
        return -1;
    if (!row->make)
        return 0;
    uint64_t bytes;
    if (s_device_bytes(device, &bytes, error) == -1)
        return -1;
    rmt_fs_line_t line = {.count = 0};
    row->make(&line, volume, bytes);
    s_add(&line, "%s", device);
    int rc = s_run(&line, error);
    if (rc == 0)
        rc = s_check(row, volume, device, error);
    for (size_t i = 0; i < line.count; i++)
        free(line.words[i]);
    return rc;
}
