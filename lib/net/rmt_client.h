// rmt_client - requests to a broker, for consoles and one-shot programs.
//
// One request at a time. A request is sent again, to the next broker when one is
// silent, with the same sequence and idempotency key until its time is over, so it
// has one effect however often it travels. An instance belongs to one thread.
#pragma once

#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "wire/rmt_msg.h"

typedef struct rmt_client rmt_client_t;

// brokers: "host:port" of console ports, NULL-terminated. Borrows nothing after the
// call; nothing is sent yet. Caller owns the result. NULL: USAGE, IO.
rmt_client_t *rmt_client_new(const char *const *brokers, const rmt_key_t *own,
                             const char *broker_key, uint32_t timeout_ms,
                             rmt_error_t *error);
void rmt_client_destroy(rmt_client_t **self_p);

typedef struct {
    const char *verb;
    const rmt_record_t *body;   // May be NULL
    const rmt_records_t *items; // May be NULL
    const char *cursor;         // May be NULL
    const uint8_t *idempotency; // [RMT_UID_SIZE]; may be NULL
} rmt_request_t;

// Ask and wait. Caller owns the result, a REPLY with code 0.
// NULL: the reply's code and text; UNAVAILABLE when no broker answered in time.
rmt_msg_t *rmt_client_request(rmt_client_t *self, const rmt_request_t *request,
                              rmt_error_t *error);

// The same, following cursors: all items in one list; body, when not NULL, may be a
// filter. Caller owns the result. NULL: as above; TOO_BIG over a million items.
rmt_records_t *rmt_client_list(rmt_client_t *self, const char *verb,
                               const rmt_record_t *body, rmt_error_t *error);

// The same, with the body of the first answer: what is shown of one thing that has a
// list.
rmt_msg_t *rmt_client_whole(rmt_client_t *self, const char *verb,
                            const rmt_record_t *body, rmt_error_t *error);

// Hear events whose topic begins with prefix ("" is all), from all brokers; their
// events port is their console port + 1. Subscribe, then ask for the snapshot, then
// apply what is newer; several brokers may tell the same event. 0, or -1: IO.
int rmt_client_subscribe(rmt_client_t *self, const char *prefix, rmt_error_t *error);

// Wait for the next event, of kind RMT_MSG_EVENT. Caller owns the result.
// NULL: TIMEOUT when none came, CANCELLED by a signal.
rmt_msg_t *rmt_client_next_event(rmt_client_t *self, uint32_t timeout_ms,
                                 rmt_error_t *error);
