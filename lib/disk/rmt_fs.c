#include "disk/rmt_fs.h"
#include "base/rmt_auto.h"
#include "disk/rmt_fs_rows.h"
#include "disk/rmt_gpt.h"
#include "base/rmt_io.h"
#include "disk/rmt_wipe.h"

#include <assert.h>
#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((uint64_t) 1024 * 1024)
#define LOOK_STEP 65536

static void
s_free_probe(blkid_probe *probe)
{
    blkid_free_probe(*probe);
}

#define s_auto_probe __attribute__((cleanup(s_free_probe))) blkid_probe

static blkid_probe
s_new_probe(int fd, const char *path, rmt_error_t *error)
{
    blkid_probe probe = blkid_new_probe();
    if (!probe)
        abort();
    errno = EIO; // Where blkid gives none
    if (blkid_probe_set_device(probe, fd, 0, 0) == 0)
        return probe;
    rmt_fail_errno(error, "probe %s", path);
    blkid_free_probe(probe);
    return NULL;
}

static void
s_copy_value(blkid_probe probe, const char *name, rmt_record_t *volume, const char *field)
{
    const char *data;
    size_t size;
    if (blkid_probe_lookup_value(probe, name, &data, &size) == 0 && size > 1)
        rmt_record_set(volume, field, data);
}

// What was here before often leaves a signature. Which one is right is not ramet's to
// say.
static int
s_refuse_several(blkid_probe probe, const char *path, rmt_error_t *error)
{
    rmt_auto_str all = rmt_text("%s", "");
    const char *type;
    blkid_reset_probe(probe);
    // Of some layers each of many copies is found.
    while (blkid_do_probe(probe) == 0) {
        if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL) == -1 ||
            strstr(all, type))
            continue;
        char *longer = rmt_text("%s%s%s", all, *all ? ", " : "", type);
        free(all);
        all = longer;
    }
    return rmt_fail(
        error, RMT_E_REFUSED,
        "%s has signatures of several file systems: %s; erase the one that is "
        "left over from an earlier use: wipefs -a -b -t TYPE DEVICE",
        path, all);
}

// A negative result of blkid: an errno, or -1 for none in particular.
static int
s_fail_probe(int rc, const char *path, rmt_error_t *error)
{
    errno = rc == -1 ? EIO : -rc;
    return rmt_fail_errno(error, "probe %s", path);
}

// Field fs from what blkid says. 0, or -1 for what is refused.
static int
s_probe_type(blkid_probe probe, const char *path, rmt_record_t *volume,
             rmt_error_t *error)
{
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID |
                                                 BLKID_SUBLKS_LABEL | BLKID_SUBLKS_USAGE |
                                                 BLKID_SUBLKS_VERSION);
    const int rc = blkid_do_safeprobe(probe);
    if (rc == -2)
        return s_refuse_several(probe, path, error);
    if (rc < 0)
        return s_fail_probe(rc, path, error);
    const char *type = "none";
    if (rc == 0 && blkid_probe_lookup_value(probe, "TYPE", &type, NULL) == -1)
        type = "none";
    rmt_record_set(volume, "fs", type);
    s_copy_value(probe, "UUID", volume, "uuid");
    s_copy_value(probe, "LABEL", volume, "label");
    return 0;
}

static int
s_refuse(const char *path, const char *fs, rmt_error_t *error)
{
    // Its memory is that of a system in the middle of its work.
    if (strcmp(fs, "swsuspend") == 0)
        return rmt_fail(error, RMT_E_REFUSED,
                        "%s holds the memory of a hibernated system; start that machine "
                        "and shut it down",
                        path);
    return rmt_fail(error, RMT_E_UNSUPPORTED, "%s holds %s, which is not supported", path,
                    fs);
}

// What has partitions of its own is a disk: that of a virtual machine, or one of which
// the table is damaged or of a kind that is not read (GPT without its protective MBR, as
// is found here, is none for the kernel).
static int
s_refuse_table(int fd, const char *path, rmt_error_t *error)
{
    s_auto_probe probe = s_new_probe(fd, path, error);
    if (!probe)
        return -1;
    if (rmt_gpt_check(fd, 0, 0, path, error) == -1)
        return -1;
    blkid_probe_enable_superblocks(probe, 0);
    blkid_probe_enable_partitions(probe, 1);
    blkid_probe_set_partitions_flags(probe, BLKID_PARTS_FORCE_GPT);
    const int rc = blkid_do_fullprobe(probe);
    if (rc < 0)
        return s_fail_probe(rc, path, error);
    blkid_partlist list = rc == 0 ? blkid_probe_get_partitions(probe) : NULL;
    if (!list || blkid_partlist_numof_partitions(list) == 0)
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "%s holds a partition table of kind %s, in a place or a state in "
                    "which none is read",
                    path, blkid_parttable_get_type(blkid_partlist_get_table(list)));
}

// Data that no signature explains must not go unseen: a layer may keep its header
// elsewhere. One that is in use has something in its first MiB.
static int
s_look_for_data(int fd, const char *path, rmt_record_t *volume, rmt_error_t *error)
{
    static const char zeros[LOOK_STEP];
    char data[LOOK_STEP];
    for (size_t done = 0; done < MIB; done += LOOK_STEP) {
        const ssize_t got = pread(fd, data, sizeof data, (off_t) done);
        if (got == -1)
            return rmt_fail_errno(error, "read %s", path);
        if (memcmp(data, zeros, (size_t) got) != 0) {
            rmt_record_set(volume, "content", "unknown");
            return 0;
        }
        if ((size_t) got < sizeof data)
            break;
    }
    return 0;
}

// No kernel mounts one that goes on behind its device.
static int
s_check_end(const char *path, const rmt_record_t *volume, rmt_error_t *error)
{
    const uint64_t bytes = rmt_record_u64(volume, "bytes", 0);
    const uint64_t has = rmt_record_u64(volume, "device-bytes", 0);
    if (bytes <= has)
        return 0;
    return rmt_fail(error, RMT_E_CORRUPT,
                    "%s holds %s of %" PRIu64 " bytes, and has %" PRIu64
                    " itself: correct the table or the size of the file system",
                    path, rmt_record_text(volume, "fs", ""), bytes, has);
}

rmt_record_t *
rmt_fs_probe(const char *path, rmt_error_t *error)
{
    assert(path);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        rmt_fail_errno(error, "open %s", path);
        return NULL;
    }
    s_auto_probe probe = s_new_probe(fd, path, error);
    if (!probe)
        return NULL;
    rmt_auto(rmt_record) volume = rmt_record_new();
    rmt_record_set(volume, "class", "volume");
    if (s_probe_type(probe, path, volume, error) == -1)
        return NULL;
    rmt_record_set_u64(volume, "device-bytes", (uint64_t) blkid_probe_get_size(probe));
    const char *fs = rmt_record_text(volume, "fs", "");
    const rmt_fs_row_t *row = rmt_fs_find_row(fs);
    if (!row) {
        s_refuse(path, fs, error);
        return NULL;
    }
    if (strcmp(fs, "none") == 0 && (s_refuse_table(fd, path, error) == -1 ||
                                    s_look_for_data(fd, path, volume, error) == -1))
        return NULL;
    if (row->read && row->read(fd, volume, error) == -1) {
        rmt_wrap(error, "%s", path);
        return NULL;
    }
    return s_check_end(path, volume, error) == -1 ? NULL : rmt_take(&volume);
}

int
rmt_fs_identify(int fd, uint64_t offset, uint64_t bytes, rmt_record_t *record,
                rmt_error_t *error)
{
    s_auto_probe probe = blkid_new_probe();
    if (!probe)
        abort();
    if (blkid_probe_set_device(probe, fd, (blkid_loff_t) offset, (blkid_loff_t) bytes) ==
        -1)
        return s_fail_probe(-1, "it", error);
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID |
                                                 BLKID_SUBLKS_LABEL);
    const int rc = blkid_do_safeprobe(probe);
    if (rc == -2)
        return s_refuse_several(probe, "it", error);
    if (rc < 0)
        return s_fail_probe(rc, "it", error);
    if (rc != 0)
        return 0;
    s_copy_value(probe, "TYPE", record, "fs");
    s_copy_value(probe, "UUID", record, "uuid");
    s_copy_value(probe, "LABEL", record, "label");
    return 0;
}

int
rmt_fs_is_physical(const char *path, bool *is_physical_out, rmt_error_t *error)
{
    assert(path && is_physical_out);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    s_auto_probe probe = s_new_probe(fd, path, error);
    rmt_auto(rmt_record) found = rmt_record_new();
    if (!probe || s_probe_type(probe, path, found, error) == -1)
        return -1;
    *is_physical_out = rmt_record_is(found, "fs", "LVM2_member");
    return 0;
}

int
rmt_fs_refuse_layers(const char *disk, rmt_error_t *error)
{
    assert(disk);
    rmt_auto_fd fd = open(disk, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", disk);
    s_auto_probe probe = s_new_probe(fd, disk, error);
    if (!probe)
        return -1;
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
    blkid_probe_filter_superblocks_usage(probe, BLKID_FLTR_ONLYIN,
                                         BLKID_USAGE_RAID | BLKID_USAGE_CRYPTO);
    // With several any of them will do.
    const char *type = "a layer such as LVM or RAID";
    int rc = blkid_do_probe(probe);
    if (rc == 1) {
        // A table on the disk of a hybrid image is for its firmware alone.
        char *hybrids[] = {"iso9660", NULL};
        blkid_reset_probe(probe);
        blkid_probe_filter_superblocks_type(probe, BLKID_FLTR_ONLYIN, hybrids);
        rc = blkid_do_probe(probe);
    }
    if (rc != 0)
        return rc < 0 ? s_fail_probe(rc, disk, error) : 0;
    (void) blkid_probe_lookup_value(probe, "TYPE", &type, NULL);
    return s_refuse(disk, type, error);
}

bool
rmt_fs_is_mounted(rmt_fs_kind_t fs)
{
    const rmt_fs_row_t *row = rmt_fs_find_row(rmt_fs_kind_name(fs));
    return row && row->mount_type;
}

int
rmt_fs_check_kernel(rmt_fs_kind_t fs, rmt_error_t *error)
{
    const rmt_fs_row_t *row = rmt_fs_find_row(rmt_fs_kind_name(fs));
    if (!row || !row->mount_type)
        return 0;
    rmt_auto_fd context = fsopen(row->mount_type, FSOPEN_CLOEXEC);
    if (context != -1 || errno != ENODEV)
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "the kernel of this machine has no driver for %s, and loads none; "
                    "start it with a kernel that has one, or load it: modprobe %s",
                    row->name, row->mount_type);
}

int
rmt_fs_mount(rmt_fs_kind_t fs, const char *subvolume, const char *device,
             const char *folder, bool read_only, rmt_error_t *error)
{
    const rmt_fs_row_t *row = rmt_fs_find_row(rmt_fs_kind_name(fs));
    assert(row);
    if (!row->mount_type)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "%s is not mounted", row->name);
    const unsigned long flags =
        MS_NODEV | MS_NOSUID | MS_NOEXEC | MS_NOATIME | (read_only ? MS_RDONLY : 0);
    const char *own = read_only ? row->options_read : row->options_write;
    // Without a word btrfs mounts its default subvolume, whichever that is.
    const bool is_btrfs = fs == RMT_FS_BTRFS;
    rmt_auto_str options = rmt_text("%s%s%s%s", own, is_btrfs && *own ? "," : "",
                                    !is_btrfs   ? ""
                                    : subvolume ? "subvol=/"
                                                : "subvolid=5",
                                    is_btrfs && subvolume ? subvolume : "");
    if (mount(device, folder, row->mount_type, flags, options) == -1)
        return rmt_fail_errno(error, "mount %s of %s", row->name, device);
    return 0;
}

int
rmt_fs_replay(const char *fs, const char *device, const char *folder, rmt_error_t *error)
{
    const rmt_fs_row_t *row = rmt_fs_find_row(fs);
    assert(row && row->options_replay);
    if (mount(device, folder, row->mount_type,
              MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, row->options_replay) == -1)
        return rmt_fail(error, RMT_E_REFUSED, "the kernel does not replay it: %s",
                        strerror(errno));
    return rmt_fs_unmount(folder, error);
}

int
rmt_fs_unmount(const char *folder, rmt_error_t *error)
{
    rmt_auto_fd fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", folder);
    const int synced = syncfs(fd);
    const int failure = errno;
    close(rmt_take_fd(&fd));
    if (umount2(folder, UMOUNT_NOFOLLOW) == -1)
        return rmt_fail_errno(error, "unmount %s", folder);
    errno = failure;
    return synced == -1 ? rmt_fail_errno(error, "sync %s", folder) : 0;
}

int
rmt_fs_wipe(const char *device, rmt_error_t *error)
{
    assert(device);
    const rmt_range_t whole = {0, 0};
    rmt_auto_fd fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", device);
    if (rmt_wipe_range(fd, device, &whole, error) == -1)
        return -1;
    if (fsync(fd) == -1)
        return rmt_fail_errno(error, "wipe %s", device);
    return rmt_wipe_check(fd, device, &whole, error);
}

static uint64_t
s_round_up(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB * MIB;
}

// Each file wastes half a block on average; folders and metadata of extents are
// covered by the spare. The journal of ext is at most what mke2fs takes.
static uint64_t
s_ext_min_bytes(const rmt_record_t *volume, uint64_t tree_bytes, uint64_t inodes)
{
    const uint64_t block = rmt_record_u64(volume, "cluster-size", 4096);
    const uint64_t inode_size = rmt_record_u64(volume, "inode-size", 256);
    const double reserved =
        strtod(rmt_record_text(volume, "reserved-percent", "5"), NULL);
    const uint64_t data = tree_bytes + inodes * (block / 2 + 64) + tree_bytes / 64;
    const uint64_t all = rmt_record_u64(volume, "bytes", data);
    const uint64_t old_inodes = rmt_record_u64(volume, "inodes", 0);
    const uint64_t ratio = old_inodes ? all / old_inodes : 0;
    const uint64_t by_ratio = data / (ratio ? ratio : 16384);
    const uint64_t tables = (inodes > by_ratio ? inodes : by_ratio) * inode_size * 9 / 8;
    uint64_t journal = 0;
    if (strstr(rmt_record_text(volume, "features", ""), "has_journal"))
        journal = data / 32 < 4 * MIB      ? 4 * MIB
                  : data / 32 > 1024 * MIB ? 1024 * MIB
                                           : data / 32;
    const double share = reserved < 50 ? 1.0 - reserved / 100.0 : 0.5;
    return s_round_up((uint64_t) ((double) (data + tables + journal) / share) + 8 * MIB);
}

uint64_t
rmt_fs_min_bytes(const rmt_record_t *volume, uint64_t tree_bytes, uint64_t inodes)
{
    assert(volume);
    const char *fs = rmt_record_text(volume, "fs", "none");
    const rmt_fs_row_t *row = rmt_fs_find_row(fs);
    // A volume without a tree of the image is not made smaller.
    if (!row || !row->mount_type)
        return rmt_record_u64(volume, "bytes", rmt_record_u64(volume, "device-bytes", 0));
    if (strncmp(fs, "ext", 3) == 0)
        return s_ext_min_bytes(volume, tree_bytes, inodes);
    const uint64_t block = rmt_record_u64(volume, "block-size", 4096);
    const uint64_t data = tree_bytes + tree_bytes / 16 + inodes * (block / 2 + 1024);
    return s_round_up(data + data / 20) + row->spare_bytes;
}
