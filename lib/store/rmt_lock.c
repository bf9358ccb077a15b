#include "store/rmt_lock.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <errno.h>
#include <fcntl.h>

int
rmt_lock_take(const char *root, const char *file, int operation, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s", root, file);
    rmt_auto_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    while (flock(fd, operation) == -1) {
        if (errno == EWOULDBLOCK)
            return rmt_fail(error, RMT_E_UNAVAILABLE, "another process holds %s", path);
        if (errno != EINTR)
            return rmt_fail_errno(error, "lock %s", path);
    }
    return rmt_take_fd(&fd);
}
