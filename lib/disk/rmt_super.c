#include "disk/rmt_super.h"
#include "disk/rmt_fs_tune.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EXT_SUPER_OFFSET 1024
#define BTRFS_SUPER_OFFSET 65536
#define SUPER_SIZE 1024

typedef struct {
    uint32_t bit;
    // As mkfs calls it; "" for a state that is not made; behind "!" one not supported.
    const char *name;
} feature_t;

static const feature_t s_ext_compat[] = {
    {0x4, "has_journal"},     {0x8, "ext_attr"},        {0x10, "resize_inode"},
    {0x20, "dir_index"},      {0x200, "sparse_super2"}, {0x400, "fast_commit"},
    {0x800, "stable_inodes"}, {0x1000, "orphan_file"},  {0, NULL},
};

static const feature_t s_ext_incompat[] = {
    {0x2, "filetype"},
    {0x4, ""},
    {0x10, "meta_bg"},
    {0x40, "extent"},
    {0x80, "64bit"},
    {0x100, "mmp"},
    {0x200, "flex_bg"},
    {0x400, "ea_inode"},
    {0x2000, "metadata_csum_seed"},
    {0x4000, "large_dir"},
    {0x8000, "inline_data"},
    {0x8, "!journal_dev"},
    {0x1000, "!dirdata"},
    {0x10000, "!encrypt"},
    {0x20000, "!casefold"},
    {0, NULL},
};

static const feature_t s_ext_ro_compat[] = {
    {0x1, "sparse_super"},
    {0x2, "large_file"},
    {0x8, "huge_file"},
    {0x10, "uninit_bg"},
    {0x20, "dir_nlink"},
    {0x40, "extra_isize"},
    {0x100, "quota"},
    {0x200, "bigalloc"},
    {0x400, "metadata_csum"},
    {0x2000, "project"},
    {0x8000, "verity"},
    {0x10000, ""},
    {0, NULL},
};

static const feature_t s_xfs_ro_compat[] = {
    {0x1, "finobt"}, {0x2, "rmapbt"}, {0x4, "reflink"}, {0x8, "inobtcount"}, {0, NULL},
};

static const feature_t s_xfs_incompat[] = {
    {0x1, "ftype"},   {0x2, "sparse"},   {0x4, ""},
    {0x8, "bigtime"}, {0x20, "nrext64"}, {0, NULL},
};

// Those with a name are asked of mkfs, the others come by themselves or by use.
static const feature_t s_btrfs_incompat[] = {
    {0x1, ""},           {0x2, ""},   {0x4, "mixed-bg"}, {0x8, ""},
    {0x10, ""},          {0x20, ""},  {0x40, "extref"},  {0x100, "skinny-metadata"},
    {0x200, "no-holes"}, {0x400, ""}, {0, NULL},
};

static const feature_t s_btrfs_ro_compat[] = {
    {0x1, "free-space-tree"},
    {0x2, ""},
    {0, NULL},
};

// Append the names of all set bits to the field features; one without a row means
// that the file system cannot be made again as it is.
static int
s_add_features(rmt_record_t *volume, uint32_t bits, const feature_t *rows,
               const char *kind, rmt_error_t *error)
{
    for (; rows->bit; rows++) {
        if (!(bits & rows->bit))
            continue;
        if (rows->name[0] == '!')
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "%s has the feature %s, which is not supported",
                            rmt_record_text(volume, "fs", ""), rows->name + 1);
        bits &= ~rows->bit;
        const char *before = rmt_record_text(volume, "features", "");
        if (rows->name[0])
            rmt_record_setf(volume, "features", "%s%s%s", before, before[0] ? "," : "",
                            rows->name);
    }
    if (bits)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "%s has %s features 0x%x that are not supported",
                        rmt_record_text(volume, "fs", ""), kind, bits);
    return 0;
}

int
rmt_super_read_ext(int fd, rmt_record_t *volume, rmt_error_t *error)
{
    static const char *const errors[] = {"", "continue", "remount-ro", "panic"};
    unsigned char super[SUPER_SIZE];
    if (rmt_io_pread(fd, super, sizeof super, EXT_SUPER_OFFSET, error) == -1)
        return -1;
    const uint32_t revision = rmt_get32(super + 0x4c);
    const uint32_t incompat = rmt_get32(super + 0x60);
    if (revision == 0)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "ext2 of revision 0 is not supported");
    rmt_record_set(volume, "features", "");
    if (s_add_features(volume, rmt_get32(super + 0x5c), s_ext_compat, "compatible",
                       error) == -1 ||
        s_add_features(volume, incompat, s_ext_incompat, "incompatible", error) == -1 ||
        s_add_features(volume, rmt_get32(super + 0x64), s_ext_ro_compat, "read-only",
                       error) == -1)
        return -1;
    const bool wide = incompat & 0x80;
    const uint64_t blocks =
        rmt_get32(super + 0x4) | (wide ? (uint64_t) rmt_get32(super + 0x150) << 32 : 0);
    const uint64_t reserved =
        rmt_get32(super + 0x8) | (wide ? (uint64_t) rmt_get32(super + 0x154) << 32 : 0);
    const uint64_t free_blocks =
        rmt_get32(super + 0xc) | (wide ? (uint64_t) rmt_get32(super + 0x158) << 32 : 0);
    const uint32_t log_block = rmt_get32(super + 0x18);
    const uint32_t log_cluster = rmt_get32(super + 0x1c);
    if (log_block > 6 || log_cluster > 20 || blocks == 0 || free_blocks > blocks ||
        reserved > blocks || blocks > UINT64_MAX >> (10 + log_block) ||
        rmt_get32(super + 0x10) > rmt_get32(super))
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the superblock of the ext file system is damaged");
    const uint64_t block = 1024u << log_block;
    rmt_record_set_u64(volume, "block-size", block);
    rmt_record_set_u64(volume, "cluster-size", 1024ull << log_cluster);
    rmt_record_set_u64(volume, "bytes", blocks * block);
    rmt_record_set_u64(volume, "bytes-used", (blocks - free_blocks) * block);
    rmt_record_set_u64(volume, "inode-size", rmt_get16(super + 0x58));
    rmt_record_set_u64(volume, "inodes", rmt_get32(super));
    rmt_record_set_u64(volume, "inodes-used", rmt_get32(super) - rmt_get32(super + 0x10));
    rmt_record_setf(volume, "reserved-percent", "%.2f",
                    (double) reserved * 100.0 / (double) blocks);
    rmt_record_set_u64(volume, "flex-groups", 1ull << (super[0x174] & 31));
    const uint32_t behaviour = rmt_get16(super + 0x3c);
    if (behaviour >= 1 && behaviour <= 3)
        rmt_record_set(volume, "errors", errors[behaviour]);
    rmt_fs_tune_read_ext(super, volume);
    return 0;
}

int
rmt_super_read_xfs(int fd, rmt_record_t *volume, rmt_error_t *error)
{
    unsigned char super[SUPER_SIZE];
    if (rmt_io_pread(fd, super, sizeof super, 0, error) == -1)
        return -1;
    const uint64_t block = rmt_get32_be(super + 4);
    const uint64_t blocks =
        (uint64_t) rmt_get32_be(super + 8) << 32 | rmt_get32_be(super + 12);
    if (block == 0 || blocks > UINT64_MAX / block)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the superblock of the XFS file system is damaged");
    rmt_record_set_u64(volume, "block-size", block);
    rmt_record_set_u64(volume, "bytes", blocks * block);
    rmt_record_set_u64(volume, "sector-size", rmt_get16_be(super + 102));
    rmt_record_set_u64(volume, "inode-size", rmt_get16_be(super + 104));
    rmt_fs_tune_read_xfs(super, volume);
    const bool crc = (rmt_get16_be(super + 100) & 0xf) == 5;
    rmt_record_set(volume, "features", crc ? "crc" : "");
    if (!crc)
        return 0;
    if (s_add_features(volume, rmt_get32_be(super + 212), s_xfs_ro_compat, "read-only",
                       error) == -1)
        return -1;
    return s_add_features(volume, rmt_get32_be(super + 216), s_xfs_incompat,
                          "incompatible", error);
}

int
rmt_super_read_btrfs(int fd, rmt_record_t *volume, rmt_error_t *error)
{
    static const char *const sums[] = {"crc32c", "xxhash", "sha256", "blake2"};
    unsigned char super[SUPER_SIZE];
    if (rmt_io_pread(fd, super, sizeof super, BTRFS_SUPER_OFFSET, error) == -1)
        return -1;
    if (rmt_get32(super + 0x88) != 1)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "btrfs over %u devices is not supported",
                        rmt_get32(super + 0x88));
    const uint64_t bytes = rmt_get64(super + 0x70), used = rmt_get64(super + 0x78);
    if (used > bytes)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the superblock of the btrfs file system is damaged");
    rmt_record_set_u64(volume, "bytes", bytes);
    rmt_record_set_u64(volume, "block-size", rmt_get32(super + 0x90));
    rmt_record_set_u64(volume, "node-size", rmt_get32(super + 0x94));
    rmt_record_set_u64(volume, "bytes-used", used);
    const uint32_t sum = rmt_get16(super + 0xc4);
    if (sum >= sizeof sums / sizeof *sums)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "btrfs with checksums of kind %u is not supported", sum);
    rmt_record_set(volume, "checksum", sums[sum]);
    rmt_record_set(volume, "features", "");
    // No feature has a bit in the upper halves.
    if (rmt_get32(super + 0xb8) || rmt_get32(super + 0xc0))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "btrfs has features of a later kind that are not supported");
    if (s_add_features(volume, rmt_get32(super + 0xbc), s_btrfs_incompat, "incompatible",
                       error) == -1)
        return -1;
    return s_add_features(volume, rmt_get32(super + 0xb4), s_btrfs_ro_compat, "read-only",
                          error);
}

int
rmt_super_read_vfat(int fd, rmt_record_t *volume, rmt_error_t *error)
{
    unsigned char boot[512];
    if (rmt_io_pread(fd, boot, sizeof boot, 0, error) == -1)
        return -1;
    const uint32_t sector = rmt_get16(boot + 11);
    const uint32_t small = rmt_get16(boot + 19);
    const uint64_t sectors = small ? small : rmt_get32(boot + 32);
    rmt_record_set_u64(volume, "sector-size", sector);
    rmt_record_set_u64(volume, "block-size", (uint64_t) sector * boot[13]);
    rmt_record_set_u64(volume, "bytes", sectors * sector);
    // FAT32 has no 16-bit size of the table; the others are told apart by the number
    // of clusters.
    const uint32_t fat_size = rmt_get16(boot + 22);
    if (fat_size == 0) {
        rmt_record_set(volume, "fat-bits", "32");
        return 0;
    }
    const uint64_t root =
        ((uint64_t) rmt_get16(boot + 17) * 32 + sector - 1) / (sector ? sector : 1);
    const uint64_t meta = rmt_get16(boot + 14) + (uint64_t) boot[16] * fat_size + root;
    if (boot[13] == 0 || sector == 0 || meta > sectors)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the boot sector of the FAT file system is damaged");
    rmt_record_set(volume, "fat-bits", (sectors - meta) / boot[13] < 4085 ? "12" : "16");
    return 0;
}
