// events_port - what the connections of the events port have subscribed to.
#pragma once

#include "broker/broker.h"

#define RMT_TOPIC_MAX 200        // Octets of one subscription
#define RMT_SUBSCRIPTIONS_MAX 64 // Of one connection

// Read what has arrived at the events port. A connection that goes beyond the limits is
// cut: libzmq keeps each subscription that it has read, until the connection ends.
void rmt_events_port_handle(rmt_broker_t *broker);
