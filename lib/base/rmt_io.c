#include "base/rmt_io.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_grow.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE_FIRST 4096

int
rmt_io_write(int fd, const void *data, size_t size, rmt_error_t *error)
{
    const char *at = data;
    while (size) {
        const ssize_t done = write(fd, at, size);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return rmt_fail_errno(error, "write %zu bytes", size);
        at += done;
        size -= (size_t) done;
    }
    return 0;
}

int
rmt_io_read(int fd, void *data, size_t size, rmt_error_t *error)
{
    char *at = data;
    while (size) {
        const ssize_t done = read(fd, at, size);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return rmt_fail_errno(error, "read %zu bytes", size);
        if (done == 0)
            return rmt_fail(error, RMT_E_CORRUPT, "the data end %zu bytes early", size);
        at += done;
        size -= (size_t) done;
    }
    return 0;
}

int
rmt_io_pwrite(int fd, const void *data, size_t size, off_t offset, rmt_error_t *error)
{
    const char *at = data;
    while (size) {
        const ssize_t done = pwrite(fd, at, size, offset);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return rmt_fail_errno(error, "write %zu bytes at %lld", size,
                                  (long long) offset);
        at += done;
        offset += done;
        size -= (size_t) done;
    }
    return 0;
}

int
rmt_io_pread(int fd, void *data, size_t size, off_t offset, rmt_error_t *error)
{
    char *at = data;
    while (size) {
        const ssize_t done = pread(fd, at, size, offset);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return rmt_fail_errno(error, "read %zu bytes at %lld", size,
                                  (long long) offset);
        if (done == 0)
            return rmt_fail(error, RMT_E_CORRUPT, "the data end %zu bytes early", size);
        at += done;
        offset += done;
        size -= (size_t) done;
    }
    return 0;
}

// Files of /proc and /sys tell no size, so this reads until the end.
int
rmt_io_load_fd(int fd, size_t limit, void **data_out, size_t *size_out,
               rmt_error_t *error)
{
    size_t room = 0, used = 0;
    rmt_auto_str data = NULL;
    rmt_grow(&data, &room, READ_SIZE_FIRST);
    for (;;) {
        const ssize_t done = read(fd, data + used, room - used - 1);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return rmt_fail_errno(error, "read the file");
        if (done == 0)
            break;
        used += (size_t) done;
        if (used > limit)
            return rmt_fail(error, RMT_E_TOO_BIG, "the file is larger than %zu bytes",
                            limit);
        rmt_grow(&data, &room, used + 2);
    }
    data[used] = '\0';
    *data_out = rmt_take(&data);
    *size_out = used;
    return 0;
}

int
rmt_io_load(const char *path, size_t limit, void **data_out, size_t *size_out,
            rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    if (rmt_io_load_fd(fd, limit, data_out, size_out, error) == -1)
        return rmt_wrap(error, "%s", path);
    return 0;
}

static char *
s_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return rmt_text(".");
    return slash == path ? rmt_text("/") : rmt_text("%.*s", (int) (slash - path), path);
}

int
rmt_io_sync_parent(const char *path, rmt_error_t *error)
{
    rmt_auto_str parent = s_parent(path);
    rmt_auto_fd fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1 || RMT_FAILPOINT("io.folder.sync") == -1 || fsync(fd) == -1)
        return rmt_fail_errno(error, "sync folder %s", parent);
    return 0;
}

static int
s_save_write(int fd, const void *data, size_t size, rmt_error_t *error)
{
    if (RMT_FAILPOINT("io.save.write") == -1)
        return rmt_fail_errno(error, "write %zu bytes", size);
    return rmt_io_write(fd, data, size, error);
}

int
rmt_io_save(const char *path, const void *data, size_t size, mode_t mode,
            rmt_error_t *error)
{
    rmt_auto_str temporary = rmt_text("%s.XXXXXX", path);
    rmt_auto_fd fd = mkostemp(temporary, O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "create %s", temporary);
    if (s_save_write(fd, data, size, error) == -1) {
        (void) unlink(temporary);
        return rmt_wrap(error, "save %s", path);
    }
    if (fchmod(fd, mode) == -1 || RMT_FAILPOINT("io.save.sync") == -1 ||
        fsync(fd) == -1 || RMT_FAILPOINT("io.save.rename") == -1 ||
        rename(temporary, path) == -1) {
        rmt_fail_errno(error, "save %s", path);
        (void) unlink(temporary);
        return -1;
    }
    return rmt_io_sync_parent(path, error);
}

static int
s_make_folder(const char *path, mode_t mode, rmt_error_t *error)
{
    struct stat status;
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return rmt_fail_errno(error, "make folder %s", path);
    const bool is_found = stat(path, &status) == 0;
    if (is_found && S_ISDIR(status.st_mode))
        return 0;
    if (!is_found && errno != ENOENT)
        return rmt_fail_errno(error, "look at %s", path);
    return rmt_fail(error, RMT_E_EXISTS,
                    "make folder %s: %s is there; move it away, or name another folder",
                    path,
                    !is_found                 ? "a symlink that leads nowhere"
                    : S_ISREG(status.st_mode) ? "a file"
                                              : "a device, pipe or socket");
}

int
rmt_io_mkdirs(const char *path, mode_t mode, rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", path);
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (s_make_folder(copy, mode, error) == -1)
            return -1;
        *at = '/';
    }
    return s_make_folder(copy, mode, error);
}

static int
s_remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void) status;
    (void) kind;
    (void) walk;
    return remove(path);
}

int
rmt_io_remove_tree(const char *path, rmt_error_t *error)
{
    if (nftw(path, s_remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == -1)
        return rmt_fail_errno(error, "remove %s", path);
    return 0;
}

char *
rmt_text(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size == -1)
        abort();
    return text;
}
