#include "net/rmt_origin.h"

#include <assert.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

rmt_origin_t
rmt_origin_of(zframe_t *frame)
{
    assert(frame);
    const char *fd = zframe_meta(frame, "__fd"); // What ZMQ_SRCFD gives
    const char *address = zframe_meta(frame, "Peer-Address");
    rmt_origin_t origin = s_look(fd ? atoi(fd) : -1);
    char text[RMT_ADDRESS_SIZE];
    rmt_origin_address(&origin, text);
    if (!address || !*text || !streq(text, address))
        origin.fd = -1; // The descriptor has another user by now
    return origin;
}

void
rmt_origin_address(const rmt_origin_t *self, char address[RMT_ADDRESS_SIZE])
{
    assert(self);
    const socklen_t size =
        self->peer.any.sa_family == AF_INET ? sizeof self->peer.v4 : sizeof self->peer.v6;
    if (self->fd == -1 || getnameinfo(&self->peer.any, size, address, RMT_ADDRESS_SIZE,
                                      NULL, 0, NI_NUMERICHOST) != 0)
        address[0] = '\0';
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

void
rmt_origin_cut(const rmt_origin_t *self)
{
    if (rmt_origin_is_alive(self))
        (void) shutdown(self->fd, SHUT_RDWR);
}
