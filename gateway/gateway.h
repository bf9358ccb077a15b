// gateway - between HTTP and the broker: whose requests count, what they ask, and who
// waits for which answer.
#pragma once

#include "gateway/settings.h"

typedef struct gateway gateway_t;

// Listen. Borrows settings. Caller owns the result. NULL: USAGE, IO, CONFIG.
gateway_t *gateway_new(const settings_t *settings, rmt_error_t *error);
void gateway_destroy(gateway_t **self_p);

uint16_t gateway_port(const gateway_t *self);

// Run until a signal comes. 0, or -1: IO.
int gateway_run(gateway_t *self, int signals, rmt_error_t *error);
