#include "agent/install/prepare.h"
#include "agent/hardware.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_fuse_disk.h"
#include "disk/rmt_luks.h"
#include "disk/rmt_remake.h"
#include "machine/rmt_inventory.h"
#include "match/rmt_match.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#define FREE_MS 5000
#define FREE_STEP_MS 50

// The only disk with this identity: names may swap between boots, so a second one that
// answers to it is an end, never a guess.
static const rmt_record_t *
s_find_disk(const rmt_records_t *hardware, const char *identity, const char *role,
            rmt_error_t *error)
{
    const rmt_record_t *found = NULL;
    for (size_t i = 0; i < rmt_records_count(hardware); i++) {
        const rmt_record_t *disk = rmt_records_at(hardware, i);
        if (strcmp(rmt_record_text(disk, "class", ""), "disk") != 0 ||
            strcmp(rmt_match_disk_identity(disk), identity) != 0)
            continue;
        if (found) {
            rmt_fail(error, RMT_E_INCOMPATIBLE,
                     "two disks are '%s', and role %s is one disk: %s (%s) and %s (%s)",
                     identity, role, rmt_record_text(found, "name", "?"),
                     rmt_record_text(found, "path", "without a path"),
                     rmt_record_text(disk, "name", "?"),
                     rmt_record_text(disk, "path", "without a path"));
            return NULL;
        }
        found = disk;
    }
    if (!found || !*identity) {
        rmt_fail(error, RMT_E_INCOMPATIBLE,
                 "this machine has no disk '%s', which the order chose for role %s",
                 identity, role);
        return NULL;
    }
    return found;
}

// A table counts in sectors, and so do file systems inside: there is no translation.
static int
s_check_sector(const rmt_layout_disk_t *ordered, const rmt_record_t *disk,
               const char *path, rmt_error_t *error)
{
    const uint64_t had = rmt_record_u64(disk, "logical-sector", 512);
    if (ordered->sector == had)
        return 0;
    return rmt_fail(error, RMT_E_INCOMPATIBLE,
                    "disk %s has sectors of %" PRIu64
                    " bytes, and the image's disk has sectors of %" PRIu64,
                    path, had, ordered->sector);
}

// What the system of this machine has started by itself, such as an array, would go on
// writing to the disk. A writer that was ended may still be letting go of it.
static int
s_check_free(const rmt_record_t *disk, const char *path, rmt_error_t *error)
{
    const int64_t until = rmt_clock_ms() + FREE_MS;
    rmt_error_t why = {0};
    while (rmt_blockdev_check_free(path, &why) == -1) {
        const struct timespec step = {.tv_nsec = FREE_STEP_MS * 1000000L};
        if (why.code == RMT_E_REFUSED && rmt_clock_ms() < until) {
            nanosleep(&step, NULL);
            continue;
        }
        rmt_auto_str words = rmt_inventory_disk_words(disk);
        return rmt_fail(error, why.code,
                        "%s: %s; stop that first (umount, swapoff, mdadm --stop, "
                        "vgchange -an, cryptsetup close)",
                        words, why.text);
    }
    return 0;
}

// Before anything is written, and before the target is armed.
static int
s_check_writable(const rmt_record_t *disk, const char *path, rmt_error_t *error)
{
    int is_read_only = 0;
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open disk %s", path);
    struct stat status;
    const bool is_device = fstat(fd, &status) == 0 && S_ISBLK(status.st_mode);
    if (is_device)
        (void) ioctl(fd, BLKROGET, &is_read_only);
    else
        is_read_only = access(path, W_OK) == -1 && errno == EROFS;
    if (!is_read_only)
        return is_device ? s_check_free(disk, path, error) : 0;
    rmt_auto_str words = rmt_inventory_disk_words(disk);
    return rmt_fail(error, RMT_E_DISK, "%s is read-only: nothing can be written to %s",
                    words, path);
}

static int
s_check_size(const rmt_order_t *order, const rmt_order_choice_t *choice,
             const rmt_record_t *disk, const char *path, rmt_error_t *error)
{
    const rmt_layout_disk_t *ordered = rmt_layout_find_disk(order->layout, choice->role);
    uint64_t bytes = 0;
    if (rmt_hardware_disk_bytes(path, &bytes, error) == -1)
        return -1;
    if (bytes != choice->bytes)
        return rmt_fail(error, RMT_E_INCOMPATIBLE,
                        "disk %s has %" PRIu64 " bytes, and the order says %" PRIu64,
                        path, bytes, choice->bytes);
    const uint64_t needed =
        rmt_layout_min_bytes(order->layout, (size_t) (ordered - order->layout->disks));
    if (needed > bytes)
        return rmt_fail(error, RMT_E_NO_SPACE,
                        "disk %s is too small: the order needs %" PRIu64
                        " bytes, and the disk has %" PRIu64,
                        path, needed, bytes);
    return s_check_sector(ordered, disk, path, error);
}

// With the programs of this very machine, which may be others than the source's.
static int
s_check_remake(const rmt_order_t *order, const rmt_order_choice_t *choice,
               rmt_error_t *error)
{
    const rmt_layout_disk_t *ordered = rmt_layout_find_disk(order->layout, choice->role);
    return rmt_remake_try(order->layout, (size_t) (ordered - order->layout->disks),
                          choice->bytes, false, error);
}

static int
s_add(rmt_records_t *disks, const rmt_order_choice_t *choice, const rmt_record_t *disk,
      const char *path, rmt_error_t *error)
{
    struct stat status;
    if (stat(path, &status) == -1)
        return rmt_fail_errno(error, "disk %s", path);
    rmt_record_t *record = rmt_records_add(disks);
    rmt_record_set(record, "class", "target");
    rmt_record_set(record, "role", choice->role);
    rmt_record_set(record, "path", path);
    rmt_record_set(record, "name", rmt_record_text(disk, "name", ""));
    rmt_record_set(record, "identity", rmt_match_disk_identity(disk));
    rmt_record_set(record, "logical-sector",
                   rmt_record_text(disk, "logical-sector", "512"));
    rmt_record_set_u64(record, "bytes", choice->bytes);
    rmt_auto_str words = rmt_inventory_disk_words(disk);
    rmt_record_set(record, "words", words);
    if (S_ISREG(status.st_mode)) {
        rmt_record_set_u64(record, "device", status.st_dev);
        rmt_record_set_u64(record, "inode", status.st_ino);
    }
    return 0;
}

rmt_records_t *
rmt_prepare_disks(const rmt_order_t *order, const rmt_records_t *hardware,
                  rmt_error_t *error)
{
    rmt_auto(rmt_records) disks = rmt_records_new();
    // It is used when the disks are already erased.
    const rmt_layout_t *layout = order->layout;
    if (rmt_layout_needs_fuse(layout) && rmt_fuse_disk_check(error) == -1)
        return NULL;
    if (layout->crypt_count && rmt_luks_check(error) == -1)
        return NULL;
    for (size_t i = 0; i < layout->volume_count; i++)
        if (rmt_fs_check_kernel(layout->volumes[i].fs, error) == -1)
            return NULL;
    for (size_t i = 0; i < order->choice_count; i++) {
        const rmt_order_choice_t *choice = &order->choices[i];
        const rmt_record_t *disk =
            s_find_disk(hardware, choice->disk, choice->role, error);
        if (!disk)
            return NULL;
        // What stands for a disk is named by its path.
        const char *name = rmt_record_text(disk, "name", "");
        rmt_auto_str path = rmt_text("%s%s", *name == '/' ? "" : "/dev/", name);
        if (rmt_records_find(disks, "path", path)) {
            rmt_fail(error, RMT_E_INCOMPATIBLE, "the order chose disk %s for two roles",
                     path);
            return NULL;
        }
        if (s_check_writable(disk, path, error) == -1 ||
            s_check_size(order, choice, disk, path, error) == -1 ||
            s_add(disks, choice, disk, path, error) == -1 ||
            s_check_remake(order, choice, error) == -1)
            return NULL;
    }
    return rmt_take(&disks);
}
