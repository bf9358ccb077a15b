// child - ramet-diskw as a child of this process, and the pipe to it.
//
// While frames are sent, what comes back is taken too: progress goes on to the task, an
// error ends the sending with the writer's own words.
#pragma once

#include "base/rmt_error.h"
#include "agent/disk_tools/pipe.h"
#include "base/rmt_record.h"
#include "net/rmt_worker.h"

typedef struct rmt_child rmt_child_t;

// Start the program. Borrows task until destroyed. Caller owns the result. NULL: IO.
rmt_child_t *rmt_child_new(const char *program, rmt_task_t *task, rmt_error_t *error);
// Close the pipe and wait for the program, which closes the disks first; one that is
// cancelled, or that does not end within a minute, is ended by signals. Blocks until the
// program and all that it has started are gone; the process must be their reaper
// (PR_SET_CHILD_SUBREAPER).
void rmt_child_destroy(rmt_child_t **self_p);

rmt_pipe_t *rmt_child_pipe(rmt_child_t *self);

// A send has failed with error: replace it by what the program said before it ended, if
// it said anything. Returns -1 always.
int rmt_child_explain(rmt_child_t *self, rmt_error_t *error);

// Wait for the answer to FINISH. Caller owns *answer_out {files, bytes, verified}.
// 0, or -1: what the program says, CANCELLED.
int rmt_child_finish(rmt_child_t *self, rmt_record_t **answer_out, rmt_error_t *error);
