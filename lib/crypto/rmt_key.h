// rmt_key - CURVE key pairs, their files, and enrolment tokens.
//
// A key file is ZPL text: public-key = "..." and, for a pair, secret-key = "...", each 40
// characters of Z85 (ZeroMQ RFC 32). A secret file must be a plain file of the caller's,
// with no bits for group and others; a file of a public key may be read by all, and
// belongs to the caller or root, who alone may write it. Anything else is refused
// (C10.15).
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"

#define RMT_KEY_TEXT_SIZE 41 // 40 characters and a NUL

typedef struct {
    char public_text[RMT_KEY_TEXT_SIZE];
    char secret_text[RMT_KEY_TEXT_SIZE]; // Empty when only the public key is known
} rmt_key_t;

// A fresh pair. 0, or -1: UNSUPPORTED when libzmq has no CURVE.
int rmt_key_new(rmt_key_t *key_out, rmt_error_t *error);

// Read a pair, or a public key alone from either kind of file. 0, or -1: NOT_FOUND,
// CONFIG (names the file and what is wrong with it, its mode and owner too), IO.
int rmt_key_load(rmt_key_t *key_out, const char *path, rmt_error_t *error);
int rmt_key_load_public(rmt_key_t *key_out, const char *path, rmt_error_t *error);

// Write durably, mode 0600 for the pair and 0644 for the public key. 0, or -1: IO.
int rmt_key_save(const rmt_key_t *key, const char *path, rmt_error_t *error);
int rmt_key_save_public(const rmt_key_t *key, const char *path, rmt_error_t *error);

// True for 40 characters of Z85.
bool rmt_key_is_valid(const char *text);

// Overwrite secrets when they are no longer needed.
void rmt_key_wipe(rmt_key_t *key);

// ---- Enrolment tokens: "R1.<64 hexadecimal digits of the broker's key>.<id>.<secret>".
// The console adds ".<id of the trust root>", on which the agent with the token relies;
// the broker takes no notice of it.

#define RMT_TOKEN_TEXT_SIZE 195  // With a trust root
#define RMT_TOKEN_ID_SIZE 9      // 8 base32 characters and a NUL
#define RMT_TOKEN_SECRET_SIZE 27 // 26 base32 characters: 128 bits

typedef struct {
    char broker_key[RMT_KEY_TEXT_SIZE];
    char id[RMT_TOKEN_ID_SIZE];
    char secret[RMT_TOKEN_SECRET_SIZE];
    char root[RMT_ID_TEXT_SIZE]; // Id of the farm's trust root; "" for none
} rmt_token_t;

// A fresh token for the farm of this broker key.
void rmt_token_new(rmt_token_t *token_out, const char *broker_key);
char *rmt_token_text(const rmt_token_t *token, char out[RMT_TOKEN_TEXT_SIZE]);
// 0, or -1: USAGE.
int rmt_token_parse(rmt_token_t *token_out, const char *text, rmt_error_t *error);
// The text of the token that a setting or an option gives: it is the token, or the
// absolute path of a secret file that has it. Caller owns the result. NULL: NOT_FOUND,
// CONFIG, IO.
char *rmt_token_find(const char *word, rmt_error_t *error);
// The broker's public key [RMT_KEY_TEXT_SIZE] by the settings broker-key, which is the
// key or the path of its file, and token, which is asked where broker-key is "". 0, or
// -1: CONFIG, NOT_FOUND, USAGE, IO.
int rmt_token_broker_key(const char *key_setting, const char *token_setting,
                         char *text_out, rmt_error_t *error);
// What the broker keeps of a token: the digest of its text without a trust root.
void rmt_token_hash(const rmt_token_t *token, rmt_id_t *hash_out);
