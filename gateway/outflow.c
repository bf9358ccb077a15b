#include "gateway/outflow.h"

#include <assert.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SEND_BUFFER_SIZE (64 * 1024)

void
outflow_limit(int fd, unsigned silence_ms)
{
    const int size = SEND_BUFFER_SIZE;
    (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
}

bool
outflow_is_silent(outflow_t *self, int fd, int64_t now_ms, unsigned silence_ms)
{
    assert(self);
    int queued = 0;
    if (ioctl(fd, SIOCOUTQ, &queued) == -1)
        return false;
    if (!self->taken_ms || queued == 0 || self->given - queued > self->taken)
        self->taken_ms = now_ms;
    self->taken = self->given - queued;
    return now_ms - self->taken_ms >= silence_ms;
}
