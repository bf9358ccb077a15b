// rmt_enrol - make a new key known to a broker with a token.
//
// It announces the key at the enrol port of one broker after the other, and again
// every 5 s while the key is pending, until a broker approves or refuses it.
#pragma once

#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "wire/rmt_msg.h"
#include "base/rmt_record.h"

// Called about once a second while waiting; text: why it is not done yet, or "".
typedef void(rmt_enrol_told_fn)(void *context, bool is_pending, const char *text);

typedef struct {
    const char *const *brokers; // "host" or "host:base", NULL-terminated, at least one
    const char *broker_key;     // Public key, Z85
    const rmt_key_t *own;       // The key to be approved
    const char *token;
    const uint8_t *nonce;     // [RMT_UID_SIZE]; NULL: a fresh one
    const rmt_record_t *body; // {role, name, place, identity, hardware (packed)};
                              // the key is added here
    uint32_t timeout_ms;      // 0: as long as it takes
    bool by_signals;          // SIGTERM, SIGINT and SIGHUP end it; they stay blocked
    rmt_enrol_told_fn *told;  // May be NULL
    void *context;
} rmt_enrol_config_t;

// For rmt_enrol_find, and for tests. Blocks until the key is approved. Borrows config.
// Caller owns *answer_out: {name, role, place}. Returns 0, or -1: NOT_ALLOWED (the token
// does not fit), UNAVAILABLE (time is over: no broker answered, or the key is still
// pending), CANCELLED (a signal), USAGE, IO.
int rmt_enrol(const rmt_enrol_config_t *config, rmt_record_t **answer_out,
              rmt_error_t *error);

// The key kept at path; when there is none, a new one is made and enrolled, and takes its
// name when it is approved: until then it is PATH.pending, so that a start that was cut
// short announces the same key again and never works with an unknown one.
// config->own is not looked at; an empty token is an error only when one is needed.
// Blocks as rmt_enrol. *answer_out stays NULL where the key was there; caller owns it.
// 0, or -1: as rmt_enrol, CONFIG.
int rmt_enrol_find(const rmt_enrol_config_t *config, const char *path, rmt_key_t *own_out,
                   rmt_record_t **answer_out, rmt_error_t *error);
