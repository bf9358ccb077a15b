// source - the services capture@source/NAME, this machine's disk as an image, and
// compare@source/NAME, this machine held against an image.
#pragma once

#include "agent/agent.h"

// Offer the service until a signal. Borrows agent. 0, or -1: IO.
int rmt_source_run(rmt_agent_t *agent, rmt_error_t *error);
