// rmt_sign - detached Ed25519 signatures over bytes (images, warrants).
//
// Their keys are a pair of their own: a key that talks to a broker cannot sign.
// A file is text: sign-public = "64 hexadecimal digits" and, for a pair, sign-secret =
// "128"; the rules for secret files are those of rmt_key.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_SIGN_PUBLIC_SIZE 32
#define RMT_SIGN_SECRET_SIZE 64
#define RMT_SIGN_SIZE 64 // A signature
#define RMT_SIGN_PUBLIC_TEXT_SIZE (2 * RMT_SIGN_PUBLIC_SIZE + 1)
#define RMT_SIGN_TEXT_SIZE (2 * RMT_SIGN_SIZE + 1)

typedef struct {
    uint8_t public_key[RMT_SIGN_PUBLIC_SIZE];
    uint8_t secret_key[RMT_SIGN_SECRET_SIZE]; // Zero when only the public key is known
} rmt_sign_key_t;

// A fresh pair.
void rmt_sign_key_new(rmt_sign_key_t *key_out);

// Read a pair, or a public key alone. 0, or -1: NOT_FOUND, CONFIG (also when the two
// halves are not of one pair, and for the mode or owner of the file), IO.
int rmt_sign_key_load(rmt_sign_key_t *key_out, const char *path, rmt_error_t *error);
int rmt_sign_key_load_public(rmt_sign_key_t *key_out, const char *path,
                             rmt_error_t *error);

// Write durably, mode 0600 for the pair and 0644 for the public key. 0, or -1: IO.
int rmt_sign_key_save(const rmt_sign_key_t *key, const char *path, rmt_error_t *error);
int rmt_sign_key_save_public(const rmt_sign_key_t *key, const char *path,
                             rmt_error_t *error);

// Overwrite the secret.
void rmt_sign_key_wipe(rmt_sign_key_t *key);

// Sign; key must be a pair.
void rmt_sign_make(const rmt_sign_key_t *key, const void *data, size_t size,
                   uint8_t signature_out[RMT_SIGN_SIZE]);

// 0 when signature is this key's over exactly these bytes, or -1: NOT_ALLOWED.
int rmt_sign_check(const rmt_sign_key_t *key, const void *data, size_t size,
                   const uint8_t signature[RMT_SIGN_SIZE], rmt_error_t *error);

// Lower-case hexadecimal text of a public key and of a signature, and back. Each parse:
// false, and nothing is set, for other text.
char *rmt_sign_key_text(const rmt_sign_key_t *key, char out[RMT_SIGN_PUBLIC_TEXT_SIZE]);
bool rmt_sign_key_parse(rmt_sign_key_t *key_out, const char *text);
char *rmt_sign_text(const uint8_t signature[RMT_SIGN_SIZE], char out[RMT_SIGN_TEXT_SIZE]);
bool rmt_sign_parse(uint8_t signature_out[RMT_SIGN_SIZE], const char *text);
