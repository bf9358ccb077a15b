// rmt_address - the texts by which hosts and ports are named.
//
// "host:port", where host is a name, an IPv4 address, or an IPv6 address in square
// brackets. "@" as host of a data address means the host under which the asker
// reaches the broker. Pure functions; nothing is resolved.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_ADDRESS_HOST_SIZE 256

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
int rmt_address_split(const char *text, char host_out[RMT_ADDRESS_HOST_SIZE],
                      uint16_t *port_out, rmt_error_t *error);

// The address of one of a broker's ports from "host" or "host:base".
// Caller owns the result (free). NULL: USAGE.
char *rmt_address_broker(const char *text, rmt_port_t port, rmt_error_t *error);

// Replace the host "@" of "@:port"; other addresses are copied.
// Caller owns the result (free). NULL: USAGE.
char *rmt_address_expand(const char *text, const char *broker_host, rmt_error_t *error);

// Texts of records: 10.0.0.7, fe80::1, 10.0.0.7/24 or fe80::1/64, 255.255.255.0,
// 52:54:00:12:34:56, and a host name of RFC 1123.
bool rmt_address_is_ipv4(const char *text);
bool rmt_address_is_ipv6(const char *text);
bool rmt_address_is_prefix(const char *text);
bool rmt_address_is_netmask(const char *text);
bool rmt_address_is_mac(const char *text);
bool rmt_address_is_host(const char *text);
