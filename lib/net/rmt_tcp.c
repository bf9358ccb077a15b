#include "net/rmt_tcp.h"

#include <linux/in.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

uint64_t
rmt_tcp_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

uint64_t
rmt_tcp_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int waiting = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1 ||
        ioctl(fd, SIOCINQ, &waiting) == -1 || info.tcpi_bytes_received < (__u64) waiting)
        return 0;
    return info.tcpi_bytes_received - (__u64) waiting;
}
