#include "disk/rmt_overlay.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_cow.h"
#include "disk/rmt_fuse_disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

struct rmt_overlay {
    char *room; // Folder
    uint64_t limit;
    rmt_cow_t *cow;
    rmt_fuse_blocks_t blocks; // Of cow
    rmt_fuse_disk_t *disk;
};

// A file without a name, where the file system knows such; else one whose name goes at
// once.
static int
s_open_room(const char *folder, rmt_error_t *error)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd == -1 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        rmt_auto_str path = rmt_text("%s/overlay-XXXXXX", folder);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd != -1)
            (void) unlink(path);
    }
    return fd == -1 ? rmt_fail_errno(error, "make a file in %s", folder) : fd;
}

static int
s_open_cow(rmt_overlay_t *self, const rmt_overlay_setup_t *setup, rmt_error_t *error)
{
    rmt_auto_fd base = open(setup->device, O_RDONLY | O_CLOEXEC);
    if (base == -1)
        return rmt_fail_errno(error, "open %s", setup->device);
    const off_t size = lseek(base, 0, SEEK_END);
    if (size == -1)
        return rmt_fail_errno(error, "size of %s", setup->device);
    rmt_auto_fd room = s_open_room(setup->room, error);
    if (room == -1)
        return -1;
    self->cow = rmt_cow_new(rmt_take_fd(&base), rmt_take_fd(&room), (uint64_t) size,
                            setup->limit);
    return 0;
}

rmt_overlay_t *
rmt_overlay_new(const rmt_overlay_setup_t *setup, rmt_error_t *error)
{
    assert(setup && setup->device && setup->folder && setup->room);
    rmt_auto(rmt_overlay) self = calloc(1, sizeof *self);
    assert(self);
    self->room = rmt_text("%s", setup->room);
    self->limit = setup->limit;
    if (s_open_cow(self, setup, error) == -1)
        return NULL;
    self->blocks = rmt_cow_blocks(self->cow);
    const rmt_fuse_disk_setup_t shown = {.blocks = &self->blocks,
                                         .folder = setup->folder,
                                         .name = "overlay",
                                         .sector = setup->sector};
    self->disk = rmt_fuse_disk_new(&shown, error);
    return self->disk ? rmt_take(&self) : NULL;
}

void
rmt_overlay_destroy(rmt_overlay_t **self_p)
{
    rmt_overlay_t *self = *self_p;
    if (!self)
        return;
    rmt_fuse_disk_destroy(&self->disk);
    rmt_cow_destroy(&self->cow);
    free(self->room);
    free(self);
    *self_p = NULL;
}

const char *
rmt_overlay_device(const rmt_overlay_t *self)
{
    return rmt_fuse_disk_device(self->disk);
}

uint64_t
rmt_overlay_written(const rmt_overlay_t *self)
{
    return rmt_cow_written(self->cow);
}

int
rmt_overlay_flush(rmt_overlay_t *self, rmt_error_t *error)
{
    const int rc = rmt_fuse_disk_flush(self->disk, error);
    if (!rmt_cow_is_full(self->cow))
        return rc;
    const uint64_t written = rmt_cow_written(self->cow);
    if (written + RMT_COW_BLOCK > self->limit)
        return rmt_fail(error, RMT_E_NO_SPACE,
                        "it needs more than the %" PRIu64 " MiB that replay-mib allows",
                        self->limit >> 20);
    return rmt_fail(error, RMT_E_NO_SPACE,
                    "the file system of %s is full after %" PRIu64 " bytes", self->room,
                    written);
}
