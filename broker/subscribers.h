// subscribers - the connections of the events port, and what they have subscribed to.
#pragma once

#include "broker/broker.h"

#define RMT_TOPIC_MAX 200        // Octets of one subscription
#define RMT_SUBSCRIPTIONS_MAX 64 // Of one connection
#define RMT_SUBSCRIBERS_MAX 4096 // Connections

rmt_subscribers_t *rmt_subscribers_new(rmt_broker_t *broker);
void rmt_subscribers_destroy(rmt_subscribers_t **self_p);

// Read what has arrived at the events port. A connection that goes beyond the limits is
// cut: libzmq keeps each subscription that it has read, until the connection ends.
void rmt_subscribers_handle(rmt_subscribers_t *self);

// The key may no longer act: cut its connections. A subscriber says nothing at which it
// could be refused.
void rmt_subscribers_end(rmt_subscribers_t *self, const char *key);

// Forget the connections that have ended.
void rmt_subscribers_tick(rmt_subscribers_t *self);
