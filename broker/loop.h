// loop - the life of a broker: ports, Redis that comes and goes, what is done by the
// clock.
#pragma once

#include "broker/broker.h"

// Borrows settings. Proves that unknown keys stay out, then binds all ports.
// Caller owns the result. NULL: IO, INTERNAL, CONFIG.
rmt_broker_t *rmt_broker_new(const rmt_settings_t *settings, rmt_error_t *error);
void rmt_broker_destroy(rmt_broker_t **self_p);

// Run until a signal comes. 0, or -1: IO.
int rmt_broker_run(rmt_broker_t *self, int signals, rmt_error_t *error);
