// rmt_connections - the connections of each key at one port, how many they may be, and
// their end.
//
// libzmq tells neither which connections stand nor when one ends, so a connection is
// known from its first message on, and is looked for every few seconds. A port to which
// any key may come, as that for enrolment, keeps none.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "net/rmt_origin.h"

typedef struct rmt_connections rmt_connections_t;

typedef struct {
    rmt_origin_t origin;
    size_t subscriptions; // At the events port
    bool is_refused;      // Its key may not act, and it was told so
} rmt_connection_t;

// Caller owns the result.
rmt_connections_t *rmt_connections_new(void);
void rmt_connections_destroy(rmt_connections_t **self_p);

// A message of this key has come by this connection, which has not ended (origin->fd).
// Returns what is kept of the connection, valid until the next call. NULL: the key has
// max other connections at this port; this one ends with the next tick, so that the peer
// can be told before.
rmt_connection_t *rmt_connections_require(rmt_connections_t *self, const char *user,
                                          const rmt_origin_t *origin, size_t max);

// End all connections of a key.
void rmt_connections_end(rmt_connections_t *self, const char *user);

// End the connections that were too many, and forget those that have ended.
void rmt_connections_tick(rmt_connections_t *self);
