#include "snapshot.h"
#include "rmt_auto.h"
#include "rmt_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#define SUBVOLUME_INODE 256 // The root of each subvolume has this one

struct rmt_snapshot {
    int tree_fd, fd;
};

static bool
s_can(int tree_fd)
{
    struct statfs space;
    struct statvfs mounted;
    struct stat status;
    return fstatfs(tree_fd, &space) == 0 && fstat(tree_fd, &status) == 0 &&
           fstatvfs(tree_fd, &mounted) == 0 &&
           (uint32_t) space.f_type == BTRFS_SUPER_MAGIC &&
           status.st_ino == SUBVOLUME_INODE && !(mounted.f_flag & ST_RDONLY);
}

// A name that comes and goes shall leave no trace in the tree.
static void
s_put_times_back(int tree_fd, const struct stat *before)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before->st_mtim};
    if (futimens(tree_fd, times) == -1)
        rmt_log(RMT_WARN, "snapshot.times", "error=\"%s\"", strerror(errno));
}

static int
s_remove(int tree_fd)
{
    struct btrfs_ioctl_vol_args arguments = {.name = RMT_SNAPSHOT_NAME};
    return ioctl(tree_fd, BTRFS_IOC_SNAP_DESTROY, &arguments);
}

rmt_snapshot_t *
rmt_snapshot_new(int tree_fd, rmt_error_t *error)
{
    if (!s_can(tree_fd)) {
        rmt_fail(error, RMT_E_UNSUPPORTED, "no snapshots are made of this file system");
        return NULL;
    }
    rmt_auto(rmt_snapshot) self = calloc(1, sizeof *self);
    assert(self);
    self->tree_fd = self->fd = -1;
    struct stat before;
    struct btrfs_ioctl_vol_args_v2 arguments = {
        .fd = tree_fd, .flags = BTRFS_SUBVOL_RDONLY, .name = RMT_SNAPSHOT_NAME};
    (void) s_remove(tree_fd); // Of a process that died
    if (fstat(tree_fd, &before) == -1 ||
        ioctl(tree_fd, BTRFS_IOC_SNAP_CREATE_V2, &arguments) == -1) {
        rmt_fail_errno(error, "make a snapshot");
        return NULL;
    }
    self->tree_fd = tree_fd;
    s_put_times_back(tree_fd, &before);
    self->fd = openat(tree_fd, RMT_SNAPSHOT_NAME,
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (self->fd == -1) {
        rmt_fail_errno(error, "open the snapshot");
        return NULL;
    }
    return rmt_take(&self);
}

void
rmt_snapshot_destroy(rmt_snapshot_t **self_p)
{
    rmt_snapshot_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1)
        close(self->fd);
    struct stat before;
    if (self->tree_fd != -1 && fstat(self->tree_fd, &before) == 0) {
        if (s_remove(self->tree_fd) == -1)
            rmt_log(RMT_WARN, "snapshot.left", "name=" RMT_SNAPSHOT_NAME " error=\"%s\"",
                    strerror(errno));
        s_put_times_back(self->tree_fd, &before);
    }
    free(self);
    *self_p = NULL;
}

int
rmt_snapshot_fd(const rmt_snapshot_t *self)
{
    return self->fd;
}
