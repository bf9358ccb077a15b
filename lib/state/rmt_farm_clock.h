// rmt_farm_clock - the farm's clock, as one program counts it on between two answers.
//
// Redis says it; from then on it is counted by the monotonic clock of this process. It
// never goes back.
#pragma once

#include <stdint.h>

typedef struct {
    int64_t ms, at; // As it was said, and when, by the monotonic clock; 0: not known
} rmt_farm_clock_t;

// Milliseconds of the farm's clock, now; 0: not known.
int64_t rmt_farm_clock_ms(const rmt_farm_clock_t *self);

// An answer has said it. What is not later than what is counted changes nothing.
void rmt_farm_clock_hear(rmt_farm_clock_t *self, uint64_t clock_ms);
