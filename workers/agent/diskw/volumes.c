#include "agent/diskw/work.h"
#include "agent/diskw/parser.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "system/rmt_personal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

rmt_work_volume_t *
rmt_work_find(rmt_work_t *self, const rmt_record_t *record, rmt_error_t *error)
{
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_layout_volume_t *own = self->volumes[i].ordered;
        if (rmt_record_is(record, "disk", self->layout->disks[own->disk].role) &&
            own->partition == rmt_record_u64(record, "partition", 0) &&
            strcmp(own->logical ? own->logical : "",
                   rmt_record_text(record, "logical", "")) == 0 &&
            strcmp(own->array ? own->array : "", rmt_record_text(record, "array", "")) ==
                0 &&
            strcmp(own->subvolume ? own->subvolume : "",
                   rmt_record_text(record, "subvolume", "")) == 0)
            return &self->volumes[i];
    }
    rmt_fail(
        error, RMT_E_USAGE,
        "the order has no volume on disk '%s', partition '%s', logical volume '%s', "
        "subvolume '%s'",
        rmt_record_text(record, "disk", ""), rmt_record_text(record, "partition", ""),
        rmt_record_text(record, "logical", ""), rmt_record_text(record, "subvolume", ""));
    return NULL;
}

int
rmt_work_mount(rmt_work_t *self, rmt_work_volume_t *volume, bool read_only,
               rmt_error_t *error)
{
    if (!volume->folder) {
        rmt_auto_str name = rmt_text("volume-%zu", (size_t) (volume - self->volumes));
        volume->folder = rmt_scratch_folder(self->scratch, name, error);
        if (!volume->folder)
            return -1;
    }
    self->at = rmt_work_disk_of(self, volume->ordered->disk);
    if (volume->mounted || rmt_work_is_vfat(volume) || rmt_work_is_raw(volume))
        return 0;
    if (RMT_FAILPOINT("disk.fs.mount") == -1)
        return rmt_fail_errno(error, "mount %s", volume->device);
    if (rmt_fs_mount(volume->ordered->fs, volume->ordered->subvolume, volume->device,
                     volume->folder, read_only, error) == -1)
        return -1;
    volume->mounted = true;
    return 0;
}

int
rmt_work_unmount(rmt_work_t *self, rmt_work_volume_t *volume, rmt_error_t *error)
{
    if (!volume->mounted)
        return 0;
    self->at = rmt_work_disk_of(self, volume->ordered->disk);
    if (RMT_FAILPOINT("disk.fs.unmount") == -1)
        return rmt_fail_errno(error, "unmount %s", volume->folder);
    if (rmt_fs_unmount(volume->folder, error) == -1)
        return -1;
    volume->mounted = false;
    return 0;
}

typedef struct {
    rmt_work_t *work;
    uint64_t before; // Of the volumes that came before
} unpack_t;

static int
s_unpack_progress(void *context, uint64_t done, rmt_error_t *error)
{
    const unpack_t *self = context;
    rmt_work_t *work = self->work;
    work->done = self->before + done;
    if (work->done > work->total)
        work->total = work->done;
    return rmt_work_progress(work, "unpack", work->done, work->total, error);
}

static int
s_make_swaps(rmt_work_t *self, rmt_work_volume_t *volume, rmt_error_t *error)
{
    rmt_auto_fd root = open(volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root == -1)
        return rmt_fail_errno(error, "open %s", volume->folder);
    return rmt_work_make_swaps(self, volume, root, error);
}

int
rmt_work_unpack(rmt_work_t *self, rmt_work_volume_t *volume, rmt_error_t *error)
{
    if (volume->written)
        return rmt_fail(error, RMT_E_PROTOCOL, "a volume came twice");
    if (rmt_work_mount(self, volume, false, error) == -1 ||
        rmt_work_progress(self, "unpack", self->done, self->total, error) == -1)
        return -1;
    unpack_t unpack = {self, self->done};
    const rmt_parser_task_t task = {.stage = RMT_FILTER_UNPACK,
                                    .volume = volume,
                                    .progress_fn = s_unpack_progress,
                                    .context = &unpack};
    rmt_parser_end_t end;
    if (rmt_parser_run(self, &task, &end, error) == -1 ||
        s_unpack_progress(&unpack, end.done, error) == -1 ||
        rmt_work_make_subvolumes(self, volume, error) == -1 ||
        s_make_swaps(self, volume, error) == -1)
        return rmt_wrap(error, "volume '%s'", rmt_work_mount_point(volume));
    volume->written = true;
    self->file_count += end.entries;
    self->byte_count += end.done;
    return 0;
}

// ---- The whole tree

// The folder that a mount point is to the installed system, which follows symlinks; none
// leads out of the tree. A missing one is made, as systemd does at each start.
static int
s_open_mount_point(rmt_work_t *self, int root, const char *path, rmt_error_t *error)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int) syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd == -1 && errno == ENOENT) {
        rmt_record_t *made = rmt_records_add(self->made);
        rmt_record_set(made, "path", path);
        rmt_record_set(made, "what", "folder");
        if (rmt_personal_make_folders(root, path, error) == -1)
            return rmt_wrap(error, "mount point %s", path);
        fd = (int) syscall(SYS_openat2, root, path, &how, sizeof how);
    }
    if (fd == -1 && (errno == ELOOP || errno == ENOENT || errno == ENOTDIR))
        return rmt_fail(error, RMT_E_REFUSED, "mount point %s is not a folder", path);
    return fd == -1 ? rmt_fail_errno(error, "mount point %s", path) : fd;
}

static int
s_bind(rmt_work_t *self, const char *from, const char *to, rmt_error_t *error)
{
    if (mount(from, to, NULL, MS_BIND, NULL) == -1)
        return rmt_fail_errno(error, "join %s", from);
    self->joined++;
    return 0;
}

static const rmt_work_volume_t *
s_root_volume(const rmt_work_t *self)
{
    for (size_t i = 0; i < self->volume_count; i++)
        if (self->volumes[i].written &&
            strcmp(rmt_work_mount_point(&self->volumes[i]), "/") == 0)
            return &self->volumes[i];
    return NULL;
}

static int
s_join_volume(rmt_work_t *self, const char *whole, const rmt_work_volume_t *volume,
              rmt_error_t *error)
{
    const char *mount_point = rmt_work_mount_point(volume);
    if (!volume->written || mount_point[0] != '/' || !mount_point[1])
        return 0;
    rmt_auto_fd root = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root == -1)
        return rmt_fail_errno(error, "open %s", whole);
    rmt_auto_fd folder = s_open_mount_point(self, root, mount_point, error);
    if (folder == -1)
        return -1;
    rmt_auto_str to = rmt_text("/proc/self/fd/%d", folder);
    return s_bind(self, volume->folder, to, error);
}

static int
s_compare_mount(const void *a, const void *b)
{
    const rmt_work_volume_t *const *one = a;
    const rmt_work_volume_t *const *two = b;
    return strcmp(rmt_work_mount_point(*one), rmt_work_mount_point(*two));
}

int
rmt_work_join(rmt_work_t *self, rmt_error_t *error)
{
    const rmt_work_volume_t *first = s_root_volume(self);
    if (!first)
        return rmt_fail(error, RMT_E_USAGE,
                        "the order has no volume that is mounted on /");
    rmt_auto_str whole = rmt_text("%s/whole", rmt_scratch_path(self->scratch));
    if (mkdir(whole, 0700) == -1 && errno != EEXIST)
        return rmt_fail_errno(error, "make %s", whole);
    if (s_bind(self, first->folder, whole, error) == -1)
        return -1;
    const rmt_work_volume_t *sorted[RMT_LAYOUT_VOLUMES_MAX];
    for (size_t i = 0; i < self->volume_count; i++)
        sorted[i] = &self->volumes[i];
    qsort(sorted, self->volume_count, sizeof *sorted, s_compare_mount);
    for (size_t i = 0; i < self->volume_count; i++)
        if (s_join_volume(self, whole, sorted[i], error) == -1)
            return -1;
    const int fd = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd == -1 ? rmt_fail_errno(error, "open %s", whole) : fd;
}
