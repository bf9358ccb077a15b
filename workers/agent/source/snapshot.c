#include "agent/source/snapshot.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "disk/rmt_lvm.h"
#include "facts/rmt_layout.h"

#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#define SUBVOLUME_INODE 256 // The root of each subvolume has this one

#define REMOVE_TRIES 5
#define REMOVE_PAUSE_MS 300

struct rmt_snapshot {
    int tree_fd, fd; // tree_fd: that of a subvolume with a snapshot in it, or -1
    bool is_volume;
    rmt_lvm_t volume; // The snapshot
};

// ---- In a subvolume

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

// A name that comes and goes leaves no trace in the tree.
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

static int
s_make_subvolume(rmt_snapshot_t *self, int tree_fd, rmt_error_t *error)
{
    struct stat before;
    struct btrfs_ioctl_vol_args_v2 arguments = {
        .fd = tree_fd, .flags = BTRFS_SUBVOL_RDONLY, .name = RMT_SNAPSHOT_NAME};
    (void) s_remove(tree_fd); // Of a process that died
    if (fstat(tree_fd, &before) == -1 ||
        ioctl(tree_fd, BTRFS_IOC_SNAP_CREATE_V2, &arguments) == -1)
        return rmt_fail_errno(error, "make a snapshot");
    self->tree_fd = tree_fd;
    s_put_times_back(tree_fd, &before);
    self->fd = openat(tree_fd, RMT_SNAPSHOT_NAME,
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return self->fd == -1 ? rmt_fail_errno(error, "open the snapshot") : 0;
}

// ---- Of a logical volume

static char *
s_tag(const char *source)
{
    return rmt_text("ramet-source-%s", source);
}

void
rmt_snapshot_sweep(const char *source)
{
    rmt_error_t error = {0};
    rmt_auto_str tag = s_tag(source);
    // LVM's programs look at every disk, which a computer without it can be spared.
    if (!rmt_lvm_is_used())
        return;
    const int count = rmt_lvm_remove_tagged(tag, &error);
    if (count > 0)
        rmt_log(RMT_WARN, "snapshot.swept", "tag=%s count=%d", tag, count);
    else if (count == -1 && error.code != RMT_E_NOT_FOUND)
        rmt_log(RMT_WARN, "snapshot.left", "tag=%s error=\"%s\"", tag, error.text);
}

// The kind of a file system that can be mounted a second time from a snapshot, or NULL.
static const char *
s_kind(int tree_fd)
{
    struct statfs space;
    struct statvfs mounted;
    if (fstatfs(tree_fd, &space) == -1 || fstatvfs(tree_fd, &mounted) == -1 ||
        mounted.f_flag & ST_RDONLY)
        return NULL;
    const uint32_t magic = (uint32_t) space.f_type;
    return magic == EXT4_SUPER_MAGIC ? "ext4" : magic == XFS_SUPER_MAGIC ? "xfs" : NULL;
}

static int
s_set(int context, unsigned command, const char *key, const char *value)
{
    return fsconfig(context, command, key, value, 0);
}

// Mounted nowhere, so it ends with its last descriptor, were it by a crash.
static int
s_mount(const char *kind, const char *device, rmt_error_t *error)
{
    const bool is_xfs = strcmp(kind, "xfs") == 0;
    rmt_auto_fd context = fsopen(kind, FSOPEN_CLOEXEC);
    if (context == -1 || s_set(context, FSCONFIG_SET_STRING, "source", device) == -1 ||
        s_set(context, FSCONFIG_SET_FLAG, "ro", NULL) == -1 ||
        // Its twin is mounted; and it was made while that one stood still.
        (is_xfs && (s_set(context, FSCONFIG_SET_FLAG, "nouuid", NULL) == -1 ||
                    s_set(context, FSCONFIG_SET_FLAG, "norecovery", NULL) == -1)) ||
        s_set(context, FSCONFIG_CMD_CREATE, NULL, NULL) == -1)
        return rmt_fail_errno(error, "mount the snapshot %s", device);
    rmt_auto_fd mounted =
        fsmount(context, FSMOUNT_CLOEXEC,
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    const int fd =
        mounted == -1 ? -1 : openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd == -1 ? rmt_fail_errno(error, "open the snapshot %s", device) : fd;
}

static int
s_make_volume(rmt_snapshot_t *self, int tree_fd, const char *source, rmt_error_t *error)
{
    struct stat tree, root;
    rmt_lvm_t volume;
    const char *kind = s_kind(tree_fd);
    if (!kind || fstat(tree_fd, &tree) == -1)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "ramet makes no snapshots of this kind of file system");
    if (rmt_lvm_find(tree.st_dev, &volume, error) == -1)
        return -1;
    rmt_auto_str tag = s_tag(source);
    if (rmt_lvm_snapshot(&volume, tag, &self->volume, error) == -1)
        return -1;
    self->is_volume = true;
    rmt_auto_str device = rmt_layout_lvm_node(self->volume.group, self->volume.name);
    self->fd = s_mount(kind, device, error);
    if (self->fd == -1)
        return -1;
    if (fstat(self->fd, &root) == -1 || root.st_ino != tree.st_ino)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the tree is not the root of its file system");
    return 0;
}

// A program that looks at new volumes may have it open for a moment.
static void
s_remove_volume(const rmt_lvm_t *volume)
{
    rmt_error_t error = {0};
    for (int tries = 0; tries < REMOVE_TRIES; tries++) {
        if (rmt_lvm_remove(volume, &error) == 0)
            return;
        zclock_sleep(REMOVE_PAUSE_MS);
    }
    rmt_log(RMT_WARN, "snapshot.left", "name=%s/%s error=\"%s\"", volume->group,
            volume->name, error.text);
}

// ---- Either

rmt_snapshot_t *
rmt_snapshot_new(int tree_fd, const char *source, rmt_error_t *error)
{
    rmt_auto(rmt_snapshot) self = calloc(1, sizeof *self);
    assert(self);
    self->tree_fd = self->fd = -1;
    const int result = s_can(tree_fd) ? s_make_subvolume(self, tree_fd, error)
                                      : s_make_volume(self, tree_fd, source, error);
    return result == 0 ? rmt_take(&self) : NULL;
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
    if (self->is_volume)
        s_remove_volume(&self->volume);
    free(self);
    *self_p = NULL;
}

int
rmt_snapshot_fd(const rmt_snapshot_t *self)
{
    return self->fd;
}

int
rmt_snapshot_check(const rmt_snapshot_t *self, rmt_error_t *error)
{
    return self->is_volume ? rmt_lvm_check(&self->volume, error) : 0;
}
