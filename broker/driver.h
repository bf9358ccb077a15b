// driver - moves jobs on: view, decide (dispatch), step; one step of a job at a time.
//
// Steps are compare-and-set in Redis, so a second broker, a repeat or a crash in between
// changes nothing twice. Other jobs do not wait.
#pragma once

#include "broker/broker.h"

rmt_driver_t *rmt_driver_new(rmt_broker_t *broker);
void rmt_driver_destroy(rmt_driver_t **self_p);

// Look at what a job needs without a result.
void rmt_driver_drive(rmt_driver_t *self, const char *job);

// code OK: recorded, now or before. FENCED: the attempt is not current. Others: again.
typedef void(rmt_driver_fn)(rmt_broker_t *broker, const rmt_record_t *claim,
                            rmt_code_t code);

// Record a result. claim: {task, attempt, worker, code, text} and, when known, job; it is
// handed to done, with the outputs left out. Takes both records.
void rmt_driver_result(rmt_driver_t *self, rmt_record_t **claim_p,
                       rmt_record_t **outputs_p, rmt_driver_fn *done);
