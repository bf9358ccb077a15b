// rmt_queue - an ordered queue of chores between one producer, several workers and one
// consumer; the only place of this library with a mutex.
//
// House style makes a thread a zactor. Here threads share one list of chores because
// results must come out in the order of a tree whichever thread computes them, within a
// budget of bytes that the oldest chore may always exceed, and a message per small file
// would cost as much as the file. So plain pthreads and one lock, all of it inside this
// class.
//
// A chore is the first member of a struct of the caller. The queue links chores and never
// frees one. Life of a chore: put by the producer, got by a worker, done, taken by the
// consumer in queue order, released. Without a consumer a worker calls finish instead of
// done, which removes the chore at once.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/rmt_error.h"

typedef enum { RMT_CHORE_WAITING, RMT_CHORE_WORKING, RMT_CHORE_DONE } rmt_chore_state_t;

typedef struct rmt_chore {
    struct rmt_chore *next, *previous;
    size_t weight; // Bytes it holds from get to release
    rmt_chore_state_t state;
} rmt_chore_t;

typedef struct rmt_queue rmt_queue_t;

// At most count_limit chores are put before put blocks; chores are got while the weight
// held stays within weight_limit, but the first chore of the queue always may. Caller
// owns.
rmt_queue_t *rmt_queue_new(size_t count_limit, size_t weight_limit);
// Every thread has left. Chores still queued are the caller's.
void rmt_queue_destroy(rmt_queue_t **self_p);

// Append a chore. Blocks while the queue is full. False when the queue was stopped: the
// chore stays the caller's.
bool rmt_queue_put(rmt_queue_t *self, rmt_chore_t *chore, size_t weight);
// Insert a chore right behind one that a worker holds. Never blocks.
void rmt_queue_put_after(rmt_queue_t *self, rmt_chore_t *chore, size_t weight,
                         rmt_chore_t *after);
// No more put.
void rmt_queue_end(rmt_queue_t *self);

// The first waiting chore. Blocks. NULL when the queue has ended and is empty, or
// stopped.
rmt_chore_t *rmt_queue_get(rmt_queue_t *self);
void rmt_queue_done(rmt_queue_t *self, rmt_chore_t *chore);
// Done, and out of the queue at once.
void rmt_queue_finish(rmt_queue_t *self, rmt_chore_t *chore);

// The first chore when it is done; it leaves the queue and keeps its weight until
// release. Blocks up to timeout_ms. 1; 0 at the end; -1 when time is up or the queue
// stopped.
int rmt_queue_take(rmt_queue_t *self, int timeout_ms, rmt_chore_t **chore_out);
void rmt_queue_release(rmt_queue_t *self, rmt_chore_t *chore);

// Block until the queue is empty or stopped.
void rmt_queue_drain(rmt_queue_t *self);
// Wake all threads and hand out no further chore; remember the first error given.
void rmt_queue_fail(rmt_queue_t *self, const rmt_error_t *error);
// 0, or -1 with the error of rmt_queue_fail.
int rmt_queue_check(rmt_queue_t *self, rmt_error_t *error);
// A chore that is still queued after all threads left, removed; NULL when none is.
rmt_chore_t *rmt_queue_reclaim(rmt_queue_t *self);
