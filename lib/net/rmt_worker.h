// rmt_worker - the loop that all workers and agents share.
//
// The control thread (the one that calls rmt_worker_run) keeps the link to a broker
// (rmt_peer), gives CREDIT for each service, and runs each task in a
// thread of its own. It sends BEAT for the tasks in hand every 3 s, PROGRESS at most
// twice a second for each task (a new phase at once), and RESULT again every 3 s and
// after each HELLO until RECORDED. A TASK that is in hand with the same attempt is
// ignored; a higher attempt cancels the old run and starts when that has ended. Tasks are
// at-least-once: a task function must be repeatable. A task whose sign of life stands
// still for its phase's limit is left out of BEAT, so that the broker takes it back.
#pragma once

#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "wire/rmt_msg.h"
#include "base/rmt_record.h"

typedef struct rmt_worker rmt_worker_t;
typedef struct rmt_task rmt_task_t;

// Does one task, in a thread of its own. Fills rmt_task_outputs and returns 0, or sets
// error and returns -1: then code and text are the RESULT (outputs go with it). It must
// look at rmt_task_cancelled now and then and leave with RMT_E_CANCELLED.
typedef int(rmt_task_fn)(rmt_task_t *task, void *context, rmt_error_t *error);

typedef struct {
    const char *service; // Full name, such as "match@paris"
    uint32_t slots;      // Tasks at once, at least 1
    rmt_task_fn *run;
} rmt_service_t;

// These are called in the control thread and must not block.
typedef void(rmt_peers_fn)(void *context, const char *place, const rmt_records_t *items);
// host: under which the broker was reached.
typedef void(rmt_welcome_fn)(void *context, const rmt_msg_t *welcome, const char *host);

// Called when the link to the brokers changes: welcome, or why not (as rmt_peer_trouble
// says). Returns false for an end of the worker, as rmt_worker_stop.
typedef bool(rmt_link_fn)(void *context, bool is_welcome, const rmt_error_t *trouble);
// Called with each PROGRESS and RESULT that a task sends, and with each NOTICE of the
// broker.
typedef void(rmt_told_fn)(void *context, const rmt_msg_t *msg);

typedef struct {
    const char *const *brokers; // "host:port" of the port for this role, NULL-terminated
    const rmt_key_t *own;       // This program's key
    const char *broker_key;     // Public key of the brokers, Z85
    const char *role;           // "imager", "installer", "source", "target", "firstboot"
    const char *name;           // Of the machine or worker
    const uint8_t *nonce;       // [RMT_UID_SIZE] boot nonce; NULL: a fresh one
    const rmt_record_t *hello;  // Body of HELLO; may be NULL
    const char *store;          // Folder whose space HELLO tells; may be NULL
    const rmt_service_t *services;
    size_t service_count;
    void *context;              // Handed to all functions
    rmt_peers_fn *on_peers;     // May be NULL
    rmt_welcome_fn *on_welcome; // May be NULL
    rmt_link_fn *on_link;       // May be NULL
    rmt_told_fn *on_told;       // May be NULL
    uint32_t leave_ms;          // How long a stop waits for tasks; 0: 5000
} rmt_worker_config_t;

// Borrows the services' functions and context until destroyed, copies all else.
// Blocks the signals of rmt_signals. Caller owns the result. NULL: USAGE, IO.
rmt_worker_t *rmt_worker_new(const rmt_worker_config_t *config, rmt_error_t *error);
// Waits for task threads that still run.
void rmt_worker_destroy(rmt_worker_t **self_p);

// Run until SIGTERM, SIGINT or rmt_worker_stop: then the worker takes no further task,
// those in hand are cancelled and waited for, their results are sent, and it leaves.
// Returns 0, or -1: IO.
int rmt_worker_run(rmt_worker_t *self, rmt_error_t *error);

// One turn of it, also for tests that have a clock of their own: take what has come, and
// do what is due. Never waits. Returns the milliseconds until something is due, when
// nothing comes before; -1: the worker has left.
int rmt_worker_turn(rmt_worker_t *self);

// From now on the worker is known by this nonce [RMT_UID_SIZE]. A new one is told by
// HELLO at once, before anything that is sent afterwards. From the control thread alone,
// which calls the functions of the configuration.
void rmt_worker_renew(rmt_worker_t *self, const uint8_t *nonce);

// Ask for the end; from any thread, also from a task.
void rmt_worker_stop(rmt_worker_t *self);

// ---- For task functions, in the task's thread. Borrowed until the function returns.

const uint8_t *rmt_task_id(const rmt_task_t *self);  // [RMT_UID_SIZE]
const uint8_t *rmt_task_job(const rmt_task_t *self); // [RMT_UID_SIZE]
uint32_t rmt_task_attempt(const rmt_task_t *self);
uint32_t rmt_task_era(const rmt_task_t *self);
uint64_t rmt_task_epoch(const rmt_task_t *self);
const rmt_record_t *rmt_task_body(const rmt_task_t *self);
rmt_record_t *rmt_task_outputs(rmt_task_t *self);
// Host of the broker as last heard of, for "@" addresses; refreshed by each request.
const char *rmt_task_host(const rmt_task_t *self);

// Where the work is; also a sign of life. text: what the task waits for, which its job
// shows as stuck until it says otherwise; NULL when it waits for nothing. Cheap, never
// blocks.
void rmt_task_progress(rmt_task_t *self, const char *phase, uint64_t done, uint64_t total,
                       const char *text);
// The same where the work was last: it waits, or with NULL, it no longer does.
void rmt_task_waits(rmt_task_t *self, const char *text);

// A sign of life alone: the lease is kept only while this counter moves. May be called
// by helper threads of the task too.
void rmt_task_tick(rmt_task_t *self);

// True once the task should end; from any thread.
bool rmt_task_cancelled(const rmt_task_t *self);
// A tick, and whether to go on: false when it was cancelled. Of an rmt_task_t, for
// those who ask by a function and its context, such as rmt_fetch.
bool rmt_task_go_on(void *task);

// Ask the broker and wait for its REPLY: sent again over reconnects for up to 60 s.
// Borrows body and items, which may be NULL. A field "cursor" of body is the cursor of
// the last page and goes where the wire has it. Caller owns the result.
// NULL: the reply's code and text; UNAVAILABLE, CANCELLED.
rmt_msg_t *rmt_task_request(rmt_task_t *self, const char *verb, const rmt_record_t *body,
                            const rmt_records_t *items, rmt_error_t *error);

// The same in two steps, for work that goes on while the broker is at it: at most
// RMT_TASK_ASKS_MAX may be without their answer (assert), and they may be answered in
// any order. Each must be waited for, unless the task ends. 0 and *ask_out, or -1:
// TOO_BIG. rmt_task_answer returns as rmt_task_request does.
#define RMT_TASK_ASKS_MAX 4
int rmt_task_ask(rmt_task_t *self, const char *verb, const rmt_record_t *body,
                 const rmt_records_t *items, uint64_t *ask_out, rmt_error_t *error);
rmt_msg_t *rmt_task_answer(rmt_task_t *self, uint64_t ask, rmt_error_t *error);
// Would rmt_task_answer return at once? Never waits.
bool rmt_task_is_answered(rmt_task_t *self, uint64_t ask);
