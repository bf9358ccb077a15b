// rmt_peer - a worker's or agent's link to one broker of several.
//
// It says HELLO on a new socket, counts beats, and after three missed ones (or no
// WELCOME in time) goes on to the next broker with a new socket and a new HELLO:
// retries come 0.5 to 2 s apart for a minute, then up to 30 s. A REFUSED with code
// NOT_FOUND means the broker does not know us (it was restarted): HELLO again at once.
// It has no thread: the owner polls rmt_peer_socket, and calls rmt_peer_tick.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "wire/rmt_msg.h"

typedef struct rmt_peer rmt_peer_t;

// Makes the HELLO or BEAT of this moment (tasks in hand differ); rmt_peer owns the
// result.
typedef rmt_msg_t *(rmt_hello_fn) (void *context);

typedef struct {
    const char *const *brokers; // "host:port", NULL-terminated, at least one
    const rmt_key_t *own;
    const char *broker_key; // Public key, Z85
    rmt_hello_fn *hello;
    rmt_hello_fn *beat;
    void *context;
} rmt_peer_config_t;

// Borrows nothing after the call. Caller owns the result. NULL: USAGE, IO.
rmt_peer_t *rmt_peer_new(const rmt_peer_config_t *config, rmt_error_t *error);
void rmt_peer_destroy(rmt_peer_t **self_p);

// The socket to poll now, or NULL between two attempts; ask again after each call.
zsock_t *rmt_peer_socket(rmt_peer_t *self);

// Do what is due: connect, HELLO, BEAT, move on.
// Returns milliseconds until the next call is due, at most 1000.
int rmt_peer_tick(rmt_peer_t *self);

// What HELLO says has changed: say it again to the broker that is in use. Messages wait
// for its WELCOME. Without a broker the next HELLO says it anyway.
void rmt_peer_greet(rmt_peer_t *self);

// The next message from the broker, or NULL. WELCOME comes through here too; beats do
// not. Caller owns the result.
rmt_msg_t *rmt_peer_recv(rmt_peer_t *self);

// Send without waiting; borrows msg. Returns 0, or -1: UNAVAILABLE (no WELCOME yet, or
// the queue is full): keep it and send it again after the next WELCOME.
int rmt_peer_send(rmt_peer_t *self, rmt_msg_t *msg, rmt_error_t *error);

// True between WELCOME and the loss of the broker.
bool rmt_peer_is_welcome(const rmt_peer_t *self);

// Why there is no WELCOME, in words; code OK when nothing is known yet. NOT_ALLOWED: a
// broker refuses our key; CONFIG: none with the expected key answers; UNAVAILABLE,
// UNSUPPORTED; or code and text of the broker's REFUSED. Valid until the next call.
const rmt_error_t *rmt_peer_trouble(const rmt_peer_t *self);

// The host of the broker in use, for "@" addresses. Valid until the next tick.
const char *rmt_peer_host(const rmt_peer_t *self);
