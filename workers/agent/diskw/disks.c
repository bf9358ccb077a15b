#include "agent/diskw/disk_check.h"
#include "agent/diskw/work.h"
#include "agent/diskw/filter.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_clock.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#define DEV "/dev"
#define LOCK_MS 30000

// ---- A /dev with the ordered disks and nothing else of the machine

static int
s_make_node(const char *path, mode_t mode, dev_t device, rmt_error_t *error)
{
    if (mknod(path, mode | 0600, device) == -1 && errno != EEXIST)
        return rmt_fail_errno(error, "make node %s", path);
    return 0;
}

// What stands for an ordered disk: a device, or a file, which may lie below /dev too.
typedef struct {
    dev_t device; // 0: a file
    int file;     // Holds it; -1: a device
    char *path;   // Of the file, without links
} stand_t;

static void
s_clear_stands(stand_t *stands, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (stands[i].file != -1)
            close(stands[i].file);
        free(stands[i].path);
    }
}

static int
s_find_stand(const char *path, stand_t *stand, rmt_error_t *error)
{
    struct stat status;
    char real[PATH_MAX];
    *stand = (stand_t){.file = -1};
    if (stat(path, &status) == -1 || !realpath(path, real))
        return rmt_fail_errno(error, "disk %s", path);
    if (S_ISBLK(status.st_mode)) {
        stand->device = status.st_rdev;
        return 0;
    }
    stand->file = open(real, O_PATH | O_CLOEXEC);
    if (stand->file == -1)
        return rmt_fail_errno(error, "open disk %s", path);
    stand->path = rmt_text("%s", real);
    return 0;
}

// The new /dev hides what the old one has. A file keeps its path.
static int
s_show_file(const stand_t *stand, rmt_error_t *error)
{
    rmt_auto_str folder = rmt_text("%s", stand->path);
    rmt_auto_str from = rmt_text("/proc/self/fd/%d", stand->file);
    if (strncmp(stand->path, DEV "/", sizeof DEV) != 0)
        return 0;
    *strrchr(folder, '/') = '\0';
    if (rmt_io_mkdirs(folder, 0755, error) == -1 ||
        s_make_node(stand->path, S_IFREG, 0, error) == -1)
        return -1;
    if (mount(from, stand->path, NULL, MS_BIND, NULL) == -1)
        return rmt_fail_errno(error, "show disk %s in the new " DEV, stand->path);
    return 0;
}

static int
s_make_nodes(const rmt_records_t *targets, const stand_t *stands, size_t count,
             rmt_error_t *error)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } rows[] = {{"/dev/null", 1, 3},    {"/dev/zero", 1, 5},
                {"/dev/full", 1, 7},    {"/dev/random", 1, 8},
                {"/dev/urandom", 1, 9}, {"/dev/loop-control", 10, 237},
                {"/dev/fuse", 10, 229}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (s_make_node(rows[i].path, S_IFCHR, makedev(rows[i].major, rows[i].minor),
                        error) == -1)
            return -1;
    for (size_t i = 0; i < count; i++) {
        const char *path = rmt_record_text(rmt_records_at(targets, i), "path", "");
        const int rc = stands[i].device
                           ? s_make_node(path, S_IFBLK, stands[i].device, error)
                           : s_show_file(&stands[i], error);
        if (rc == -1)
            return -1;
    }
    return 0;
}

static int
s_mount_dev(rmt_error_t *error)
{
    // In a chroot the root is no mount point; /dev may be one.
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == -1 &&
        mount(NULL, DEV, NULL, MS_REC | MS_SLAVE, NULL) == -1)
        return rmt_fail_errno(error, "part the mounts of the writer from those of the "
                                     "machine; mount a file system on " DEV " first");
    if (mount("ramet", DEV, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m") == -1)
        return rmt_fail_errno(error, "mount a new " DEV);
    return 0;
}

// Tools that look for twins of a file system must not find other disks. A writer that
// cannot have a /dev of its own writes nothing.
static int
s_hide_devices(const rmt_records_t *targets, rmt_error_t *error)
{
    stand_t stands[RMT_LAYOUT_DISKS_MAX];
    size_t count = 0;
    int rc = 0;
    while (rc == 0 && count < rmt_records_count(targets) &&
           count < RMT_LAYOUT_DISKS_MAX) {
        const rmt_record_t *target = rmt_records_at(targets, count);
        rc = s_find_stand(rmt_record_text(target, "path", ""), &stands[count], error);
        count++;
    }
    if (rc == 0)
        rc = s_mount_dev(error);
    if (rc == 0)
        rc = s_make_nodes(targets, stands, count, error);
    s_clear_stands(stands, count);
    return rc;
}

// ---- Opening

// A writer whose agent was killed may still be letting go of the disk. No other writer
// may begin before it has: the lock goes with the last process that holds the disk.
static int
s_lock(rmt_work_t *self, const char *path, rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open disk %s", path);
    const int64_t end_ms = rmt_clock_ms() + LOCK_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return rmt_fail_errno(error, "lock disk %s", path);
        if (rmt_clock_ms() > end_ms)
            return rmt_fail(error, RMT_E_REFUSED, "another writer uses disk %s", path);
        if (rmt_work_is_over(self))
            return rmt_fail(error, RMT_E_CANCELLED, "the writer was ended by a signal");
        const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
    return rmt_take_fd(&fd);
}

static int
s_open(rmt_work_t *self, const rmt_record_t *target, rmt_error_t *error)
{
    const char *path = rmt_record_text(target, "path", "");
    const char *role = rmt_record_text(target, "role", "");
    const rmt_layout_disk_t *disk = rmt_layout_find_disk(self->layout, role);
    if (self->disk_count == RMT_LAYOUT_DISKS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the order has more than %d disks",
                        RMT_LAYOUT_DISKS_MAX);
    if (!disk)
        return rmt_fail(error, RMT_E_USAGE, "the order's layout has no disk '%s'", role);
    rmt_auto_fd lock = s_lock(self, path, error);
    if (lock == -1)
        return -1;
    rmt_auto(rmt_blockdev) device = rmt_blockdev_new(
        path, 0, (uint32_t) rmt_record_u64(target, "logical-sector", 512), DEV, error);
    if (!device)
        return rmt_wrap(error, "disk %s", path);
    if (rmt_disk_check(target, rmt_blockdev_fd(device), rmt_blockdev_bytes(device), "",
                       error) == -1)
        return -1;
    self->is_machine = self->is_machine && !rmt_record_has(target, "inode");
    self->disks[self->disk_count++] = (rmt_work_disk_t){
        .ordered = disk,
        .lock = rmt_take_fd(&lock),
        .device = rmt_take(&device),
        .words = rmt_text("%s", rmt_record_text(target, "words", path))};
    return 0;
}

// ---- Tables and file systems

static int
s_partition(rmt_work_t *self, rmt_work_disk_t *disk, rmt_error_t *error)
{
    self->at = disk;
    if (rmt_blockdev_forget(disk->device, error) == -1)
        return -1;
    if (RMT_FAILPOINT("disk.table.write") == -1)
        return rmt_fail_errno(error, "write the table of role %s", disk->ordered->role);
    disk->layout = rmt_disk_write(rmt_blockdev_path(disk->device), self->layout,
                                  (size_t) (disk->ordered - self->layout->disks), error);
    return disk->layout ? 0 : rmt_wrap(error, "role %s", disk->ordered->role);
}

static char *
s_device_of(rmt_work_t *self, rmt_work_disk_t *disk, const rmt_layout_volume_t *volume,
            rmt_error_t *error)
{
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(self->layout, volume);
    const rmt_layout_array_t *array = rmt_layout_array_of(self->layout, volume);
    const rmt_layout_crypt_t *crypt = rmt_layout_crypt_of(self->layout, volume);
    if (crypt)
        return rmt_text(
            "%s", rmt_fuse_disk_device(self->crypts[crypt - self->layout->crypts].disk));
    if (array)
        return rmt_text(
            "%s", rmt_fuse_disk_device(self->arrays[array - self->layout->arrays].disk));
    if (logical)
        return rmt_work_device_of_logical(self, logical, error);
    if (volume->partition == 0)
        return rmt_text("%s", rmt_blockdev_path(disk->device));
    const rmt_layout_partition_t *written =
        rmt_layout_find_partition(disk->layout, 0, volume->partition);
    if (written)
        return rmt_blockdev_partition(disk->device, (uint32_t) written->number,
                                      written->start, written->size, error);
    rmt_fail(error, RMT_E_USAGE, "the disk has no partition %" PRIu64 " for a volume",
             volume->partition);
    return NULL;
}

// Subvolumes are volumes of one device, which is made once.
static const rmt_work_volume_t *
s_find_sibling(const rmt_work_t *self, const rmt_layout_volume_t *volume)
{
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_layout_volume_t *own = self->volumes[i].ordered;
        if (own->subvolume && volume->subvolume && rmt_layout_is_beside(own, volume))
            return &self->volumes[i];
    }
    return NULL;
}

typedef struct {
    const rmt_record_t *format;
    const char *device;
} make_t;

static int
s_run_make(void *context, rmt_error_t *error)
{
    const make_t *self = context;
    return rmt_fs_make(self->format, self->device, error);
}

static int
s_make_fs(const rmt_layout_volume_t *volume, const char *device, rmt_error_t *error)
{
    make_t make = {volume->format, device};
    if (RMT_FAILPOINT("disk.fs.make") == -1)
        return rmt_fail_errno(error, "make a file system on %s", device);
    return rmt_filter_run(s_run_make, &make, error);
}

static int
s_add_volume(rmt_work_t *self, const rmt_layout_volume_t *volume, rmt_error_t *error)
{
    rmt_work_disk_t *disk = rmt_work_disk_of(self, volume->disk);
    assert(self->volume_count < RMT_LAYOUT_VOLUMES_MAX); // The layout was read with it
    if (!disk)
        return rmt_fail(error, RMT_E_USAGE,
                        "the order names no disk for role '%s', which has a volume",
                        self->layout->disks[volume->disk].role);
    self->at = disk;
    const rmt_work_volume_t *sibling = s_find_sibling(self, volume);
    rmt_auto_str device = sibling ? rmt_text("%s", sibling->device)
                                  : s_device_of(self, disk, volume, error);
    if (!device || (!sibling && s_make_fs(volume, device, error) == -1))
        return rmt_wrap(error, "volume '%s'", volume->mount ? volume->mount : "");
    self->total += volume->bytes_tree;
    self->volumes[self->volume_count++] =
        (rmt_work_volume_t){.ordered = volume, .device = rmt_take(&device)};
    return 0;
}

static int
s_format_volumes(rmt_work_t *self, rmt_error_t *error)
{
    const size_t count = self->layout->volume_count;
    for (size_t i = 0; i < count; i++)
        if (rmt_work_progress(self, "format", i, count, error) == -1 ||
            s_add_volume(self, &self->layout->volumes[i], error) == -1)
            return -1;
    return rmt_work_progress(self, "format", count, count, error);
}

// An order is the targets, which say what devices are meant, and the layout.
static int
s_read(rmt_work_t *self, const rmt_records_t *order, rmt_records_t *targets,
       rmt_error_t *error)
{
    rmt_auto(rmt_records) layout = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(order); i++) {
        const rmt_record_t *one = rmt_records_at(order, i);
        if (rmt_record_is(one, "class", "secret")) {
            if (rmt_work_take_secret(self, one, error) == -1)
                return -1;
            continue;
        }
        rmt_auto(rmt_record) copy = rmt_record_dup(one);
        rmt_records_append(rmt_record_is(copy, "class", "target") ? targets : layout,
                           &copy);
    }
    self->layout = rmt_layout_read(layout, error);
    return self->layout ? 0 : -1;
}

int
rmt_work_format(rmt_work_t *self, const rmt_records_t *order, rmt_error_t *error)
{
    rmt_auto(rmt_records) targets = rmt_records_new();
    if (self->layout)
        return rmt_fail(error, RMT_E_PROTOCOL, "a second order came");
    if (s_read(self, order, targets, error) == -1 ||
        rmt_work_progress(self, "partition", 0, 1, error) == -1)
        return -1;
    self->scratch = rmt_scratch_new(error);
    if (!self->scratch || s_hide_devices(targets, error) == -1)
        return -1;
    // All are opened and checked before the first is touched.
    for (size_t i = 0; i < rmt_records_count(targets); i++)
        if (s_open(self, rmt_records_at(targets, i), error) == -1)
            return -1;
    if (rmt_filter_enter(RMT_FILTER_WRITE, error) == -1)
        return -1;
    for (size_t i = 0; i < self->disk_count; i++)
        if (s_partition(self, &self->disks[i], error) == -1)
            return -1;
    if (rmt_work_make_arrays(self, error) == -1 ||
        rmt_work_make_crypts(self, error) == -1 ||
        rmt_work_write_groups(self, error) == -1 ||
        rmt_work_make_inner_crypts(self, error) == -1)
        return -1;
    if (rmt_work_progress(self, "partition", 1, 1, error) == -1)
        return -1;
    return s_format_volumes(self, error);
}
