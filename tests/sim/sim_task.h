// sim_task - rmt_task.h without threads: a task function is called again and again.
//
// Here a function of rmt_service_t does one step and returns the milliseconds until its
// next one; 0: done; -1: failed. It is called again only while its process lives.
#pragma once

#include "net/rmt_worker.h"

// How many steps were made before this one.
int sim_task_step(const rmt_task_t *self);
// Ask the broker. The steps go on; sim_task_reply is the last answer, or NULL.
void sim_task_ask(rmt_task_t *self, const char *verb, const rmt_record_t *body,
                  const rmt_records_t *items);
const rmt_msg_t *sim_task_reply(const rmt_task_t *self);
// Called when the task has ended, or its process has: with a number of the caller's own.
typedef void(sim_task_end_fn)(void *context);
void sim_task_on_end(rmt_task_t *self, sim_task_end_fn *fn, void *context);
