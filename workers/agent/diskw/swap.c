// Swap files, made again on the volumes of a copy.
#include "agent/diskw/work.h"
#include "agent/diskw/filter.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "disk/rmt_fs.h"
#include "system/rmt_personal.h"
#include "tree/rmt_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define STEP ((size_t) 1024 * 1024)

// The kernel swaps to no file of btrfs that is compressed or copied when it is written.
static int
s_set_flags(int fd, const char *path, rmt_error_t *error)
{
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1)
        return rmt_fail_errno(error, "read the flags of %s", path);
    flags = (flags & ~FS_COMPR_FL) | FS_NOCOW_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) == -1
               ? rmt_fail_errno(error, "set the flags of %s", path)
               : 0;
}

static int
s_write_zeros(int fd, uint64_t bytes, rmt_error_t *error)
{
    rmt_auto_ptr zeros = calloc(1, STEP);
    if (!zeros)
        abort();
    for (uint64_t done = 0; done < bytes; done += STEP) {
        const size_t size = bytes - done < STEP ? (size_t) (bytes - done) : STEP;
        if (rmt_io_pwrite(fd, zeros, size, (off_t) done, error) == -1)
            return -1;
    }
    return 0;
}

// Blocks in one piece where the file system can reserve them; no holes in any case.
static int
s_reserve(int fd, const rmt_layout_swap_t *swap, rmt_error_t *error)
{
    if (fallocate(fd, 0, 0, (off_t) swap->bytes) == 0)
        return 0;
    if (errno != EOPNOTSUPP)
        return rmt_fail_errno(error, "reserve %llu bytes at %s",
                              (unsigned long long) swap->bytes, swap->path);
    return s_write_zeros(fd, swap->bytes, error);
}

static int
s_fill(const rmt_work_volume_t *volume, int root, const rmt_layout_swap_t *swap,
       rmt_error_t *error)
{
    rmt_auto_fd fd = rmt_beneath_open(root, swap->path + 1, O_RDWR, 0);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", swap->path);
    if (volume->ordered->fs == RMT_FS_BTRFS && s_set_flags(fd, swap->path, error) == -1)
        return -1;
    return s_reserve(fd, swap, error);
}

typedef struct {
    const rmt_record_t *format;
    const char *path;
} make_t;

static int
s_run_make(void *context, rmt_error_t *error)
{
    const make_t *self = context;
    return rmt_fs_make(self->format, self->path, error);
}

static int
s_make(const rmt_work_volume_t *volume, int root, const rmt_layout_swap_t *swap,
       rmt_error_t *error)
{
    const struct stat status = {.st_mode = S_IFREG | (mode_t) swap->mode};
    if (rmt_rooted_write(root, swap->path, "", 0, &status, error) == -1 ||
        s_fill(volume, root, swap, error) == -1)
        return -1;
    rmt_auto(rmt_record) format = rmt_record_new();
    rmt_record_set(format, "class", "volume");
    rmt_record_set(format, "fs", "swap");
    if (swap->uuid)
        rmt_record_set(format, "uuid", swap->uuid);
    if (swap->label)
        rmt_record_set(format, "label", swap->label);
    rmt_auto_str path = rmt_text("%s%s", volume->folder, swap->path);
    make_t make = {format, path};
    return rmt_filter_run(s_run_make, &make, error);
}

int
rmt_work_make_swaps(rmt_work_t *self, const rmt_work_volume_t *volume, int root,
                    rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->swap_count; i++) {
        const rmt_layout_swap_t *swap = &self->layout->swaps[i];
        if (rmt_layout_volume_of(self->layout, swap) == volume->ordered &&
            s_make(volume, root, swap, error) == -1)
            return rmt_wrap(error, "swap file %s", swap->path);
    }
    return 0;
}

int
rmt_work_label_swaps(const rmt_work_t *self, int root, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->swap_count; i++) {
        const rmt_layout_swap_t *swap = &self->layout->swaps[i];
        const rmt_layout_volume_t *ordered = rmt_layout_volume_of(self->layout, swap);
        for (size_t k = 0; k < self->volume_count; k++) {
            if (self->volumes[k].ordered != ordered)
                continue;
            rmt_auto_str path =
                rmt_work_whole_path(self, &self->volumes[k], swap->path + 1);
            if (path[1] != '/' && rmt_personal_label(root, path, error) == -1)
                return rmt_wrap(error, "swap file %s", swap->path);
        }
    }
    return 0;
}

// The file itself, and of the folders above it that they changed, or are there.
bool
rmt_work_is_swap(const rmt_work_t *self, const rmt_work_volume_t *volume,
                 const char *path, const char *what)
{
    const size_t size = strlen(path);
    for (size_t i = 0; i < self->layout->swap_count; i++) {
        const rmt_layout_swap_t *swap = &self->layout->swaps[i];
        const char *own = swap->path + 1;
        if (rmt_layout_volume_of(self->layout, swap) != volume->ordered)
            continue;
        if (strcmp(own, path) == 0)
            return true;
        const bool is_above =
            size == 0 || (strncmp(own, path, size) == 0 && own[size] == '/');
        if (is_above && (strcmp(what, "mtime") == 0 || strcmp(what, "extra") == 0))
            return true;
    }
    return false;
}
