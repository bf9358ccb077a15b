// rmt_task - one attempt at a task in its own thread: what rmt_worker.h shows of it,
// and, here, what the control thread does with it. Private to lib/net.
//
// Both sides speak in messages. To control: PROGRESS, REQUEST, and RESULT as the last
// one. To the task: REPLY with the broker's host. Only the sign of life and the wish to
// cancel are shared.
#pragma once

#include <czmq.h>
#include "net/rmt_worker.h"

typedef struct {
    rmt_task_fn *run;
    void *context;
    const char *host; // Copied
} rmt_task_setup_t;

// Begin an attempt. Takes *msg_p, a TASK. Caller owns the result.
rmt_task_t *rmt_task_new(rmt_msg_t **msg_p, const rmt_task_setup_t *setup);
// Cancels it, and waits for its end.
void rmt_task_destroy(rmt_task_t **self_p);

// To be polled; readable when rmt_task_recv has something.
zsock_t *rmt_task_pipe(rmt_task_t *self);
// The next message of the task, or NULL. Never blocks. Caller owns the result.
rmt_msg_t *rmt_task_recv(rmt_task_t *self);
// Borrows both.
void rmt_task_give(rmt_task_t *self, const rmt_msg_t *reply, const char *host);

void rmt_task_cancel(rmt_task_t *self);
uint64_t rmt_task_ticks(const rmt_task_t *self);

// The RESULT of an attempt; outputs may be NULL. Text that could break the grammar is
// escaped. Caller owns the result.
rmt_msg_t *rmt_task_result(const rmt_msg_t *task, const rmt_error_t *error,
                           const rmt_record_t *outputs);
