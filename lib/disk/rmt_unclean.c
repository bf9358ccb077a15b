#include "disk/rmt_unclean.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "disk/rmt_xlog.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SUPER_SIZE 1024
#define EXT_SUPER_OFFSET 1024
#define BTRFS_SUPER_OFFSET 65536

typedef int look_t(int fd, rmt_unclean_t *unclean_out, const char **why_out,
                   rmt_error_t *error);

static look_t s_look_ext, s_look_xfs, s_look_btrfs, s_look_vfat;

static const struct {
    const char *fs;
    look_t *look;
} s_rows[] = {
    {"ext4", s_look_ext}, {"ext3", s_look_ext},    {"ext2", s_look_ext},
    {"xfs", s_look_xfs},  {"btrfs", s_look_btrfs}, {"vfat", s_look_vfat},
};

static int
s_is(rmt_unclean_t unclean, const char *why, rmt_unclean_t *unclean_out,
     const char **why_out)
{
    *unclean_out = unclean;
    *why_out = why;
    return 0;
}

static bool
s_is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

static int
s_look_ext(int fd, rmt_unclean_t *unclean_out, const char **why_out, rmt_error_t *error)
{
    uint8_t super[SUPER_SIZE];
    if (rmt_io_pread(fd, super, sizeof super, EXT_SUPER_OFFSET, error) == -1)
        return -1;
    const bool has_journal = rmt_get32(super + 0x5c) & 0x4;
    const uint16_t state = rmt_get16(super + 0x3a);
    if (has_journal && rmt_get32(super + 0xe0) == 0 && !s_is_zero(super + 0xd0, 16))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "its journal is on another device, which ramet does not carry; "
                        "give it one of its own: tune2fs -O ^has_journal DEVICE && "
                        "tune2fs -j DEVICE");
    if (rmt_get32(super + 0x60) & 0x4)
        return s_is(RMT_UNCLEAN_LOG, "its journal was not replayed", unclean_out,
                    why_out);
    if (state & 0x2)
        return s_is(RMT_UNCLEAN_CHECK, "the kernel has found errors in it", unclean_out,
                    why_out);
    if (!(state & 0x1))
        return s_is(RMT_UNCLEAN_CHECK, "it was in use, and has no journal", unclean_out,
                    why_out);
    if (rmt_get32(super + 0xe8) || rmt_get32(super + 0x64) & 0x10000)
        return s_is(RMT_UNCLEAN_LOG, "it has files that were deleted while in use",
                    unclean_out, why_out);
    return s_is(RMT_UNCLEAN_NOT, "", unclean_out, why_out);
}

static int
s_look_xfs(int fd, rmt_unclean_t *unclean_out, const char **why_out, rmt_error_t *error)
{
    uint8_t super[SUPER_SIZE];
    if (rmt_io_pread(fd, super, sizeof super, 0, error) == -1)
        return -1;
    const uint64_t block = rmt_get32_be(super + 4);
    const uint64_t log =
        (uint64_t) rmt_get32_be(super + 48) << 32 | rmt_get32_be(super + 52);
    const unsigned group_log = super[124];
    bool is_clean = false;
    if (log == 0)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "its log is on another device, which ramet does not carry; "
                        "make the file system again, with its log inside");
    if (group_log > 31)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the superblock of the XFS file system is damaged");
    // Where the log begins is said as a group and a block in it.
    const uint64_t group = log >> group_log;
    const uint64_t start =
        group * rmt_get32_be(super + 84) + (log & ((UINT64_C(1) << group_log) - 1));
    if (rmt_xlog_is_clean(fd, start * block, rmt_get32_be(super + 96) * block, &is_clean,
                          error) == -1)
        return -1;
    return s_is(is_clean ? RMT_UNCLEAN_NOT : RMT_UNCLEAN_LOG, "its log was not replayed",
                unclean_out, why_out);
}

static int
s_look_btrfs(int fd, rmt_unclean_t *unclean_out, const char **why_out, rmt_error_t *error)
{
    uint8_t super[SUPER_SIZE];
    if (rmt_io_pread(fd, super, sizeof super, BTRFS_SUPER_OFFSET, error) == -1)
        return -1;
    return s_is(rmt_get64(super + 0x60) ? RMT_UNCLEAN_LOG : RMT_UNCLEAN_NOT,
                "its log tree was not replayed", unclean_out, why_out);
}

// Systems tell it by a bit in the boot sector, or by one in the second entry of the
// table, which is clear while the volume is in use. Those beside them tell of faults of
// the disk.
static int
s_look_vfat(int fd, rmt_unclean_t *unclean_out, const char **why_out, rmt_error_t *error)
{
    uint8_t boot[512], table[8];
    if (rmt_io_pread(fd, boot, sizeof boot, 0, error) == -1)
        return -1;
    const bool is_wide = rmt_get16(boot + 22) == 0;
    const off_t at = (off_t) rmt_get16(boot + 11) * rmt_get16(boot + 14);
    if (rmt_io_pread(fd, table, sizeof table, at, error) == -1)
        return -1;
    // The entries of the smallest tables are too short for such a bit.
    const bool has_bits = is_wide || memcmp(boot + 54, "FAT12", 5) != 0;
    const uint32_t entry = is_wide ? rmt_get32(table + 4) : rmt_get16(table + 2);
    const uint32_t clean = is_wide ? 0x08000000 : 0x8000;
    const bool is_unclean =
        boot[is_wide ? 0x41 : 0x25] & 1 || (has_bits && (entry & clean) != clean);
    return s_is(is_unclean ? RMT_UNCLEAN_CHECK : RMT_UNCLEAN_NOT, "its dirty bit is set",
                unclean_out, why_out);
}

int
rmt_unclean_look(const char *fs, const char *device, rmt_unclean_t *unclean_out,
                 const char **why_out, rmt_error_t *error)
{
    assert(fs && device);
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strcmp(s_rows[i].fs, fs) != 0)
            continue;
        rmt_auto_fd fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
        if (fd == -1 && errno == EBUSY)
            break;
        return fd == -1 ? rmt_fail_errno(error, "open %s", device)
                        : s_rows[i].look(fd, unclean_out, why_out, error);
    }
    return s_is(RMT_UNCLEAN_NOT, "", unclean_out, why_out);
}
