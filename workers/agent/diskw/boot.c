#include "agent/diskw/work.h"
#include "agent/disk_tools/fstab.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "disk/rmt_boot_code.h"
#include "disk/rmt_esp.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FSTAB_SIZE_MAX ((off_t) 1024 * 1024)

// The very file at this path; *fd_out is -1 for none: a symlink in it could lead out of
// the tree.
static int
s_open(int root, const char *path, int *fd_out, struct stat *status_out,
       rmt_error_t *error)
{
    *fd_out = -1;
    if (rmt_rooted_kind(root, path) != S_IFREG)
        return 0;
    if (rmt_rooted_open(root, path, fd_out, error) == -1)
        return -1;
    return *fd_out != -1 && fstat(*fd_out, status_out) == -1
               ? rmt_fail_errno(error, "status of /%s", path)
               : 0;
}

// Replace a file; the new one has the owner and the mode of the old one.
static void
s_plan_write(const char *path, const struct stat *status, const char *what,
             const void *content, size_t size, rmt_records_t *actions)
{
    rmt_record_t *action = rmt_records_add(actions);
    rmt_record_set(action, "class", "write");
    rmt_record_setf(action, "path", "/%s", path);
    rmt_record_set(action, "what", what);
    rmt_record_setf(action, "mode", "%04o", (unsigned) status->st_mode & 07777);
    rmt_record_set_u64(action, "uid", status->st_uid);
    rmt_record_set_u64(action, "gid", status->st_gid);
    rmt_record_put(action, "content", content, size);
}

static int
s_plan_mounts(const rmt_work_t *self, int root, rmt_records_t *actions,
              rmt_error_t *error)
{
    struct stat status;
    rmt_auto_fd fd = -1;
    if (s_open(root, "etc/fstab", &fd, &status, error) == -1)
        return -1;
    if (fd == -1)
        return 0;
    if (status.st_size > FSTAB_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "/etc/fstab has more than 1 MiB");
    rmt_auto_str text = calloc(1, (size_t) status.st_size + 1);
    if (!text)
        abort();
    if (rmt_io_read(fd, text, (size_t) status.st_size, error) == -1)
        return rmt_wrap(error, "/etc/fstab");
    rmt_auto_str changed = rmt_fstab_by_path(text, self->layout);
    if (changed)
        s_plan_write("etc/fstab", &status, "mounts", changed, strlen(changed), actions);
    return 0;
}

// The kernel counts subvolumes as they are made, so a number names another one here.
int
rmt_work_plan_mounts(const rmt_work_t *self, int root, rmt_records_t *actions,
                     rmt_error_t *error)
{
    rmt_rooted_begin();
    return rmt_rooted_end(s_plan_mounts(self, root, actions, error), error);
}

int
rmt_work_complete_esp(rmt_work_t *self, const rmt_work_volume_t *volume,
                      rmt_error_t *error)
{
    if (!rmt_layout_is_esp(self->layout, volume->ordered))
        return 0;
    rmt_auto_fd folder = open(volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rmt_auto(rmt_record) esp = NULL;
    if (folder == -1)
        return rmt_fail_errno(error, "open %s", volume->folder);
    if (rmt_esp_examine(folder, &esp, error) == -1 ||
        rmt_esp_complete(folder, esp, error) == -1 || rmt_esp_renew(folder, error) == -1)
        return rmt_wrap(error, "EFI system partition");
    return 0;
}

// ---- Boot code

static rmt_records_t *
s_pieces_of(const rmt_work_t *self, const char *role)
{
    rmt_records_t *pieces = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(self->boot); i++) {
        const rmt_record_t *piece = rmt_records_at(self->boot, i);
        if (!rmt_record_is(piece, "class", "boot") || !rmt_record_is(piece, "disk", role))
            continue;
        rmt_auto(rmt_record) copy = rmt_record_dup(piece);
        rmt_records_append(pieces, &copy);
    }
    return pieces;
}

static int
s_write_piece(const rmt_work_disk_t *disk, const rmt_record_t *piece, rmt_error_t *error)
{
    size_t size = 0;
    const void *content = rmt_record_get(piece, "content", &size);
    if (RMT_FAILPOINT("disk.boot.write") == -1)
        return rmt_fail_errno(error, "write boot code");
    return rmt_io_pwrite(rmt_blockdev_fd(disk->device), content, size,
                         (off_t) rmt_record_u64(piece, "offset", 0), error);
}

// It counts as written when reading it finds GRUB, and each piece where it belongs.
static int
s_read_back(const rmt_work_disk_t *disk, const rmt_records_t *pieces, rmt_error_t *error)
{
    const int fd = rmt_blockdev_fd(disk->device);
    for (size_t i = 0; i < rmt_records_count(pieces); i++) {
        const rmt_record_t *piece = rmt_records_at(pieces, i);
        size_t size = 0;
        const void *content = rmt_record_get(piece, "content", &size);
        const off_t offset = (off_t) rmt_record_u64(piece, "offset", 0);
        rmt_auto_ptr back = malloc(size + 1);
        if (!back)
            abort();
        if (rmt_io_pread(fd, back, size, offset, error) == -1)
            return -1;
        if (memcmp(back, content, size) != 0)
            return rmt_fail(error, RMT_E_CORRUPT,
                            "the disk did not keep the boot code at byte %lld",
                            (long long) offset);
    }
    const char *kind = "";
    rmt_auto(rmt_records) found = rmt_records_new();
    if (rmt_boot_code_read(fd, disk->layout, found, &kind, error) == -1)
        return -1;
    if (rmt_records_count(found) != rmt_records_count(pieces))
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the boot code of %zu pieces reads back as %zu",
                        rmt_records_count(pieces), rmt_records_count(found));
    return 0;
}

static int
s_write_disk(const rmt_work_t *self, const rmt_work_disk_t *disk, rmt_error_t *error)
{
    rmt_auto(rmt_records) pieces = s_pieces_of(self, disk->ordered->role);
    for (size_t i = 0; i < rmt_records_count(pieces); i++)
        if (s_write_piece(disk, rmt_records_at(pieces, i), error) == -1)
            return -1;
    if (rmt_blockdev_flush(disk->device, error) == -1)
        return -1;
    return s_read_back(disk, pieces, error);
}

int
rmt_work_check_boot(const rmt_work_t *self, rmt_error_t *error)
{
    size_t expected = 0;
    for (size_t i = 0; i < rmt_records_count(self->boot); i++)
        expected += rmt_record_is(rmt_records_at(self->boot, i), "class", "boot");
    for (size_t i = 0; i < self->disk_count; i++) {
        rmt_auto(rmt_records) pieces = s_pieces_of(self, self->disks[i].ordered->role);
        expected -= rmt_records_count(pieces);
        if (rmt_boot_code_check(self->disks[i].layout, pieces, error) == -1)
            return rmt_wrap(error, "boot record of disk '%s'",
                            self->disks[i].ordered->role);
    }
    return expected ? rmt_fail(error, RMT_E_USAGE,
                               "the boot code names a disk that the order lacks")
                    : 0;
}

int
rmt_work_write_boot(rmt_work_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->disk_count; i++) {
        self->at = &self->disks[i];
        if (s_write_disk(self, &self->disks[i], error) == -1)
            return rmt_wrap(error, "boot record of disk '%s'",
                            self->disks[i].ordered->role);
    }
    return 0;
}
