// rmt_own_address - the address of this computer that a broker sees.
#pragma once

// The address from which this computer would reach the first of these brokers ("host" or
// "host:base-port", NULL-terminated) that it has a route to; an IPv6 address has square
// brackets. Nothing is sent, but names are resolved, which may block. Caller owns the
// result (free). NULL: there is no route, or the broker is on this computer and others
// reach it by an address that this computer does not know (loopback).
char *rmt_own_address(const char *const *brokers);
