// rmt_zap - the keys that may finish a CURVE handshake with this process.
//
// One instance for a process, made before its first server socket and destroyed
// after its last one: it answers at inproc://zeromq.zap.01, and sockets of rmt_socket
// enforce their domain, so that no key gets in when it is missing. A domain is a kind
// of server socket (rmt_socket_domain). The User-Id of every message is the peer's
// public key in Z85.
//
// The keys are kept in a thread of its own; each call goes there and back. Any thread may
// call. Denying a key does not cut a live connection: check
// the user of every message too.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

typedef struct rmt_zap rmt_zap_t;

// Caller owns the result. NULL: EXISTS when something answers already; IO.
rmt_zap_t *rmt_zap_new(rmt_error_t *error);
void rmt_zap_destroy(rmt_zap_t **self_p);

// Let a public key in (40 characters of Z85), or no longer. Repeats are no error.
void rmt_zap_allow(rmt_zap_t *self, const char *domain, const char *key);
void rmt_zap_deny(rmt_zap_t *self, const char *domain, const char *key);

// Drop the next handshakes of a key, or on the enrol port of a network
// (rmt_origin_network), for so long.
// They do not count as refused: the peer tries again. A peer that has connected already
// stays.
void rmt_zap_mute(rmt_zap_t *self, const char *peer, int64_t mute_ms);

// Let every key in; for the enrol port alone.
void rmt_zap_allow_any(rmt_zap_t *self, const char *domain);

// The lists are not complete yet, or again: until rmt_zap_close_lists, a key that no list
// has waits in its handshake, and does not count as refused. Dropped (status 300 of RFC
// 27/ZAP), libzmq 4.3.4 would keep its connection until the handshake has no more time.
// So many that come last wait as 10,000 targets need. A new instance has complete lists.
void rmt_zap_open_lists(rmt_zap_t *self);
void rmt_zap_close_lists(rmt_zap_t *self);

// How many handshakes were refused since the start.
uint64_t rmt_zap_refused(rmt_zap_t *self);

// Prove on a loopback socket that an unknown key stays out and an allowed one gets
// in; programs do this before they bind. Blocks up to 3 seconds.
// Returns 0, or -1: INTERNAL, IO.
int rmt_zap_self_test(rmt_zap_t *self, rmt_error_t *error);
