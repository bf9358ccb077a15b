// rmt_stream - takes one source's offered chunks into the store, in a thread of its own,
// so that no other peer waits for checks and commits. Private to lib/exchange.
//
// Messages go in (OFFER, WHOLE, checked CHUNKS, SEAL) and come out (WANT, ACK, SEALED).
// Chunks that have come are made durable from time to time, when SEAL says so, and at the
// end. REFUSED comes out when the stream has failed: then what is not durable yet is
// forgotten, and the rest is ignored.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"
#include "wire/rmt_msg.h"

typedef struct rmt_stream rmt_stream_t;

// Caller owns the result. NULL: what rmt_store_new says.
rmt_stream_t *rmt_stream_new(const char *store, rmt_error_t *error);
// Keeps what has come, unless the stream has failed. Waits until that is durable.
void rmt_stream_destroy(rmt_stream_t **self_p);

// Readable when a message comes out.
zsock_t *rmt_stream_socket(rmt_stream_t *self);

// Takes *msg_p. Never blocks while the caller keeps to a window.
void rmt_stream_send(rmt_stream_t *self, rmt_msg_t **msg_p);

// The next message out, or NULL when there is none now. Caller owns the result.
rmt_msg_t *rmt_stream_recv(rmt_stream_t *self);
