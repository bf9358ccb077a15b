// hooks - programs of a source's owner around a capture, such as one that makes a
// database write all it has and wait.
//
// `hook-before` runs before anything is read, `hook-after` once all of it was read, or
// stands in snapshots. Once the first was started the second is due: it runs whatever the
// capture comes to, and if this process dies, when the agent starts again.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_error.h"

typedef struct {
    const rmt_config_t *config; // {hook-before, hook-after, hook-timeout-s, state}
    const char *source;         // Told to the programs as RAMET_SOURCE
} rmt_hooks_t;

// Blocks for the program, at most hook-timeout-s and five seconds.
// 0, also for no hook, or -1: REFUSED (it failed), TIMEOUT, NOT_FOUND, IO.
int rmt_hooks_before(const rmt_hooks_t *hooks, rmt_error_t *error);
// Does nothing when it is not due. Blocks and returns as above; then it is no longer due.
int rmt_hooks_after(const rmt_hooks_t *hooks, rmt_error_t *error);
