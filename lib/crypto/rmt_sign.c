#include "crypto/rmt_sign.h"
#include "base/rmt_auto.h"
#include "base/rmt_guarded.h"
#include "base/rmt_io.h"
#include "crypto/rmt_hex.h"
#include "crypto/rmt_secret.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(RMT_SIGN_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
static_assert(RMT_SIGN_SECRET_SIZE == crypto_sign_SECRETKEYBYTES, "Ed25519 secret key");
static_assert(RMT_SIGN_SIZE == crypto_sign_BYTES, "Ed25519 signature");

void
rmt_sign_key_new(rmt_sign_key_t *key_out)
{
    const int ready = sodium_init(); // Repeats are free
    assert(ready != -1);
    const int rc = crypto_sign_keypair(key_out->public_key, key_out->secret_key);
    assert(rc == 0);
}

// Find `name = "digits"` of exactly size bytes.
static bool
s_find(const char *text, const char *name, uint8_t *out, size_t size)
{
    const char *line = text;
    while (line && strncmp(line, name, strlen(name)) != 0) {
        const char *end = strchr(line, '\n');
        line = end ? end + 1 : NULL;
    }
    if (!line)
        return false;
    line += strlen(name);
    line += strspn(line, " =");
    size_t used = 0;
    const char *stop = NULL;
    return *line++ == '"' &&
           sodium_hex2bin(out, size, line, 2 * size, NULL, &used, &stop) == 0 &&
           used == size && *stop == '"';
}

int
rmt_sign_key_load(rmt_sign_key_t *key_out, const char *path, rmt_error_t *error)
{
    rmt_auto_secret text = NULL;
    if (rmt_secret_load(path, "key file", &text, error) == -1)
        return -1;
    rmt_sign_key_t key, made;
    int rc = 0;
    if (!s_find(text, "sign-public", key.public_key, sizeof key.public_key) ||
        !s_find(text, "sign-secret", key.secret_key, sizeof key.secret_key))
        rc = rmt_fail(error, RMT_E_CONFIG,
                      "key file %s does not contain a pair of signing keys", path);
    // A secret key is its seed, from which all else is made, and the public key.
    else if (crypto_sign_seed_keypair(made.public_key, made.secret_key, key.secret_key) !=
                 0 ||
             sodium_memcmp(&made, &key, sizeof made) != 0)
        rc = rmt_fail(error, RMT_E_CONFIG, "the two keys in %s do not belong together",
                      path);
    if (rc == 0)
        *key_out = key;
    rmt_sign_key_wipe(&key);
    rmt_sign_key_wipe(&made);
    return rc;
}

int
rmt_sign_key_load_public(rmt_sign_key_t *key_out, const char *path, rmt_error_t *error)
{
    rmt_auto_secret text = NULL;
    size_t size;
    const rmt_guarded_t file = {path, "key file", RMT_GUARDED_TRUST,
                                RMT_SECRET_FILE_SIZE_MAX};
    if (rmt_guarded_load(&file, &text, &size, error) == -1)
        return -1;
    rmt_sign_key_t key = {.secret_key = {0}};
    if (!s_find(text, "sign-public", key.public_key, sizeof key.public_key))
        return rmt_fail(error, RMT_E_CONFIG,
                        "key file %s does not contain a public signing key", path);
    *key_out = key;
    return 0;
}

int
rmt_sign_key_save(const rmt_sign_key_t *key, const char *path, rmt_error_t *error)
{
    char public_text[2 * RMT_SIGN_PUBLIC_SIZE + 1],
        secret_text[2 * RMT_SIGN_SECRET_SIZE + 1];
    sodium_bin2hex(public_text, sizeof public_text, key->public_key,
                   RMT_SIGN_PUBLIC_SIZE);
    sodium_bin2hex(secret_text, sizeof secret_text, key->secret_key,
                   RMT_SIGN_SECRET_SIZE);
    rmt_auto_secret text = rmt_text("sign-public = \"%s\"\nsign-secret = \"%s\"\n",
                                    public_text, secret_text);
    sodium_memzero(secret_text, sizeof secret_text);
    return rmt_io_save(path, text, strlen(text), 0600, error);
}

int
rmt_sign_key_save_public(const rmt_sign_key_t *key, const char *path, rmt_error_t *error)
{
    char digits[2 * RMT_SIGN_PUBLIC_SIZE + 1];
    sodium_bin2hex(digits, sizeof digits, key->public_key, RMT_SIGN_PUBLIC_SIZE);
    rmt_auto_str text = rmt_text("sign-public = \"%s\"\n", digits);
    return rmt_io_save(path, text, strlen(text), 0644, error);
}

void
rmt_sign_key_wipe(rmt_sign_key_t *key)
{
    sodium_memzero(key->secret_key, sizeof key->secret_key);
}

void
rmt_sign_make(const rmt_sign_key_t *key, const void *data, size_t size,
              uint8_t signature_out[RMT_SIGN_SIZE])
{
    assert(!sodium_is_zero(key->secret_key, sizeof key->secret_key));
    crypto_sign_detached(signature_out, NULL, data, size, key->secret_key);
}

int
rmt_sign_check(const rmt_sign_key_t *key, const void *data, size_t size,
               const uint8_t signature[RMT_SIGN_SIZE], rmt_error_t *error)
{
    if (crypto_sign_verify_detached(signature, data, size, key->public_key) == 0)
        return 0;
    char digits[17];
    sodium_bin2hex(digits, sizeof digits, key->public_key, 8);
    return rmt_fail(error, RMT_E_NOT_ALLOWED, "the signature was not made by key %s...",
                    digits);
}

char *
rmt_sign_key_text(const rmt_sign_key_t *key, char out[RMT_SIGN_PUBLIC_TEXT_SIZE])
{
    return sodium_bin2hex(out, RMT_SIGN_PUBLIC_TEXT_SIZE, key->public_key,
                          RMT_SIGN_PUBLIC_SIZE);
}

// One form of the text alone: all digits, lower case, nothing behind them.
static bool
s_parse(uint8_t *out, size_t size, const char *text)
{
    return strlen(text) == 2 * size && rmt_hex_read(out, size, text);
}

bool
rmt_sign_key_parse(rmt_sign_key_t *key_out, const char *text)
{
    rmt_sign_key_t key = {.secret_key = {0}};
    if (!s_parse(key.public_key, sizeof key.public_key, text))
        return false;
    *key_out = key;
    return true;
}

char *
rmt_sign_text(const uint8_t signature[RMT_SIGN_SIZE], char out[RMT_SIGN_TEXT_SIZE])
{
    return sodium_bin2hex(out, RMT_SIGN_TEXT_SIZE, signature, RMT_SIGN_SIZE);
}

bool
rmt_sign_parse(uint8_t signature_out[RMT_SIGN_SIZE], const char *text)
{
    return s_parse(signature_out, RMT_SIGN_SIZE, text);
}
