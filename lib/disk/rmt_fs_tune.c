#include "disk/rmt_fs_tune.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define XFS_SECTOR 512 // In which mkfs.xfs counts stripes
#define STRIPED_MIN ((uint64_t) 1024 * 1024 * 1024)
#define XFS_NAMES_CI 0x4000

// As tune2fs calls the mount options that a superblock presets.
static const struct {
    uint32_t mask, bits;
    const char *name;
} s_mount_options[] = {
    {0x1, 0x1, "debug"},
    {0x2, 0x2, "bsdgroups"},
    {0x4, 0x4, "user_xattr"},
    {0x8, 0x8, "acl"},
    {0x10, 0x10, "uid16"},
    {0x60, 0x20, "journal_data"},
    {0x60, 0x40, "journal_data_ordered"},
    {0x60, 0x60, "journal_data_writeback"},
    {0x100, 0x100, "nobarrier"},
    {0x200, 0x200, "block_validity"},
    {0x400, 0x400, "discard"},
    {0x800, 0x800, "nodelalloc"},
};

static void
s_read_mount_options(uint32_t bits, rmt_record_t *volume)
{
    rmt_record_set(volume, "mount-presets", "");
    for (size_t i = 0; i < sizeof s_mount_options / sizeof *s_mount_options; i++) {
        const char *before = rmt_record_text(volume, "mount-presets", "");
        if ((bits & s_mount_options[i].mask) == s_mount_options[i].bits)
            rmt_record_setf(volume, "mount-presets", "%s%s%s", before, *before ? "," : "",
                            s_mount_options[i].name);
    }
}

static void
s_set_number(rmt_record_t *volume, const char *field, uint64_t number)
{
    if (number)
        rmt_record_set_u64(volume, field, number);
}

void
rmt_fs_tune_read_ext(const unsigned char *super, rmt_record_t *volume)
{
    static const char *const hashes[] = {"legacy", "half_md4", "tea"};
    const uint16_t mounts = rmt_get16(super + 0x36);
    const unsigned char *seed = super + 0xec;
    char words[65];
    s_read_mount_options(rmt_get32(super + 0x100), volume);
    // From 0x8000 it is a negative number, which is none.
    s_set_number(volume, "max-mounts", mounts < 0x8000 ? mounts : 0);
    s_set_number(volume, "check-interval", rmt_get32(super + 0x44));
    s_set_number(volume, "reserved-uid", rmt_get16(super + 0x50));
    s_set_number(volume, "reserved-gid", rmt_get16(super + 0x52));
    s_set_number(volume, "stride", rmt_get16(super + 0x164));
    s_set_number(volume, "stripe-width", rmt_get32(super + 0x170));
    if (super[0xfc] < sizeof hashes / sizeof *hashes)
        rmt_record_set(volume, "name-hash", hashes[super[0xfc]]);
    char text[40];
    snprintf(text, sizeof text,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7],
             seed[8], seed[9], seed[10], seed[11], seed[12], seed[13], seed[14],
             seed[15]);
    rmt_record_set(volume, "hash-seed", text);
    memcpy(words, super + 0x200, 64);
    words[64] = '\0';
    if (*words)
        rmt_record_set(volume, "mount-options", words);
}

static bool
s_is_seed(const char *text)
{
    return *text && !text[strspn(text, "0123456789abcdef-")] &&
           strspn(text, "0-") < strlen(text);
}

// "stride=16,stripe_width=64,hash_seed=...": the value of a field, with a comma before it
// where it is not the first.
static void
s_add_extended(char **all, const char *name, const char *value)
{
    char *more = rmt_text("%s%s%s=%s", *all, **all ? "," : "", name, value);
    free(*all);
    *all = more;
}

void
rmt_fs_tune_make_ext(rmt_fs_line_t *line, const rmt_record_t *volume)
{
    rmt_auto_str all = rmt_text("%s", "");
    const char *stride = rmt_record_text(volume, "stride", "");
    const char *width = rmt_record_text(volume, "stripe-width", "");
    const char *seed = rmt_record_text(volume, "hash-seed", "");
    if (*stride)
        s_add_extended(&all, "stride", stride);
    if (*width)
        s_add_extended(&all, "stripe_width", width);
    if (s_is_seed(seed))
        s_add_extended(&all, "hash_seed", seed);
    if (!*all)
        return;
    rmt_fs_line_add(line, "-E");
    rmt_fs_line_add(line, "%s", all);
}

static void
s_add_number(rmt_fs_line_t *line, const char *option, const rmt_record_t *volume,
             const char *field, const char *unit)
{
    const uint64_t number = rmt_record_u64(volume, field, 0);
    if (!number)
        return;
    rmt_fs_line_add(line, "%s", option);
    rmt_fs_line_add(line, "%" PRIu64 "%s", number, unit);
}

// All options that a superblock may preset, each set or taken away.
static char *
s_presets(const char *wanted)
{
    char *all = rmt_text("%s", "");
    for (size_t i = 0; i < sizeof s_mount_options / sizeof *s_mount_options; i++) {
        const char *name = s_mount_options[i].name;
        const bool is_set = rmt_fs_has_word(wanted, name);
        // Of the three ways of the journal the last word counts, and a new file system
        // has none.
        if (s_mount_options[i].mask == 0x60 && !is_set)
            continue;
        char *more = rmt_text("%s%s%s%s", all, *all ? "," : "", is_set ? "" : "^", name);
        free(all);
        all = more;
    }
    return all;
}

void
rmt_fs_tune_ext(rmt_fs_line_t *line, const rmt_record_t *volume)
{
    if (!rmt_record_has(volume, "mount-presets"))
        return;
    rmt_auto_str presets = s_presets(rmt_record_text(volume, "mount-presets", ""));
    rmt_fs_line_add(line, "tune2fs");
    rmt_fs_line_add(line, "-o");
    rmt_fs_line_add(line, "%s", presets);
    s_add_number(line, "-c", volume, "max-mounts", "");
    s_add_number(line, "-i", volume, "check-interval", "s");
    s_add_number(line, "-u", volume, "reserved-uid", "");
    s_add_number(line, "-g", volume, "reserved-gid", "");
    const char *hash = rmt_record_text(volume, "name-hash", "");
    if (*hash) {
        rmt_fs_line_add(line, "-E");
        rmt_fs_line_add(line, "hash_alg=%s", hash);
    }
    // tune2fs takes no words with a comma, so a superblock that has some was written by
    // other means.
    const char *words = rmt_record_text(volume, "mount-options", "");
    if (*words && !strchr(words, ',')) {
        rmt_fs_line_add(line, "-E");
        rmt_fs_line_add(line, "mount_opts=%s", words);
    }
}

void
rmt_fs_tune_read_xfs(const unsigned char *super, rmt_record_t *volume)
{
    const uint64_t block = rmt_get32_be(super + 4);
    const uint32_t version = rmt_get16_be(super + 100);
    rmt_record_set_u64(volume, "inode-percent", super[127]);
    s_set_number(volume, "stripe-unit", rmt_get32_be(super + 184) * block);
    s_set_number(volume, "stripe-bytes", rmt_get32_be(super + 188) * block);
    if (super[192] < 16)
        rmt_record_set_u64(volume, "folder-block-size", block << super[192]);
    if (version & XFS_NAMES_CI)
        rmt_record_set(volume, "names", "ci");
}

void
rmt_fs_tune_make_xfs(rmt_fs_line_t *line, const rmt_record_t *volume, uint64_t bytes)
{
    const uint64_t unit = rmt_record_u64(volume, "stripe-unit", 0);
    const uint64_t all = rmt_record_u64(volume, "stripe-bytes", 0);
    const uint64_t folder = rmt_record_u64(volume, "folder-block-size", 0);
    const char *names = rmt_record_text(volume, "names", "");
    if (rmt_record_has(volume, "inode-percent")) {
        rmt_fs_line_add(line, "-i");
        rmt_fs_line_add(line, "maxpct=%" PRIu64,
                        rmt_record_u64(volume, "inode-percent", 0));
    }
    // In less than this the log that mkfs.xfs wants does not fit between stripes.
    if (unit && all && bytes >= STRIPED_MIN) {
        rmt_fs_line_add(line, "-d");
        rmt_fs_line_add(line, "sunit=%" PRIu64 ",swidth=%" PRIu64, unit / XFS_SECTOR,
                        all / XFS_SECTOR);
    }
    if (folder) {
        rmt_fs_line_add(line, "-n");
        rmt_fs_line_add(line, "size=%" PRIu64 "%s", folder,
                        strcmp(names, "ci") == 0 ? ",version=ci" : "");
    }
}
