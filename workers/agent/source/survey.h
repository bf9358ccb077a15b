// survey - what an image of this source would be, without making one: what is taken, left
// out and made anew, and every private key that would travel (M19).
#pragma once

#include "agent/agent.h"
#include "net/rmt_worker.h"

// A task function, with the agent as its context. Body: {exclude}. Findings {what, path,
// text}: take, leave, anew, key, warning. Outputs: files, bytes, keys, left-out.
int rmt_survey_run(rmt_task_t *task, void *agent, rmt_error_t *error);
