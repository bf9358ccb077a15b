// rmt_redis - the thread that speaks to Redis; rmt_state alone uses it.
//
// To the thread: {ticket, how many "down" the caller has heard, command}; a call whose
// caller has not heard of the last one is refused. From it: {"up", address}, {"down",
// address},
// {"ready", service}, and {ticket, reply}, where the bytes of the reply's frame are an
// rmt_msg_t, which goes away with the frame. It has two connections, as one that listens
// to a channel cannot call, and one to each sentinel.
#pragma once

#include <czmq.h>
#include "state/rmt_state.h"

typedef struct rmt_redis rmt_redis_t;

// server is borrowed for the life of the thread. Caller owns the result, or hands it to
// zactor_new(rmt_redis_run, self), which takes it.
rmt_redis_t *rmt_redis_new(const rmt_state_server_t *server);
void rmt_redis_run(zsock_t *pipe, void *args);
