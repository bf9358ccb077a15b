// aside - work that waits for a disk, beside the loop of the broker: one piece at a time,
// in a thread of its own.
#pragma once

typedef struct rmt_aside rmt_aside_t;
typedef void(rmt_aside_fn)(void *context);

// The thread begins with the first work. Caller owns the result.
rmt_aside_t *rmt_aside_new(void);
// Waits for the end of the work, and does not call its done.
void rmt_aside_destroy(rmt_aside_t **self_p);

// Have work done in the thread; then rmt_aside_handle calls done. There is no work under
// way. What work uses, the caller leaves alone until then.
void rmt_aside_begin(rmt_aside_t *self, rmt_aside_fn *work, rmt_aside_fn *done,
                     void *context);

// Readable when work has ended; then call rmt_aside_handle, which never blocks.
int rmt_aside_fd(const rmt_aside_t *self);
void rmt_aside_handle(rmt_aside_t *self);

// Wait for the end of the work, and call done.
void rmt_aside_wait(rmt_aside_t *self);
