#include "tree/rmt_names.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "tree/rmt_beneath.h"
#include "tree/rmt_meta.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
s_compare(const void *a, const void *b)
{
    return strcmp(((const rmt_name_t *) a)->text, ((const rmt_name_t *) b)->text);
}

static int
s_read(rmt_names_t *self, DIR *folder, rmt_error_t *error)
{
    const struct dirent *found;
    while ((void) (errno = 0), (found = readdir(folder))) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        rmt_grow(&self->items, &self->room, self->count + 1);
        self->items[self->count] = (rmt_name_t){.text = strdup(found->d_name)};
        assert(self->items[self->count].text);
        self->count++;
    }
    if (errno)
        return rmt_fail_errno(error, "read the names of a folder");
    if (self->count > 1)
        qsort(self->items, self->count, sizeof *self->items, s_compare);
    return 0;
}

int
rmt_names_read(rmt_names_t *self, int folder_fd, rmt_error_t *error)
{
    const int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd == -1 ? NULL : fdopendir(fd);
    if (!folder) {
        rmt_fail_errno(error, "read the names of a folder");
        if (fd != -1)
            close(fd);
        return -1;
    }
    const int result = s_read(self, folder, error);
    closedir(folder);
    return result;
}

void
rmt_names_free(rmt_names_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->items[i].text);
    free(self->items);
    *self = (rmt_names_t){0};
}

void
rmt_names_mark(rmt_names_t *self, const char *name)
{
    const rmt_name_t key = {.text = (char *) (uintptr_t) name};
    rmt_name_t *found =
        self->count ? bsearch(&key, self->items, self->count, sizeof key, s_compare)
                    : NULL;
    if (found)
        found->is_marked = true;
}

// ---- Names that go

// A change of this name was refused: open it and take its lock flags away. The
// descriptor; -1 when it has none, which is the error of the change.
static int
s_unlock(int folder_fd, const char *name, uint32_t *flags_out, rmt_error_t *error)
{
    struct stat status;
    if (fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return rmt_fail_errno(error, "look at it");
    if (!S_ISREG(status.st_mode))
        return rmt_fail(error, RMT_E_IO, "%s", strerror(EPERM));
    rmt_auto_fd fd =
        rmt_beneath_open(folder_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd == -1)
        return rmt_fail_errno(error, "open it to unlock it");
    if (rmt_meta_unlock(fd, flags_out, error) == -1)
        return -1;
    if (!(*flags_out & RMT_META_LOCK_FLAGS))
        return rmt_fail(error, RMT_E_IO, "%s", strerror(EPERM));
    return rmt_take_fd(&fd);
}

// The inode is locked again when another name, such as a kept one, still has it.
static int
s_lock_rest(int fd, uint32_t flags, rmt_error_t *error)
{
    struct stat status;
    if (fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "look at it");
    const rmt_entry_t entry = {.mode = status.st_mode, .flags = flags & RMT_META_FLAGS};
    return status.st_nlink ? rmt_meta_apply(fd, &entry, RMT_META_ONLY_FLAGS, error) : 0;
}

static int
s_drop(int folder_fd, const char *name, const char *from)
{
    return from ? renameat(folder_fd, from, folder_fd, name)
                : unlinkat(folder_fd, name, 0);
}

int
rmt_names_drop(int folder_fd, const char *name, const char *from, rmt_error_t *error)
{
    const char *what = from ? "take its name" : "remove";
    if (s_drop(folder_fd, name, from) == 0)
        return 0;
    if (errno != EPERM)
        return rmt_fail_errno(error, "%s", what);
    uint32_t flags;
    rmt_auto_fd locked = s_unlock(folder_fd, name, &flags, error);
    if (locked == -1)
        return rmt_wrap(error, "%s", what);
    if (s_drop(folder_fd, name, from) == -1)
        return rmt_fail_errno(error, "%s", what);
    return s_lock_rest(locked, flags, error);
}
