// rmt_state - calls of the function library in Redis (ramet.lua), and their answers.
//
// Redis is spoken to by a thread of its own: a slow or dead Redis never stops the
// caller's loop. The library is loaded at every new connection, which is tried again
// with growing pauses. Calls are sent in order and pipelined, as many as Redis can do; a
// call that waits for its turn for the whole time-out is not made. Every call is answered
// exactly once: by the function; with UNAVAILABLE when Redis is gone or silent for the
// time-out, and with `doubtful` in the body when it may have had its effect; or with
// CANCELLED in destroy.
// An instance belongs to one thread, in which all callbacks are made.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"
#include "wire/rmt_msg.h"

typedef struct rmt_state rmt_state_t;

// reply is of kind RMT_MSG_REPLY and belongs to the library; the function may change it.
typedef void(rmt_state_fn)(void *context, rmt_msg_t *reply);
// What is told without being asked; each function may be NULL.
typedef struct {
    // The connection came or went. Before the first call nothing is connected.
    void (*on_link)(void *context, bool is_up);
    // A task waits for this service since now, whichever broker put it there. It is told
    // once and to all; what is told while there is no connection is lost.
    void (*on_ready)(void *context, const char *service);
    void *context;
} rmt_state_listener_t;

// address: path of a unix socket, or host:port. listener is copied and may be NULL.
// Caller owns the result. NULL: USAGE.
rmt_state_t *rmt_state_new(const char *address, uint32_t timeout_ms,
                           const rmt_state_listener_t *listener, rmt_error_t *error);
void rmt_state_destroy(rmt_state_t **self_p);

// To be polled; when it is readable, rmt_state_handle makes the callbacks that are due.
zsock_t *rmt_state_socket(rmt_state_t *self);
void rmt_state_handle(rmt_state_t *self);

// In place of a function: the settings of Redis that doctor judges, as fields of the
// body.
#define RMT_STATE_SETTINGS "settings"

typedef struct {
    const char *function;
    const rmt_record_t *meta;   // What is known of the caller; may be NULL
    const rmt_record_t *body;   // May be NULL
    const rmt_records_t *items; // May be NULL
} rmt_call_t;

// Borrows call. fn may be NULL for "not wanted". Never blocks, never fails.
void rmt_state_call(rmt_state_t *self, const rmt_call_t *call, rmt_state_fn *fn,
                    void *context);

// The farm's clock, as an answer said it. From then on it is counted by the monotonic
// clock of this process and said with every call; it never goes back.
void rmt_state_hear_clock(rmt_state_t *self, uint64_t clock_ms);
