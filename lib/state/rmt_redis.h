// rmt_redis - the thread that speaks to Redis; rmt_state alone uses it.
//
// To the thread: {ticket, command}. From it: {"up"}, {"down"}, {"ready", service}, and
// {ticket, reply}, where the bytes of the reply's frame are an rmt_msg_t, which goes away
// with the frame. It has two connections, as one that listens to a channel cannot call.
#pragma once

#include <czmq.h>
#include "state/rmt_state.h"

typedef struct rmt_redis rmt_redis_t;

// Caller owns the result, or hands it to zactor_new(rmt_redis_run, self), which takes it.
rmt_redis_t *rmt_redis_new(const char *address, uint32_t timeout_ms);
void rmt_redis_run(zsock_t *pipe, void *args);

// The FCALL of a call, as it goes to Redis. clock_ms: the farm's clock, 0 before it is
// known. Caller owns the result.
zframe_t *rmt_redis_command(const rmt_call_t *call, int64_t clock_ms);
