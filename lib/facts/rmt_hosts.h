// rmt_hosts - the brokers' addresses of one port, as clients and workers take them. Pure.
#pragma once

#include "facts/rmt_endpoint.h"
#include "base/rmt_error.h"

typedef struct rmt_hosts rmt_hosts_t;

// From "host" or "host:base" texts, NULL-terminated. Caller owns the result.
// NULL: USAGE.
rmt_hosts_t *rmt_hosts_new(const char *const *brokers, rmt_port_t port,
                           rmt_error_t *error);
void rmt_hosts_destroy(rmt_hosts_t **self_p);
// NULL-terminated "host:port" texts, valid while self lives.
const char *const *rmt_hosts_list(const rmt_hosts_t *self);
