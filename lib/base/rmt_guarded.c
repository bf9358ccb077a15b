#include "base/rmt_guarded.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS_READ 077
#define OTHERS_WRITE 022

static int
s_check_owner(const rmt_guarded_t *file, const struct stat *status, rmt_error_t *error)
{
    const bool is_ours = status->st_uid == geteuid() ||
                         (file->kind == RMT_GUARDED_TRUST && status->st_uid == 0);
    if (is_ours)
        return 0;
    return rmt_fail(
        error, RMT_E_CONFIG,
        "%s %s belongs to user %u, and this process runs as user %u; run: chown %u %s",
        file->what, file->path, status->st_uid, geteuid(), geteuid(), file->path);
}

static int
s_check(const rmt_guarded_t *file, const struct stat *status, rmt_error_t *error)
{
    const bool is_secret = file->kind == RMT_GUARDED_SECRET;
    if (is_secret && !S_ISREG(status->st_mode))
        return rmt_fail(error, RMT_E_CONFIG,
                        "%s %s is not a plain file; name a plain file", file->what,
                        file->path);
    if (s_check_owner(file, status, error) == -1)
        return -1;
    if (is_secret && status->st_mode & OTHERS_READ)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "other users can read or write %s %s (mode %03o); run: chmod 600 %s",
            file->what, file->path, status->st_mode & 0777, file->path);
    if (S_ISREG(status->st_mode) && status->st_mode & OTHERS_WRITE)
        return rmt_fail(error, RMT_E_CONFIG,
                        "other users can write %s %s (mode %03o); run: chmod go-w %s",
                        file->what, file->path, status->st_mode & 0777, file->path);
    if (S_ISREG(status->st_mode) && (uint64_t) status->st_size > file->limit)
        return rmt_fail(error, RMT_E_CONFIG, "%s %s is larger than %zu bytes", file->what,
                        file->path, file->limit);
    return 0;
}

static int
s_open(const rmt_guarded_t *file, int *fd_out, rmt_error_t *error)
{
    // Without O_NONBLOCK a FIFO in the place of a secret would hold us for ever.
    const int more = file->kind == RMT_GUARDED_SECRET ? O_NOFOLLOW | O_NONBLOCK : 0;
    rmt_auto_fd fd = open(file->path, O_RDONLY | O_CLOEXEC | more);
    if (fd == -1 && errno == ELOOP)
        return rmt_fail(error, RMT_E_CONFIG,
                        "%s %s is a symbolic link; name the file itself", file->what,
                        file->path);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "%s %s", file->what, file->path);
    if (s_check(file, &status, error) == -1)
        return -1;
    *fd_out = rmt_take_fd(&fd);
    return 0;
}

int
rmt_guarded_check(const rmt_guarded_t *file, rmt_error_t *error)
{
    assert(file && file->path && file->what && error);
    rmt_auto_fd fd = -1;
    return s_open(file, &fd, error);
}

int
rmt_guarded_load(const rmt_guarded_t *file, char **text_out, size_t *size_out,
                 rmt_error_t *error)
{
    assert(file && file->path && file->what && text_out && size_out && error);
    rmt_auto_fd fd = -1;
    void *data = NULL;
    if (s_open(file, &fd, error) == -1)
        return -1;
    if (rmt_io_load_fd(fd, file->limit, &data, size_out, error) == -1)
        return rmt_wrap(error, "%s %s", file->what, file->path);
    *text_out = data;
    return 0;
}
