#include "agent/disk_tools/scratch.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

struct rmt_scratch {
    char *path;
    int mounts; // On path
};

// What is mounted here is not seen elsewhere; what is unmounted elsewhere goes here too,
// as a copy of it here would keep its device in use. Where the root is no mount point (a
// chroot) the folder is bound to itself, which makes a mount point that can be private.
static int
s_part(rmt_scratch_t *self, rmt_error_t *error)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0)
        return 0;
    if (errno != EINVAL)
        return rmt_fail_errno(
            error, "separate the mounts of the new namespace from the system's");
    if (mount(self->path, self->path, NULL, MS_BIND, NULL) == -1)
        return rmt_fail_errno(error, "bind %s", self->path);
    self->mounts++;
    if (mount(NULL, self->path, NULL, MS_PRIVATE, NULL) == -1)
        return rmt_fail_errno(error, "make %s private", self->path);
    return 0;
}

rmt_scratch_t *
rmt_scratch_new(rmt_error_t *error)
{
    char path[] = "/tmp/ramet-XXXXXX";
    if (unshare(CLONE_NEWNS) == -1) {
        rmt_fail_errno(error, "make a mount namespace");
        return NULL;
    }
    if (!mkdtemp(path)) {
        rmt_fail_errno(error, "make folder %s", path);
        return NULL;
    }
    rmt_auto(rmt_scratch) self = calloc(1, sizeof *self);
    assert(self);
    self->path = rmt_text("%s", path);
    if (s_part(self, error) == -1)
        return NULL;
    if (mount("ramet", self->path, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0700") == -1) {
        rmt_fail_errno(error, "mount a folder in memory on %s", self->path);
        return NULL;
    }
    self->mounts++;
    return rmt_take(&self);
}

void
rmt_scratch_destroy(rmt_scratch_t **self_p)
{
    rmt_scratch_t *self = *self_p;
    if (!self)
        return;
    while (self->mounts-- > 0)
        (void) umount2(self->path, MNT_DETACH);
    (void) rmdir(self->path);
    free(self->path);
    free(self);
    *self_p = NULL;
}

const char *
rmt_scratch_path(const rmt_scratch_t *self)
{
    return self->path;
}

char *
rmt_scratch_folder(const rmt_scratch_t *self, const char *name, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s", self->path, name);
    if (mkdir(path, 0700) == -1) {
        rmt_fail_errno(error, "make folder %s", path);
        return NULL;
    }
    return rmt_take(&path);
}

rmt_fuse_disk_t *
rmt_scratch_show(const rmt_scratch_t *self, const char *name,
                 const rmt_fuse_blocks_t *blocks, uint32_t sector, unsigned flags,
                 rmt_error_t *error)
{
    rmt_auto_str folder = rmt_scratch_folder(self, name, error);
    const rmt_fuse_disk_setup_t setup = {.blocks = blocks,
                                         .folder = folder,
                                         .name = name,
                                         .sector = sector,
                                         .flags = flags};
    return folder ? rmt_fuse_disk_new(&setup, error) : NULL;
}
