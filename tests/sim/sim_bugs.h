// sim_bugs - mistakes that are put into the farm, each of which the checks must find.
#pragma once

#include <stdio.h>
#include "sim/sim_seed.h"

// By name; "none" is no mistake. NULL: there is none of this name.
const sim_bug_t *sim_bugs_find(const char *name);
void sim_bugs_list(FILE *file);

// A Redis for worlds with this mistake. Caller owns the result.
sim_redis_t *sim_bugs_redis(const sim_bug_t *bug);
