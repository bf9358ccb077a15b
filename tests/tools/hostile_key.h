// hostile_key - keys of the hostile peers that tests run.
#pragma once

#include "base/rmt_error.h"
#include "crypto/rmt_key.h"

typedef struct {
    const char *broker;     // host:base
    const char *broker_key; // Public key, Z85
    const char *token, *role, *name;
    const char *place; // May be ""
} hostile_key_t;

// End the program with the error when a call has failed.
void hostile_must(int result, const rmt_error_t *error);

// A new key that the broker has let in.
void hostile_enrol(const hostile_key_t *wanted, rmt_key_t *key_out);
