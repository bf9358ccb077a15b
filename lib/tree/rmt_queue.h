// rmt_queue - an ordered queue of jobs between one producer, several workers and one
// consumer; the only place of this library with a mutex.
//
// House style makes a thread a zactor. Here threads share one job list because results
// must come out in the order of a tree whoever computes them, within a budget of bytes
// that the oldest job may always exceed, and a message per small file would cost as much
// as the file. So plain pthreads and one lock, all of it inside this class.
//
// A job is the first member of a struct of the caller. The queue links jobs and never
// frees one. Life of a job: put by the producer, got by a worker, done, taken by the
// consumer in queue order, released. Without a consumer a worker calls finish instead of
// done, which removes the job at once.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/rmt_error.h"

typedef enum { RMT_JOB_WAITING, RMT_JOB_WORKING, RMT_JOB_DONE } rmt_job_state_t;

typedef struct rmt_job {
    struct rmt_job *next, *previous;
    size_t weight; // Bytes it holds from get to release
    rmt_job_state_t state;
} rmt_job_t;

typedef struct rmt_queue rmt_queue_t;

// At most count_limit jobs are put before put blocks; jobs are got while the weight held
// stays within weight_limit, but the first job of the queue always may. Caller owns.
rmt_queue_t *rmt_queue_new(size_t count_limit, size_t weight_limit);
// Every thread has left. Jobs still queued are the caller's.
void rmt_queue_destroy(rmt_queue_t **self_p);

// Append a job. Blocks while the queue is full. False when the queue was stopped: the
// job stays the caller's.
bool rmt_queue_put(rmt_queue_t *self, rmt_job_t *job, size_t weight);
// Insert a job right behind one that a worker holds. Never blocks.
void rmt_queue_put_after(rmt_queue_t *self, rmt_job_t *job, size_t weight,
                         rmt_job_t *after);
// No more put.
void rmt_queue_end(rmt_queue_t *self);

// The first waiting job. Blocks. NULL when the queue has ended and is empty, or stopped.
rmt_job_t *rmt_queue_get(rmt_queue_t *self);
void rmt_queue_done(rmt_queue_t *self, rmt_job_t *job);
// Done, and out of the queue at once.
void rmt_queue_finish(rmt_queue_t *self, rmt_job_t *job);

// The first job when it is done; it leaves the queue and keeps its weight until release.
// Blocks up to timeout_ms. 1; 0 at the end; -1 when time is up or the queue stopped.
int rmt_queue_take(rmt_queue_t *self, int timeout_ms, rmt_job_t **job_out);
void rmt_queue_release(rmt_queue_t *self, rmt_job_t *job);

// Block until the queue is empty or stopped.
void rmt_queue_drain(rmt_queue_t *self);
// Wake everybody and hand out nothing any more; remember the first error given.
void rmt_queue_fail(rmt_queue_t *self, const rmt_error_t *error);
// 0, or -1 with the error of rmt_queue_fail.
int rmt_queue_check(rmt_queue_t *self, rmt_error_t *error);
// A job that is still queued after all threads left, removed; NULL when none is.
rmt_job_t *rmt_queue_reclaim(rmt_queue_t *self);
