// sim_seed - one whole run: a farm, its jobs, faults by chance, quiet, and the checks.
#pragma once

#include "sim/sim_farm.h"

// What is wrong on purpose, to see that the checks find it.
typedef struct {
    const char *name;
    const sim_patch_t *patches; // Of the function library; NULL: none
    sim_agent_bug_t agent;
    bool loses_writes; // Redis answers before it has a call on disk
    unsigned found;    // The first seed that finds it, when it was last looked at
} sim_bug_t;

// Run a seed over a Redis that sim_redis_new made with watch.lua, and that was fixed with
// what sim_farm_seed puts. Returns the text of the first violation,
// valid until the next run, or NULL. with_faults: false for a farm in which nothing goes
// wrong.
const char *sim_seed_run(sim_redis_t *redis, const sim_bug_t *bug, uint64_t seed,
                         bool with_faults);
