// sim_state - rmt_state.h over sim_redis: one Redis for all brokers of the world, with
// connections that are slow, end and come again.
//
// A call is carried out when it arrives, whole or not at all, and its answer may be lost.
// Redis keeps what it has answered (appendfsync always): a crash loses no more than calls
// that have not arrived.
#pragma once

#include "sim/sim_redis.h"
#include "sim/sim_world.h"

// Redis of this world, which is up. It stays the caller's.
void sim_state_begin(sim_redis_t *redis);
void sim_state_end(void);
void sim_state_set_delay(int64_t delay_max);

// Redis ends and comes again after a time, with what the slot has (sim_redis_keep), or,
// for a slot below 0, with all that it has.
void sim_state_crash(int64_t time, int slot);
// It does nothing for a time.
void sim_state_pause(int64_t time);
// Its wall clock goes forwards or back.
void sim_state_shift(int64_t ms);
// Cut the connection of one broker.
void sim_state_cut(const sim_process_t *process);

// Called before and after each call that Redis carries out; reply is NULL before.
typedef void(sim_call_fn)(const rmt_call_t *call, const rmt_msg_t *reply);
void sim_state_on_call(sim_call_fn *fn);

// A call at once, without a connection. Caller owns the result.
rmt_msg_t *sim_state_ask(const rmt_call_t *call);
