#include "net/rmt_origin.h"

#include <assert.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/rmt_auto.h"

// The peer at the other end of fd just now; fd is -1 without one.
static rmt_origin_t
s_look(int fd)
{
    rmt_origin_t origin = {.fd = fd};
    socklen_t size = sizeof origin.peer;
    if (fd == -1 || getpeername(fd, &origin.peer.any, &size) == -1 ||
        (origin.peer.any.sa_family != AF_INET && origin.peer.any.sa_family != AF_INET6))
        origin.fd = -1;
    return origin;
}

// The text as libzmq tells it, so that the two can be compared.
static bool
s_has_address(const rmt_origin_t *self, const char *address)
{
    const socklen_t size =
        self->peer.any.sa_family == AF_INET ? sizeof self->peer.v4 : sizeof self->peer.v6;
    char text[RMT_ADDRESS_SIZE];
    return self->fd != -1 &&
           getnameinfo(&self->peer.any, size, text, sizeof text, NULL, 0,
                       NI_NUMERICHOST) == 0 &&
           streq(text, address);
}

rmt_origin_t
rmt_origin_of(zframe_t *frame)
{
    assert(frame);
    const char *fd = zframe_meta(frame, "__fd"); // What ZMQ_SRCFD gives
    const char *address = zframe_meta(frame, "Peer-Address");
    rmt_origin_t origin = s_look(fd ? atoi(fd) : -1);
    if (!address || !s_has_address(&origin, address))
        origin.fd = -1; // The descriptor has another user by now
    snprintf(origin.address, sizeof origin.address, "%s", address ? address : "");
    return origin;
}

char *
rmt_origin_network(const char *address, char network[RMT_ADDRESS_SIZE])
{
    assert(address && network);
    char text[RMT_ADDRESS_SIZE];
    struct in6_addr v6;
    snprintf(text, sizeof text, "%.*s", (int) strcspn(address, "%"), address);
    snprintf(network, RMT_ADDRESS_SIZE, "%s", address);
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return network;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        inet_ntop(AF_INET, &v6.s6_addr[12], network, RMT_ADDRESS_SIZE);
        return network;
    }
    memset(&v6.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &v6, text, sizeof text);
    snprintf(network, RMT_ADDRESS_SIZE, "%.*s/64", RMT_ADDRESS_SIZE - 4, text);
    return network;
}

bool
rmt_origin_is_same(const rmt_origin_t *self, const rmt_origin_t *other)
{
    assert(self && other);
    const sa_family_t family = self->peer.any.sa_family;
    if (self->fd == -1 || self->fd != other->fd || family != other->peer.any.sa_family)
        return false;
    return family == AF_INET
               ? self->peer.v4.sin_port == other->peer.v4.sin_port &&
                     self->peer.v4.sin_addr.s_addr == other->peer.v4.sin_addr.s_addr
               : self->peer.v6.sin6_port == other->peer.v6.sin6_port &&
                     self->peer.v6.sin6_scope_id == other->peer.v6.sin6_scope_id &&
                     IN6_ARE_ADDR_EQUAL(&self->peer.v6.sin6_addr,
                                        &other->peer.v6.sin6_addr);
}

bool
rmt_origin_is_alive(const rmt_origin_t *self)
{
    assert(self);
    const rmt_origin_t now = s_look(self->fd);
    return rmt_origin_is_same(self, &now);
}

// A descriptor of our own keeps the socket from being another one between the look and
// the end.
void
rmt_origin_cut(const rmt_origin_t *self)
{
    assert(self);
    rmt_auto_fd own = self->fd == -1 ? -1 : fcntl(self->fd, F_DUPFD_CLOEXEC, 0);
    rmt_origin_t now = s_look(own);
    if (own == -1 || now.fd == -1)
        return;
    now.fd = self->fd;
    if (rmt_origin_is_same(self, &now))
        (void) shutdown(own, SHUT_RDWR);
}
