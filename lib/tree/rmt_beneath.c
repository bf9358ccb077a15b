#include "tree/rmt_beneath.h"
#include "base/rmt_auto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

static int
s_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    const struct open_how how = {
        .flags = (uint64_t) (unsigned) (flags | O_NOFOLLOW | O_CLOEXEC),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                   RESOLVE_NO_XDEV,
    };
    int fd;
    // EAGAIN: a rename elsewhere made the kernel unsure whether the path stayed below.
    do
        fd = (int) syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
    while (fd == -1 && (errno == EAGAIN || errno == EINTR));
    return fd;
}

int
rmt_beneath_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    rmt_auto_fd at = -1;
    while (strlen(path) >= PATH_MAX) {
        char piece[PATH_MAX];
        const char *slash = memrchr(path, '/', PATH_MAX - 1);
        if (!slash) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(piece, path, (size_t) (slash - path));
        piece[slash - path] = '\0';
        const int next = s_open(at == -1 ? dir_fd : at, piece, O_PATH | O_DIRECTORY, 0);
        if (next == -1)
            return -1;
        if (at != -1)
            close(at);
        at = next;
        path = slash + 1;
    }
    return s_open(at == -1 ? dir_fd : at, path, flags, mode);
}
