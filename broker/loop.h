// loop - the life of a broker: ports, Redis that comes and goes, what is done by the
// clock.
#pragma once

#include "broker/broker.h"

// Borrows settings. Proves that unknown keys stay out, then binds all ports.
// Caller owns the result. NULL: IO, INTERNAL, CONFIG.
rmt_broker_t *rmt_broker_new(const rmt_settings_t *settings, rmt_error_t *error);
void rmt_broker_destroy(rmt_broker_t **self_p);

// One turn of the loop, also for tests that have a clock of their own: take what has
// come, and do what is due. Never waits. Returns the milliseconds until something is due,
// when nothing comes before.
long rmt_broker_turn(rmt_broker_t *self);

// Take turns until a signal comes. 0, or -1: IO.
int rmt_broker_run(rmt_broker_t *self, int signals, rmt_error_t *error);
