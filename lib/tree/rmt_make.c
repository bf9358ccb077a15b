#include "tree/rmt_make.h"
#include "base/rmt_auto.h"
#include "tree/rmt_beneath.h"
#include "base/rmt_log.h"
#include "tree/rmt_meta.h"
#include "tree/rmt_kernel_words.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

// In a folder of this run a file is born with its mode and with our own ids, so neither
// needs a call of its own.
static bool
s_is_born_with_mode(const rmt_folder_t *folder, const rmt_entry_t *entry)
{
    const bool is_plain = (entry->mode & (S_ISUID | S_ISGID | S_ISVTX)) == 0;
    return S_ISREG(entry->mode) && is_plain && !rmt_folder_hands_down(folder) &&
           entry->uid == geteuid() && entry->gid == getegid();
}

int
rmt_make_wrap(const rmt_entry_t *entry, rmt_error_t *error)
{
    char path[256];
    return rmt_wrap(error, "/%s", rmt_log_escape(path, sizeof path, entry->path));
}

// Space that is reserved without data: before there is a size, as btrfs writes zeros to
// the last block otherwise, and before the data, which would not stay apart from it.
static int
s_reserve(int fd, const rmt_entry_t *entry, rmt_error_t *error)
{
    for (size_t i = 0; i < entry->reserved_count; i++) {
        const rmt_extent_t *run = &entry->reserved[i];
        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t) run->offset, (off_t) run->size) ==
            -1)
            return rmt_fail_errno(error, "reserve %llu bytes at %llu",
                                  (unsigned long long) run->size,
                                  (unsigned long long) run->offset);
    }
    return 0;
}

static int
s_open_file(const rmt_folder_t *folder, const char *name, const rmt_entry_t *entry,
            rmt_error_t *error)
{
    const mode_t mode = s_is_born_with_mode(folder, entry) ? entry->mode & 0777 : 0600;
    rmt_auto_fd fd =
        rmt_beneath_open(rmt_folder_fd(folder), name, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd == -1)
        return rmt_fail_errno(error, "create");
    const bool has_early = entry->flags & RMT_META_EARLY_FLAGS || entry->hints ||
                           rmt_folder_hands_down(folder);
    if (has_early && rmt_meta_apply_early(fd, entry, error) == -1)
        return -1;
    if (s_reserve(fd, entry, error) == -1)
        return -1;
    if (entry->sparse && ftruncate(fd, (off_t) entry->size) == -1)
        return rmt_fail_errno(error, "set size %llu", (unsigned long long) entry->size);
    return rmt_take_fd(&fd);
}

static int
s_make_node(const rmt_folder_t *folder, const char *name, const rmt_entry_t *entry,
            rmt_error_t *error)
{
    const int folder_fd = rmt_folder_fd(folder);
    const mode_t mode = (entry->mode & S_IFMT) | 0600;
    int result = 0;
    switch (entry->mode & S_IFMT) {
    case S_IFLNK:
        result = symlinkat(entry->target, folder_fd, name);
        if (result == -1 && errno == ENAMETOOLONG)
            return rmt_fail_errno(error, "create a symlink to %zu bytes",
                                  strlen(entry->target));
        break;
    case S_IFIFO:
        result = mknodat(folder_fd, name, mode, 0);
        break;
    case S_IFCHR:
    case S_IFBLK:
        result =
            mknodat(folder_fd, name, mode, makedev(entry->rdev_major, entry->rdev_minor));
        if (result == -1 && errno == EINVAL)
            return rmt_fail_errno(error, "create device %u:%u", entry->rdev_major,
                                  entry->rdev_minor);
        break;
    default:
        return rmt_fail(error, RMT_E_UNSUPPORTED, "type %o", entry->mode & S_IFMT);
    }
    if (result == -1)
        return rmt_fail_errno(error, "create");
    const int fd = rmt_beneath_open(folder_fd, name, O_PATH, 0);
    return fd == -1 ? rmt_fail_errno(error, "open") : fd;
}

int
rmt_make_open(const rmt_folder_t *folder, const rmt_entry_t *entry, rmt_error_t *error)
{
    const char *slash = strrchr(entry->path, '/');
    const char *name = slash ? slash + 1 : entry->path;
    const int fd = S_ISREG(entry->mode) ? s_open_file(folder, name, entry, error)
                                        : s_make_node(folder, name, entry, error);
    if (fd != -1)
        return fd;
    char fs[RMT_KERNEL_WORDS_SIZE];
    rmt_wrap(error, "on %s", rmt_kernel_words_fs(rmt_folder_fd(folder), fs));
    return rmt_make_wrap(entry, error);
}

rmt_runs_t
rmt_make_runs(const rmt_entry_t *entry, rmt_extent_t *whole_room)
{
    if (entry->sparse)
        return (rmt_runs_t){.items = entry->extents, .count = entry->extent_count};
    *whole_room = (rmt_extent_t){0, entry->size};
    return (rmt_runs_t){.items = whole_room, .count = entry->size > 0};
}

int
rmt_make_finish(const rmt_folder_t *folder, int fd, const rmt_entry_t *entry,
                rmt_error_t *error)
{
    unsigned options = 0;
    if (s_is_born_with_mode(folder, entry))
        options |= RMT_META_KEEP_OWNER | RMT_META_KEEP_MODE;
    if (rmt_folder_hands_down(folder))
        options |= RMT_META_EXACT;
    if (entry->link_group)
        options |= RMT_META_UNLOCKED;
    if (rmt_meta_apply(fd, entry, options, error) == -1)
        return rmt_make_wrap(entry, error);
    return 0;
}

int
rmt_make_whole(const rmt_folder_t *folder, const rmt_entry_t *entry, const void *data,
               size_t size, rmt_error_t *error)
{
    rmt_auto_fd fd = rmt_make_open(folder, entry, error);
    if (fd == -1)
        return -1;
    rmt_extent_t whole;
    rmt_runs_t runs = rmt_make_runs(entry, &whole);
    if (size && rmt_runs_pwrite(&runs, fd, 0, data, size, error) == -1)
        return rmt_make_wrap(entry, error);
    return rmt_make_finish(folder, fd, entry, error);
}
