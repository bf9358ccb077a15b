// rmt_upkeep - check, scrub, gc and verify: every imager and installer offers these
// tasks for the place of its store (docs/spec/4-control.md).
//
// Their context is an rmt_holder_t. Faults become findings, counts become
// outputs; a task that finds damaged or missing chunks fails with CORRUPT.
#pragma once

#include "place/holder.h"

// Are all chunks there; with deep, are they what their ids say?
int rmt_upkeep_check(rmt_task_t *task, void *holder, rmt_error_t *error);
// Re-hash all packs at a given rate and put aside what is damaged.
int rmt_upkeep_scrub(rmt_task_t *task, void *holder, rmt_error_t *error);
// Remove images that have left the catalogue, and of packs that no image needs.
int rmt_upkeep_gc(rmt_task_t *task, void *holder, rmt_error_t *error);
// Re-hash every chunk of one image.
int rmt_upkeep_verify(rmt_task_t *task, void *holder, rmt_error_t *error);

// The rows of all of them, for a table of services. One at a time: they read a lot.
#define RMT_UPKEEP_SERVICES                                                              \
    {"check", 1, rmt_upkeep_check}, {"scrub", 1, rmt_upkeep_scrub},                      \
        {"gc", 1, rmt_upkeep_gc},                                                        \
    {                                                                                    \
        "verify", 1, rmt_upkeep_verify                                                   \
    }
