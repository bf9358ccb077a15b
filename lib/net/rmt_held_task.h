// rmt_run - a task in hand, as the control thread keeps it: waiting for a slot, running
// in its thread, or ended with a result that the broker has not recorded yet.
// Private to lib/net.
#pragma once

#include "net/rmt_peer.h"
#include "net/rmt_task.h"

typedef enum { RMT_RUN_WAITING, RMT_RUN_RUNNING, RMT_RUN_ENDED } rmt_run_state_t;

typedef struct rmt_run rmt_run_t;

// Takes *msg_p, a TASK; service is an index that the owner gives meaning to.
rmt_run_t *rmt_run_new(rmt_msg_t **msg_p, size_t service);
// Waits for the thread.
void rmt_run_destroy(rmt_run_t **self_p);

rmt_run_state_t rmt_run_state(const rmt_run_t *self);
const uint8_t *rmt_run_id(const rmt_run_t *self);
uint32_t rmt_run_attempt(const rmt_run_t *self);
size_t rmt_run_service(const rmt_run_t *self);

// From waiting to running.
void rmt_run_start(rmt_run_t *self, const rmt_task_setup_t *setup);

// Ask it to end; one that waits ends at once with this error.
void rmt_run_cancel(rmt_run_t *self, rmt_code_t code, const char *text);

// A higher attempt of the same task: takes *msg_p. What is under way is cancelled, and
// the new attempt waits for its end.
void rmt_run_replace(rmt_run_t *self, rmt_msg_t **msg_p);

// The pipe to poll, or NULL when it has no thread.
zsock_t *rmt_run_pipe(rmt_run_t *self);

// Who hears of each PROGRESS and RESULT, in their order; told may be NULL.
typedef struct {
    rmt_told_fn *told;
    void *context;
} rmt_run_ear_t;

// Take what the thread sent and pass it on. sequence: of the worker's requests.
void rmt_run_read(rmt_run_t *self, rmt_peer_t *peer, uint64_t *sequence,
                  const rmt_run_ear_t *ear);

// Send again what is due (everything after a WELCOME): result, request, last phase.
void rmt_run_resend(rmt_run_t *self, rmt_peer_t *peer, bool all);

// Hand over a REPLY when it is for this run, which renumbers it. Returns true when it was.
bool rmt_run_take_reply(rmt_run_t *self, rmt_msg_t *reply, const char *host);

// False when the sign of life has stood still for the phase's limit.
bool rmt_run_is_alive(rmt_run_t *self, int64_t now);
uint64_t rmt_run_ticks(const rmt_run_t *self);
