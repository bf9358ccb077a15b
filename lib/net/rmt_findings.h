// rmt_findings - the findings of a task, sent to the broker page by page, so that any
// number of them fits beside a RESULT of counts. The console reads them with
// `job.findings`.
#pragma once

#include "net/rmt_worker.h"

typedef struct rmt_findings rmt_findings_t;

// Borrows task, in whose thread all of this is called. Caller owns the result.
rmt_findings_t *rmt_findings_new(rmt_task_t *task);
void rmt_findings_destroy(rmt_findings_t **self_p);

// Takes the record. Blocks when a page is full, until the broker has it; what fails then
// is said by finish.
void rmt_findings_add(rmt_findings_t *self, rmt_record_t **record_p);
// Hand over the rest, and set "findings" of the task's outputs. 0, or -1: UNAVAILABLE,
// FENCED, CANCELLED.
int rmt_findings_finish(rmt_findings_t *self, rmt_error_t *error);
