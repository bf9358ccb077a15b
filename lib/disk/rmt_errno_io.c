#include "disk/rmt_errno_io.h"

#include <errno.h>
#include <unistd.h>

// A device has no end within; a file that was cut meanwhile has.
int
rmt_errno_pread(int fd, void *data, size_t size, uint64_t at)
{
    uint8_t *out = data;
    while (size) {
        const ssize_t done = pread(fd, out, size, (off_t) at);
        if (done == -1 && errno == EINTR)
            continue;
        if (done <= 0)
            return done == 0 ? EIO : errno;
        out += done;
        at += (uint64_t) done;
        size -= (size_t) done;
    }
    return 0;
}

int
rmt_errno_pwrite(int fd, const void *data, size_t size, uint64_t at)
{
    const uint8_t *in = data;
    while (size) {
        const ssize_t done = pwrite(fd, in, size, (off_t) at);
        if (done == -1 && errno == EINTR)
            continue;
        if (done <= 0)
            return done == 0 ? EIO : errno;
        in += done;
        at += (uint64_t) done;
        size -= (size_t) done;
    }
    return 0;
}
