// rmt_roots - closures of the images that are being served, made in a thread of its
// own so that no peer waits for reading. Private to lib/exchange.
//
// A few closures are kept, at most RMT_ROOTS_BYTES of ids (or a single larger one).
#pragma once

#include <czmq.h>
#include "exchange/rmt_closure.h"
#include "base/rmt_error.h"

#define RMT_ROOTS_BYTES ((size_t) 64 * 1024 * 1024)

typedef struct rmt_roots rmt_roots_t;

// Caller owns the result. NULL: what rmt_store_new says.
rmt_roots_t *rmt_roots_new(const char *store, rmt_error_t *error);
// Waits for a closure that is being made.
void rmt_roots_destroy(rmt_roots_t **self_p);

// Readable when a closure is done: call rmt_roots_take then.
zsock_t *rmt_roots_socket(rmt_roots_t *self);
void rmt_roots_take(rmt_roots_t *self);

// The closure of an image, valid until the next call of take. NULL: UNAVAILABLE while it
// is being made (ask again), else why it cannot be, which is forgotten after 2 s.
const rmt_closure_t *rmt_roots_find(rmt_roots_t *self, const rmt_id_t *image,
                                    rmt_error_t *error);
