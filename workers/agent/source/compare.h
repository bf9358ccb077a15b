// compare - drift: this machine's own files against an image (M7).
//
// Nothing is written. The manifests come from a holder of the image's place; contents are
// hashed here. What installing makes anew for each machine (ops/lib/personal.list) and
// what is this agent's own is told apart from drift, or left out.
#pragma once

#include <stdatomic.h>
#include "agent/agent.h"
#include "net/rmt_worker.h"

// A task: body {image, place, ignore, all}. Blocks until all is compared, or until yield,
// which may be NULL, is set by another thread. 0 for no drift, or -1: CORRUPT when there
// is, with findings; REFUSED for yield; what reading and fetching says.
int rmt_compare_task(rmt_task_t *task, rmt_agent_t *agent, const atomic_bool *yield,
                     rmt_error_t *error);

// True for a path (without a leading slash) that differs from machine to machine by
// intent. For tests.
bool rmt_compare_is_personal(const char *path);
