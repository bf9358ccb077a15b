// rmt_box - short secrets on their way to one key, in sealed boxes of libsodium: what
// carries one cannot read it. The keys are those of CURVE (rmt_key); a box does not name
// its sender.
#pragma once

#include "base/rmt_error.h"
#include "crypto/rmt_key.h"

#define RMT_BOX_TEXT_MAX ((size_t) 1024) // Of the secret
#define RMT_BOX_PASSPHRASE_MIN 8
#define RMT_BOX_PASSPHRASE_MAX 512

// A text for a public key, as hexadecimal digits. Caller owns the result (free).
char *rmt_box_seal(const char *public_text, const char *text);

// The text again. Caller gives the result back to rmt_secret_free. NULL: NOT_ALLOWED (it
// was sealed for another key, or is no box).
char *rmt_box_open(const rmt_key_t *key, const char *box, rmt_error_t *error);

// A new passphrase of 125 random bits for a person to type, as "4f7k2-...". Caller gives
// the result back to rmt_secret_free.
char *rmt_box_passphrase(void);

// Is a text a passphrase that a person can type? 0, or -1: CONFIG.
int rmt_box_check_passphrase(const char *text, rmt_error_t *error);
