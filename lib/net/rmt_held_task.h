// rmt_held_task - a task in hand, as the control thread keeps it: waiting for a slot,
// running in its thread, or ended with a result that the broker has not recorded yet.
// Private to lib/net.
#pragma once

#include "net/rmt_peer.h"
#include "net/rmt_task.h"

typedef enum {
    RMT_HELD_TASK_WAITING,
    RMT_HELD_TASK_RUNNING,
    RMT_HELD_TASK_ENDED
} rmt_held_task_state_t;

typedef struct rmt_held_task rmt_held_task_t;

// Takes *msg_p, a TASK; service is an index that the owner gives meaning to.
rmt_held_task_t *rmt_held_task_new(rmt_msg_t **msg_p, size_t service);
// Waits for the thread.
void rmt_held_task_destroy(rmt_held_task_t **self_p);

rmt_held_task_state_t rmt_held_task_state(const rmt_held_task_t *self);
const uint8_t *rmt_held_task_id(const rmt_held_task_t *self);
uint32_t rmt_held_task_attempt(const rmt_held_task_t *self);
size_t rmt_held_task_service(const rmt_held_task_t *self);

// From waiting to running.
void rmt_held_task_start(rmt_held_task_t *self, const rmt_task_setup_t *setup);

// Ask it to end; one that waits ends at once with this error.
void rmt_held_task_cancel(rmt_held_task_t *self, rmt_code_t code, const char *text);

// A higher attempt of the same task: takes *msg_p. What is under way is cancelled, and
// the new attempt waits for its end.
void rmt_held_task_replace(rmt_held_task_t *self, rmt_msg_t **msg_p);

// The pipe to poll, or NULL when it has no thread.
zsock_t *rmt_held_task_pipe(rmt_held_task_t *self);

// Who hears of each PROGRESS and RESULT, in their order; told may be NULL.
typedef struct {
    rmt_told_fn *told;
    void *context;
} rmt_held_task_ear_t;

// Take what the thread sent and pass it on. sequence: of the worker's requests.
void rmt_held_task_read(rmt_held_task_t *self, rmt_peer_t *peer, uint64_t *sequence,
                        const rmt_held_task_ear_t *ear);

// Send again what is due (everything after a WELCOME): result, request, last phase.
void rmt_held_task_resend(rmt_held_task_t *self, rmt_peer_t *peer, bool all);

// Hand over a REPLY when it is for this run, which renumbers it. Returns true when it
// was.
bool rmt_held_task_take_reply(rmt_held_task_t *self, rmt_msg_t *reply, const char *host);

// False when the sign of life has stood still for the phase's limit.
bool rmt_held_task_is_alive(rmt_held_task_t *self, int64_t now);
uint64_t rmt_held_task_ticks(const rmt_held_task_t *self);
