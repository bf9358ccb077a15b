// sim_console - the person at the console: orders jobs, cancels, retries, breaks locks.
//
// Each order has an idempotency key, and is sent again, to one broker or the other, until
// it is answered (P2).
#pragma once

#include "sim/sim_world.h"

// Begin to order. hurdles: how many cancels, breaks and the like come between at most.
void sim_console_begin(unsigned hurdles);
// Nothing more will be ordered, and all is answered.
bool sim_console_is_done(void);
// What it does now, for people.
const char *sim_console_words(void);
