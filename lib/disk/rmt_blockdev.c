#include "disk/rmt_blockdev.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>

#define LOOP_MAJOR_NUMBER 7
#define ATTACH_TRIES 64
#define PARTITION_MAX 256
#define LOOKERS_MS 1000

struct rmt_blockdev {
    int fd;
    int file; // Behind a loop device, else -1
    bool is_loop;
    char *path;
    char *nodes;
    char *sysfs; // /sys/dev/block/MAJOR:MINOR
    uint64_t bytes;
    uint32_t sector;
};

// Open the node of a device, or one of our own where /dev has none.
static int
s_open_node(const char *path, dev_t device, const char *nodes, char **path_out, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC);
    if (fd != -1 || !nodes) {
        *path_out = rmt_text("%s", path);
        return fd;
    }
    const char *slash = strrchr(path, '/');
    char *own = rmt_text("%s/%s", nodes, slash ? slash + 1 : path);
    (void) unlink(own);
    if (mknod(own, S_IFBLK | 0600, device) == -1) {
        free(own);
        return -1;
    }
    *path_out = own;
    return open(own, flags | O_CLOEXEC);
}

// Between asking for a free loop device and taking it another process may do the
// same, so a busy one is no error but a reason to ask again.
static int
s_attach(rmt_blockdev_t *self, unsigned flags, uint32_t sector, rmt_error_t *error)
{
    rmt_auto_fd control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control == -1)
        return rmt_fail_errno(error, "open /dev/loop-control");
    const bool read_only = flags & RMT_BLOCKDEV_READ_ONLY;
    struct loop_config config = {
        .fd = (__u32) self->file,
        .block_size = sector,
        .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN |
                         (read_only ? LO_FLAGS_READ_ONLY : 0) |
                         (flags & RMT_BLOCKDEV_DIRECT ? LO_FLAGS_DIRECT_IO : 0),
    };
    for (int i = 0; i < ATTACH_TRIES; i++) {
        const int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number == -1)
            return rmt_fail_errno(error, "the kernel has no free loop device");
        rmt_auto_str path = rmt_text("/dev/loop%d", number);
        rmt_auto_str node = NULL;
        rmt_auto_fd fd = s_open_node(path, makedev(LOOP_MAJOR_NUMBER, (unsigned) number),
                                     self->nodes, &node, read_only ? O_RDONLY : O_RDWR);
        if (fd == -1)
            return rmt_fail_errno(error, "open %s", path);
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            self->fd = rmt_take_fd(&fd);
            self->path = rmt_take(&node);
            return 0;
        }
        if (errno != EBUSY)
            return rmt_fail_errno(error, "attach %s", path);
    }
    return rmt_fail(error, RMT_E_UNAVAILABLE,
                    "other programs took every free loop device; try again");
}

// Names of what the kernel has built on a disk or its partitions (LVM, RAID, encryption),
// with spaces before them. Caller owns the result (free).
static char *
s_holders(const char *path)
{
    struct stat info;
    char *names = rmt_text("%s", "");
    if (stat(path, &info) == -1)
        return names;
    rmt_auto_str sysfs =
        rmt_text("/sys/dev/block/%u:%u", major(info.st_rdev), minor(info.st_rdev));
    rmt_auto_str parts = rmt_sysfs_list("%s/", sysfs);
    // The empty name at the end is the disk itself.
    for (const char *part = parts;; part += strlen(part) + 1) {
        rmt_auto_str holders = *part ? rmt_sysfs_list("%s/%s/holders", sysfs, part)
                                     : rmt_sysfs_list("%s/holders", sysfs);
        for (const char *name = holders; *name; name += strlen(name) + 1) {
            char *longer = rmt_text("%s %s", names, name);
            free(names);
            names = longer;
        }
        if (!*part)
            return names;
    }
}

// A disk that is mounted or part of something refuses to be opened exclusively; it
// is not kept so, as mkfs of a partition would be refused then.
int
rmt_blockdev_check_free(const char *path, rmt_error_t *error)
{
    assert(path);
    rmt_auto_fd alone = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
    if (alone != -1)
        return 0;
    if (errno != EBUSY)
        return rmt_fail_errno(error, "open %s", path);
    rmt_auto_str holders = s_holders(path);
    return rmt_fail(error, RMT_E_REFUSED, "%s is in use: %s%s", path,
                    *holders ? "held by" : "it is mounted, or a program has it open",
                    holders);
}

static int
s_open_device(rmt_blockdev_t *self, const char *path, unsigned flags, rmt_error_t *error)
{
    const bool read_only = flags & RMT_BLOCKDEV_READ_ONLY;
    const int mode = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    if (!read_only && rmt_blockdev_check_free(path, error) == -1)
        return -1;
    self->fd = open(path, mode);
    if (self->fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    self->path = rmt_text("%s", path);
    return 0;
}

static int
s_measure(rmt_blockdev_t *self, rmt_error_t *error)
{
    struct stat info;
    int sector = 0;
    if (fstat(self->fd, &info) == -1 ||
        ioctl(self->fd, BLKGETSIZE64, &self->bytes) == -1 ||
        ioctl(self->fd, BLKSSZGET, &sector) == -1)
        return rmt_fail_errno(error, "size of %s", self->path);
    self->sector = (uint32_t) sector;
    self->sysfs =
        rmt_text("/sys/dev/block/%u:%u", major(info.st_rdev), minor(info.st_rdev));
    return 0;
}

rmt_blockdev_t *
rmt_blockdev_new(const char *path, unsigned flags, uint32_t sector, const char *nodes,
                 rmt_error_t *error)
{
    assert(path);
    rmt_auto(rmt_blockdev) self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->fd = -1;
    self->file = -1;
    self->nodes = nodes ? rmt_text("%s", nodes) : NULL;
    const int mode = flags & RMT_BLOCKDEV_READ_ONLY ? O_RDONLY : O_RDWR;
    struct stat info;
    if (stat(path, &info) == -1) {
        rmt_fail_errno(error, "%s", path);
        return NULL;
    }
    if (S_ISREG(info.st_mode)) {
        self->file = open(path, mode | O_CLOEXEC);
        if (self->file == -1) {
            rmt_fail_errno(error, "open %s", path);
            return NULL;
        }
        self->is_loop = true;
        if (s_attach(self, flags, sector, error) == -1)
            return NULL;
    } else if (!S_ISBLK(info.st_mode)) {
        rmt_fail(error, RMT_E_UNSUPPORTED,
                 "%s is neither a block device nor a plain file", path);
        return NULL;
    } else if (s_open_device(self, path, flags, error) == -1) {
        return NULL;
    }
    // The kernel may have read a table by itself; ours are told one by one.
    if (s_measure(self, error) == -1 ||
        (self->is_loop && rmt_blockdev_forget(self, error) == -1))
        return NULL;
    return rmt_take(&self);
}

void
rmt_blockdev_destroy(rmt_blockdev_t **self_p)
{
    assert(self_p);
    rmt_blockdev_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1) {
        (void) fsync(self->fd);
        if (self->is_loop && self->sysfs) {
            rmt_error_t ignored;
            (void) rmt_blockdev_forget(self, &ignored);
        }
        if (self->is_loop && self->path)
            (void) ioctl(self->fd, LOOP_CLR_FD);
        close(self->fd);
    }
    if (self->file != -1)
        close(self->file);
    free(self->path);
    free(self->nodes);
    free(self->sysfs);
    free(self);
    *self_p = NULL;
}

const char *
rmt_blockdev_path(const rmt_blockdev_t *self)
{
    return self->path;
}

int
rmt_blockdev_fd(const rmt_blockdev_t *self)
{
    return self->fd;
}

uint64_t
rmt_blockdev_bytes(const rmt_blockdev_t *self)
{
    return self->bytes;
}

uint32_t
rmt_blockdev_sector(const rmt_blockdev_t *self)
{
    return self->sector;
}

static int
s_blkpg(const rmt_blockdev_t *self, int op, struct blkpg_partition *partition)
{
    struct blkpg_ioctl_arg argument = {
        .op = op,
        .datalen = sizeof *partition,
        .data = partition,
    };
    return ioctl(self->fd, BLKPG, &argument);
}

// A program that only looks at a partition, as udev does with each new one, holds it for
// a moment.
static int
s_delete(const rmt_blockdev_t *self, uint32_t number, rmt_error_t *error)
{
    const int64_t until_ms = rmt_clock_ms() + LOOKERS_MS;
    struct blkpg_partition partition = {.pno = (int) number};
    int rc = s_blkpg(self, BLKPG_DEL_PARTITION, &partition);
    while (rc == -1 && errno == EBUSY && rmt_clock_ms() < until_ms) {
        const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        (void) nanosleep(&pause, NULL);
        rc = s_blkpg(self, BLKPG_DEL_PARTITION, &partition);
    }
    if (rc == 0 || errno == ENXIO || errno == EINVAL)
        return 0;
    if (errno == EBUSY)
        return rmt_fail(error, RMT_E_REFUSED,
                        "partition %u of %s is in use; unmount it, or end what uses it",
                        number, self->path);
    return rmt_fail_errno(error, "tell the kernel to forget partition %u of %s", number,
                          self->path);
}

// Name of the kernel's entry for a partition, or "".
static void
s_find_entry(const rmt_blockdev_t *self, uint32_t number, char name[256])
{
    name[0] = '\0';
    rmt_auto_str entries = rmt_sysfs_list("%s/", self->sysfs);
    for (const char *entry = entries; *entry; entry += strlen(entry) + 1) {
        if (rmt_sysfs_number("%s/%s/partition", self->sysfs, entry) == number)
            snprintf(name, 256, "%s", entry);
    }
}

int
rmt_blockdev_forget(rmt_blockdev_t *self, rmt_error_t *error)
{
    assert(self);
    rmt_auto_str entries = rmt_sysfs_list("%s/", self->sysfs);
    for (const char *entry = entries; *entry; entry += strlen(entry) + 1) {
        const uint64_t number = rmt_sysfs_number("%s/%s/partition", self->sysfs, entry);
        if (number && s_delete(self, (uint32_t) number, error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_blockdev_remove(rmt_blockdev_t *self, uint32_t number, rmt_error_t *error)
{
    assert(self);
    return s_delete(self, number, error);
}

char *
rmt_blockdev_partition(rmt_blockdev_t *self, uint32_t number, uint64_t start,
                       uint64_t size, rmt_error_t *error)
{
    assert(self);
    if (number == 0 || number > PARTITION_MAX || start > self->bytes / self->sector ||
        size > self->bytes / self->sector - start) {
        rmt_fail(error, RMT_E_USAGE, "partition %u would lie outside %s", number,
                 self->path);
        return NULL;
    }
    if (s_delete(self, number, error) == -1)
        return NULL;
    struct blkpg_partition partition = {
        .start = (long long) (start * self->sector),
        .length = (long long) (size * self->sector),
        .pno = (int) number,
    };
    if (s_blkpg(self, BLKPG_ADD_PARTITION, &partition) == -1) {
        rmt_fail_errno(error, "tell the kernel about partition %u of %s", number,
                       self->path);
        return NULL;
    }
    char name[256];
    s_find_entry(self, number, name);
    char text[RMT_SYSFS_TEXT_SIZE];
    rmt_sysfs_text(text, "%s/%s/dev", self->sysfs, name);
    unsigned major_number, minor_number;
    if (!name[0] || sscanf(text, "%u:%u", &major_number, &minor_number) != 2) {
        rmt_fail(error, RMT_E_IO, "the kernel does not show partition %u of %s", number,
                 self->path);
        return NULL;
    }
    rmt_auto_str path = rmt_text("/dev/%s", name);
    char *node = NULL;
    rmt_auto_fd fd = s_open_node(path, makedev(major_number, minor_number), self->nodes,
                                 &node, O_RDONLY);
    if (fd == -1) {
        rmt_fail_errno(error, "open %s", path);
        free(node);
        return NULL;
    }
    return node;
}

int
rmt_blockdev_flush(rmt_blockdev_t *self, rmt_error_t *error)
{
    assert(self);
    if (fsync(self->fd) == -1 || ioctl(self->fd, BLKFLSBUF, 0) == -1)
        return rmt_fail_errno(error, "flush %s", self->path);
    if (self->file == -1)
        return 0;
    // The file behind a loop device has a cache of its own.
    if (fsync(self->file) == -1)
        return rmt_fail_errno(error, "flush the file behind %s", self->path);
    (void) posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}
