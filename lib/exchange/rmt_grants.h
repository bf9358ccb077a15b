// rmt_grants - the keys that may fetch images, or may offer chunks. Private to
// lib/exchange.
//
// Keys with any grant are let in through ZAP, all others kept out. Time is an argument,
// of the monotonic clock (rmt_clock_ms).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "base/rmt_record.h"
#include "net/rmt_zap.h"

typedef struct rmt_grants rmt_grants_t;

// Borrows zap while it lives. Caller owns the result.
rmt_grants_t *rmt_grants_new(rmt_zap_t *zap);
// Keys stay as they are in ZAP.
void rmt_grants_destroy(rmt_grants_t **self_p);

// Apply one item of a PEERS (see rmt_serve_peers).
// 0, or -1: PROTOCOL when it breaks the grammar; then nothing was changed.
int rmt_grants_apply(rmt_grants_t *self, const rmt_record_t *item, int64_t now_ms,
                     rmt_error_t *error);

// Forget what has ended; keys without any grant are kept out again.
void rmt_grants_expire(rmt_grants_t *self, int64_t now_ms);

// Has this key any grant, ended or not? The question does not count as use.
bool rmt_grants_has(const rmt_grants_t *self, const char *key);

// Has this key a grant to offer that has not ended? The question does not count as use.
bool rmt_grants_offers(const rmt_grants_t *self, const char *key, int64_t now_ms);

// Has this key a grant that has not ended? The question does not count as use.
bool rmt_grants_knows(const rmt_grants_t *self, const char *key, int64_t now_ms);

// Asking whether a grant may be used counts as use: it lives 10 minutes more at least.
bool rmt_grants_may_offer(rmt_grants_t *self, const char *key, int64_t now_ms);
bool rmt_grants_may_fetch(rmt_grants_t *self, const char *key, const rmt_id_t *root,
                          int64_t now_ms);
