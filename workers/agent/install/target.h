// target - the services prepare@target/NAME and write@target/NAME, and with a disk that
// the configuration names compare@target/NAME.
//
// Prepare looks, and writes nothing. Write is GO: it is refused when it means another
// life of this agent (gate.h), another order than the one prepared, or an older fence
// than one that was seen. When a write has ended, the agent begins a new life, and says
// HELLO with it before the result.
#pragma once

#include <stdbool.h>
#include "agent/agent.h"

// Offer the services until a signal, or until a system was installed that is booted next
// now. Borrows agent. 0 with *reboot_out, or -1: IO.
int rmt_target_run(rmt_agent_t *agent, bool *reboot_out, rmt_error_t *error);
