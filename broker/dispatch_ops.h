// dispatch_ops - the operations of a step (docs/spec/6-states.md), and what actions read.
//
// Inside dispatch. An operation belongs to the list of its step; one that is returned may
// get further fields.
#pragma once

#include "broker/dispatch.h"

// What an action sees, and the list that it adds to.
typedef struct {
    const rmt_job_view_t *view;
    const rmt_result_t *result; // NULL: the job is driven on
    rmt_records_t *ops;
} rmt_step_t;

// A field of the job; the subject of the task.
const char *rmt_step_job(const rmt_step_t *step, const char *field);
uint64_t rmt_step_number(const rmt_step_t *step, const char *field);
const char *rmt_step_subject(const rmt_step_t *step);
// Call each for the words of a list. Returns how many there were.
size_t rmt_step_each(const char *list, void (*each)(rmt_step_t *, const char *),
                     rmt_step_t *step);

// An operation without arguments.
rmt_record_t *rmt_op_add(rmt_step_t *step, const char *name);
// The job enters a stage.
rmt_record_t *rmt_op_stage(rmt_step_t *step, const char *stage);
// The job ends: finish, finish-in-part or fail.
void rmt_op_end(rmt_step_t *step, const char *event, rmt_code_t code, const char *text);
// verb: the part of the service before "@"; at: the part behind it.
rmt_record_t *rmt_op_task(rmt_step_t *step, const char *verb, const char *at,
                          const char *subject);
// Targets of an engine, or all when it is empty, fail unless they are armed.
void rmt_op_stop(rmt_step_t *step, const char *engine, rmt_code_t code, const char *text);
// The target that the task is about fails; the op, to which the caller may add "hold".
rmt_record_t *rmt_op_failed(rmt_step_t *step, rmt_code_t code, const char *text);
// It comes to another phase.
rmt_record_t *rmt_op_phase(rmt_step_t *step, const char *phase);

// Copy a field when it is there.
void rmt_op_copy(rmt_record_t *op, const char *to, const rmt_record_t *from,
                 const char *field);
// The same for several fields, whose names get a prefix and a dot.
void rmt_op_copy_each(rmt_record_t *op, const char *prefix, const rmt_record_t *from,
                      const char *const *fields);
#define RMT_OP_COPY(op, prefix, from, ...)                                               \
    rmt_op_copy_each(op, prefix, from, (const char *const[]){__VA_ARGS__, NULL})
