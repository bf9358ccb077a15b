// rmt_command - the text of a call of the function library, as it goes to Redis.
#pragma once

#include <czmq.h>
#include "state/rmt_state.h"

// The FCALL of a call. clock_ms: the farm's clock, 0 before it is known. Caller owns the
// result.
zframe_t *rmt_command_new(const rmt_call_t *call, int64_t clock_ms);
