// rmt_own_address - the address of this computer that a broker sees.
#pragma once

#include "base/rmt_error.h"

// The address from which this computer would reach the first of these brokers ("host" or
// "host:base-port", NULL-terminated) that it has a route to; an IPv6 address has square
// brackets. "@", the broker's host, when that is this computer by loopback: others reach
// it by an address that is not known here. Nothing is sent, but names are resolved, which
// may block. Caller owns the result (free). NULL: UNAVAILABLE (no name was resolved, or
// there is no route yet).
char *rmt_own_address(const char *const *brokers, rmt_error_t *error);
