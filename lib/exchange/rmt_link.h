// rmt_link - a client's connection to one of several holders of chunks.
//
// Holders are the records that the verb `holders` answers: {addresses, port, key,
// name}. Each address of each holder is tried in turn; a new try is a new socket.
// The base of rmt_fetch and rmt_offer. An instance belongs to one thread.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "wire/rmt_msg.h"
#include "base/rmt_record.h"

// Asked about once a second while a call waits. Returns false to end the wait, which
// is then RMT_E_CANCELLED.
typedef bool(rmt_link_alive_fn)(void *context);

typedef struct rmt_link rmt_link_t;

// Borrows nothing after the call. host replaces the host "@" in addresses. Nothing is
// connected yet. Caller owns the result. NULL: UNAVAILABLE (no holder with an address),
// USAGE.
rmt_link_t *rmt_link_new(const rmt_records_t *holders, const char *host,
                         const rmt_key_t *own, rmt_error_t *error);
void rmt_link_destroy(rmt_link_t **self_p);

void rmt_link_set_alive(rmt_link_t *self, rmt_link_alive_fn *alive, void *context);

// How many endpoints there are, and which one is in use ("hq 10.0.0.1:7800").
size_t rmt_link_count(const rmt_link_t *self);
const char *rmt_link_name(const rmt_link_t *self);

// Before each of many messages that come without a wait: asks as a wait does.
// 0, or -1: CANCELLED.
int rmt_link_go_on(rmt_link_t *self, rmt_error_t *error);

// Leave the endpoint in use, if any, and connect to the next one. 0, or -1: IO.
int rmt_link_next(rmt_link_t *self, rmt_error_t *error);

// Send; borrows msg. Waits while the queue is full, at most timeout_ms.
// 0, or -1: UNAVAILABLE (also when the connection was lost after a word of the holder),
// CANCELLED, NOT_ALLOWED (the holder does not know our key).
int rmt_link_send(rmt_link_t *self, const rmt_msg_t *msg, uint32_t timeout_ms,
                  rmt_error_t *error);

// The next message, waiting at most timeout_ms (0: not at all); what breaks the grammar
// is skipped. Caller owns the result. NULL: TIMEOUT, CANCELLED, NOT_ALLOWED, UNAVAILABLE
// (the connection was lost, and all that came by it was given).
rmt_msg_t *rmt_link_recv(rmt_link_t *self, uint32_t timeout_ms, rmt_error_t *error);
