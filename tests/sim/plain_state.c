// rmt_state.h and redis_server.h over sim_redis, which answers at once and by the real
// clock: the tests of the function library run on it as on a real Redis.
#include "integration/redis_server.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "sim/sim_redis.h"
#include "state/rmt_farm_clock.h"

struct rmt_state {
    sim_redis_t *redis;
    int64_t called_at; // The last call, by the wall clock
    rmt_farm_clock_t clock;
    rmt_state_listener_t listener;
};

void
redis_server_new(redis_server_t *self)
{
    *self = (redis_server_t){0};
}

void
redis_server_destroy(redis_server_t *self)
{
    *self = (redis_server_t){0};
}

rmt_state_t *
rmt_state_new(const rmt_state_server_t *server, const rmt_state_listener_t *listener,
              rmt_error_t *error)
{
    (void) server;
    (void) error;
    rmt_state_t *self = zmalloc(sizeof *self);
    self->redis = sim_redis_new(NULL, NULL);
    self->listener = *listener;
    return self;
}

void
rmt_state_destroy(rmt_state_t **self_p)
{
    sim_redis_destroy(&(*self_p)->redis);
    free(*self_p);
    *self_p = NULL;
}

zsock_t *
rmt_state_socket(rmt_state_t *self)
{
    (void) self;
    return NULL;
}

void
rmt_state_handle(rmt_state_t *self)
{
    (void) self;
}

void
rmt_state_hear_clock(rmt_state_t *self, uint64_t clock_ms)
{
    rmt_farm_clock_hear(&self->clock, clock_ms);
}

void
rmt_state_call(rmt_state_t *self, const rmt_call_t *call, rmt_state_fn *fn, void *context)
{
    // As with a real Redis, each call has a time of its own.
    const int64_t now = rmt_clock_wall_ms();
    self->called_at = now > self->called_at ? now : self->called_at + 1;
    const int64_t clock_ms = rmt_farm_clock_ms(&self->clock);
    rmt_auto(rmt_record) meta =
        call->meta ? rmt_record_dup(call->meta) : rmt_record_new();
    if (clock_ms > 0 && !rmt_record_has(meta, "clock"))
        rmt_record_set_u64(meta, "clock", (uint64_t) clock_ms);
    rmt_call_t timed = *call;
    timed.meta = meta;
    rmt_msg_t *reply = sim_redis_call(self->redis, self->called_at, &timed);
    for (const char *ready = sim_redis_take_ready(self->redis); *ready;
         ready += strlen(ready) + 1)
        self->listener.on_ready(self->listener.context, ready);
    fn(context, reply);
    rmt_msg_destroy(&reply);
}
