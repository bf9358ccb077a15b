// dispatch - the next tasks of a job: one pure table, job kind x stage x result.
//
// It sees a view of the job and the result of a task (or none: the job is driven on),
// and answers with operations for job_step (lib/state/ramet_steps.lua). It has no clock,
// no sockets and no memory, so several brokers decide alike, and a repeat is harmless:
// the id of a task is made from job, stage and subject.
#pragma once

#include "wire/rmt_msg.h"

// Borrowed; image, task and target may be NULL.
typedef struct {
    const rmt_record_t *job, *image, *task, *target;
    const rmt_records_t *items; // Targets that may begin are those with what=ready
} rmt_job_view_t;

// View of the reply of job_view; valid as long as that.
rmt_job_view_t rmt_view_of(const rmt_msg_t *reply);

typedef struct {
    rmt_code_t code;
    const char *text;
    const rmt_record_t *outputs;
} rmt_result_t;

// result is NULL when the job is driven on. Caller owns the list, which may be empty.
rmt_records_t *rmt_dispatch(const rmt_job_view_t *view, const rmt_result_t *result);

// The id of a task: the first 16 octets of SHA-256 over job, stage and subject. In
// the header for tests.
void rmt_dispatch_task_id(const char *job, const char *stage, const char *subject,
                          uint8_t id_out[RMT_UID_SIZE]);
