// rmt_inflow - ends the connections that send a message without end, and the oldest of
// those that have said nothing yet, when they are too many.
//
// libzmq bounds the messages that wait to be read, and the octets of one frame. It hands
// out a message when the last of its frames has come, and counts it then: a message of
// frames without number grows in its memory, unseen. The kernel tells how many octets a
// connection has brought, and the owner of the sockets tells each message that has come
// by it. A connection that has brought more in between than all messages that may wait
// is ended, and so is one that has brought more than two messages and stands so for some
// seconds. To walk over all connections costs time, so it is done every few seconds, and
// when the memory of the process or the number of its descriptors grows.
//
// No key is needed for a connection by which no message has come, so time alone does not
// bound them: of one network (rmt_origin_network), and of all, only so many stay. A peer
// speaks as soon as its handshake is over, so the oldest go first; of those of the last
// second those that have sent least of a handshake.
#pragma once

#include "net/rmt_origin.h"
#include "net/rmt_socket.h"

typedef struct rmt_inflow rmt_inflow_t;

#define RMT_UNHEARD_MAX 16384 // As 10,000 targets need that wait for a broker to open
#define RMT_UNHEARD_NETWORK_MAX 2048

// A connection from this address was ended, or one of several from one network. why:
// "sends a message without end".
typedef void(rmt_inflow_fn)(void *context, const char *address, const char *why);

// Caller owns the result. told is borrowed, with its context.
rmt_inflow_t *rmt_inflow_new(rmt_inflow_fn *told, void *context);
void rmt_inflow_destroy(rmt_inflow_t **self_p);

// Look at the connections of this port, which a socket of this kind has bound.
void rmt_inflow_add(rmt_inflow_t *self, uint16_t port, rmt_socket_kind_t kind);

// How many that have said nothing may stay. Without it, RMT_UNHEARD_NETWORK_MAX and
// RMT_UNHEARD_MAX. For tests.
void rmt_inflow_limit(rmt_inflow_t *self, size_t network_max, size_t max);

// A message has come by this connection.
void rmt_inflow_heard(rmt_inflow_t *self, const rmt_origin_t *origin);

// Do what is due. Returns the milliseconds until it is due again, at most 100.
int rmt_inflow_tick(rmt_inflow_t *self, int64_t now);
