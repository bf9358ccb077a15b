// rmt_redis - the thread that speaks to Redis; rmt_state alone uses it.
//
// To the thread: {ticket, arguments of FCALL...}. From it: {"up"}, {"down"}, and
// {ticket, code, text, cursor, n, n body frames, then for each item n, n frames}.
#pragma once

#include <czmq.h>
#include "rmt_error.h"

typedef struct rmt_redis rmt_redis_t;

// Caller owns the result, or hands it to zactor_new(rmt_redis_run, self), which takes it.
rmt_redis_t *rmt_redis_new(const char *address, uint32_t timeout_ms);
void rmt_redis_destroy(rmt_redis_t **self_p);
void rmt_redis_run(zsock_t *pipe, void *args);
