// acts - what an operator does over HTTP: each act is a verb of the console, with the
// same words.
#pragma once

#include "console/call.h"

// Is there an act of this path?
bool acts_has(const char *path);

// Do what a path and the object in a body say, by the key of the call; its options,
// operands and what it says become those of the act. Caller owns the answer (JSON).
// NULL: NOT_FOUND (the path), USAGE (the body), and as the verb.
char *acts_run(call_t *call, const char *path, const char *body, rmt_error_t *error);
