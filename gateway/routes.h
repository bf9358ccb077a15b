// routes - what the gateway can be asked, in the words of the console.
#pragma once

#include "console/call.h"

// Is there such a path, such as /api/v1/jobs? Whether what it names is there, the broker
// says.
bool routes_has(const char *path);

// Ask the broker, and answer as docs/spec/10-json.md has it. Caller owns the text (free).
// NULL: what the broker said, NOT_FOUND, UNAVAILABLE. Blocks until answered or timed out.
char *routes_answer(call_t *call, const char *path, rmt_error_t *error);
