// rmt_endpoint - where a program of ramet listens or is reached: "host:port".
//
// The host is a name, an IPv4 address, or an IPv6 address in square brackets. "@" as
// host of a data address means the host under which the asker reaches the broker. Pure
// functions; nothing is resolved.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_ENDPOINT_HOST_SIZE 256

// Ports of a broker, counted from its base port.
#define RMT_PORT_BASE 7700
typedef enum {
    RMT_PORT_ENROL = 0,
    RMT_PORT_AGENTS,
    RMT_PORT_WORKERS,
    RMT_PORT_CONSOLE,
    RMT_PORT_EVENTS
} rmt_port_t;

// Part "host:port"; brackets stay with an IPv6 host. 0, or -1: USAGE.
int rmt_endpoint_split(const char *text, char host_out[RMT_ENDPOINT_HOST_SIZE],
                       uint16_t *port_out, rmt_error_t *error);

// The address of one of a broker's ports from "host" or "host:base".
// Caller owns the result (free). NULL: USAGE.
char *rmt_endpoint_broker(const char *text, rmt_port_t port, rmt_error_t *error);

// Replace the host "@" of "@:port"; other addresses are copied.
// Caller owns the result (free). NULL: USAGE.
char *rmt_endpoint_expand(const char *text, const char *broker_host, rmt_error_t *error);
