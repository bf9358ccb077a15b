// rmt_origin - the TCP connection by which a message came, and how to end it.
//
// libzmq has no call that ends the connection of one peer of a bound socket. Each frame
// tells the descriptor of its connection, and shutdown(2) on it makes the thread of
// libzmq find the connection closed: it frees all queues of that peer. A descriptor may
// have been closed and used again, so it counts only while its peer has the same address
// and port as when the message was read. The other end may connect again.
#pragma once

#include <czmq.h>
#include <netinet/in.h>

#define RMT_ADDRESS_SIZE 64 // Text of an address without a port

typedef struct {
    int fd;                         // -1: not known, or its connection has gone
    char address[RMT_ADDRESS_SIZE]; // Of the peer; it stays when the connection goes
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
} rmt_origin_t;

// Of a frame that was just read. Its fd is -1 when the connection has gone already.
rmt_origin_t rmt_origin_of(zframe_t *frame);

// What counts as one peer where keys do not: an IPv4 address, or the /64 of an IPv6
// address, for a computer has as many of those as it likes. Returns network.
char *rmt_origin_network(const char *address, char network[RMT_ADDRESS_SIZE]);

bool rmt_origin_is_same(const rmt_origin_t *self, const rmt_origin_t *other);

// The connection is still there.
bool rmt_origin_is_alive(const rmt_origin_t *self);

// End the connection if it is still there. Never blocks.
void rmt_origin_cut(const rmt_origin_t *self);
