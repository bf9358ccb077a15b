// rmt_signed - a text with signatures below it: trust roots and warrants.
//
// The text is facts (facts/rmt_facts.h). Its body ends where the first line begins with
// "class=signature "; from there on each line is
//     class=signature key=<64 digits> signature=<128 digits>
// A signature is made over the domain, a NUL and the exact bytes of the body, so that
// what was signed as one kind of text never counts as another (docs/spec/7-trust.md).
//
// Reading checks the form alone. Which keys count is for the caller to know. Pure.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_sign.h"

#define RMT_SIGNED_SIZE_MAX ((size_t) 64 * 1024)
#define RMT_SIGNED_RECORDS_MAX 1024 // In the body
#define RMT_SIGNED_KEYS_MAX 64      // Signatures

typedef struct {
    char *text;                // Owned: body and signatures
    size_t body_size;          // Bytes of the body
    rmt_records_t *records;    // Owned: of the body
    rmt_records_t *signatures; // Owned: of different keys
} rmt_signed_t;

// Caller owns the result. NULL: USAGE (with the line, or what is wrong), TOO_BIG.
rmt_signed_t *rmt_signed_read(const void *data, size_t size, rmt_error_t *error);
void rmt_signed_destroy(rmt_signed_t **self_p);

// The id of the body, which signatures do not change.
void rmt_signed_id(const rmt_signed_t *self, rmt_id_t *id_out);

// The text with the signature of a pair in addition; one of the same key is replaced.
// Caller owns the result (free).
char *rmt_signed_add(const rmt_signed_t *self, const char *domain,
                     const rmt_sign_key_t *key);

// Whether this record of self->signatures is a true signature over the body.
bool rmt_signed_is_true(const rmt_signed_t *self, const char *domain,
                        const rmt_record_t *signature);
