// worker_port - workers and agents: their keys, and their messages.
//
// A peer is who its key says, at every message.
#pragma once

#include "broker/broker.h"

// port: RMT_PORT_WORKERS or RMT_PORT_AGENTS.
void rmt_worker_port_handle(rmt_broker_t *broker, rmt_port_t port);

// The key has ended: tell its peer so, and send it nothing more.
void rmt_worker_port_end(rmt_broker_t *broker, const char *key);

// Tell Redis who was heard of lately.
void rmt_worker_port_presence(rmt_broker_t *broker);
