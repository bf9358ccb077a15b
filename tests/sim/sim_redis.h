// sim_redis - a Redis that lives in this process: the real function library (ramet.lua)
// over tables that tests/sim/redis.lua keeps in place of data.
//
// It knows no connections, no disk and no clock: sim_state.c adds those.
// A call is one step, as in Redis. One instance serves many worlds after one another.
#pragma once

#include "state/rmt_state.h"

typedef struct sim_redis sim_redis_t;

// A piece of the library's text that is replaced before it is loaded.
typedef struct {
    const char *from, *to; // from stands in the text exactly once
} sim_patch_t;

// more: Lua text that is joined to the library, or NULL. patches end with one whose from
// is NULL, or are NULL. A text that does not load, or a patch that does not fit, ends the
// program. Caller owns the result.
sim_redis_t *sim_redis_new(const char *more, const sim_patch_t *patches);
void sim_redis_destroy(sim_redis_t **self_p);

// Keep a copy of the data as it is now, or go back to it; slots are from 0. A slot that
// was never kept is an empty Redis.
void sim_redis_keep(sim_redis_t *self, int slot);
void sim_redis_restore(sim_redis_t *self, int slot);

// It has ended, and starts again over what it has: another run by INFO.
void sim_redis_start(sim_redis_t *self);

// What the instance is now is what sim_redis_begin goes back to, with its copies and all
// that Lua code keeps; before the first time it is the empty Redis of sim_redis_new.
void sim_redis_fix(sim_redis_t *self);
// Begin anew; seed: that of SRANDMEMBER.
void sim_redis_begin(sim_redis_t *self, uint32_t seed);

// One call at this time of the wall clock. Caller owns the result, a REPLY; an error that
// Redis itself would answer has the code INTERNAL.
rmt_msg_t *sim_redis_call(sim_redis_t *self, int64_t wall_ms, const rmt_call_t *call);

// The services that were published on the channel of tasks since the last time, each
// followed by a NUL, with an empty one at the end. Valid until the next call.
const char *sim_redis_take_ready(sim_redis_t *self);
