// rmt_inflow - ends the connections that send a message without end.
//
// libzmq bounds the messages that wait to be read, and the octets of one frame. It hands
// out a message when the last of its frames has come, and counts it then: a message of
// frames without number grows in its memory, unseen. The kernel tells how many octets a
// connection has brought, and the owner of the sockets tells each message that has come
// by it. A connection that has brought more in between than all messages that may wait
// is ended, and so is one that has brought more than two messages and stands so for some
// seconds. To walk over all connections costs time, so it is done every few seconds, and
// when the memory of the process grows.
#pragma once

#include "net/rmt_origin.h"
#include "net/rmt_socket.h"

typedef struct rmt_inflow rmt_inflow_t;

// A connection from this address was ended.
typedef void(rmt_inflow_fn)(void *context, const char *address);

// Caller owns the result. told is borrowed, with its context.
rmt_inflow_t *rmt_inflow_new(rmt_inflow_fn *told, void *context);
void rmt_inflow_destroy(rmt_inflow_t **self_p);

// Look at the connections of this port, which a socket of this kind has bound.
void rmt_inflow_add(rmt_inflow_t *self, uint16_t port, rmt_socket_kind_t kind);

// A message has come by this connection.
void rmt_inflow_heard(rmt_inflow_t *self, const rmt_origin_t *origin);

// Do what is due. Returns the milliseconds until it is due again, at most 100.
int rmt_inflow_tick(rmt_inflow_t *self, int64_t now);
