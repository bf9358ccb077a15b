#include "crypto/rmt_box.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "crypto/rmt_hex.h"
#include "crypto/rmt_secret.h"

#include <assert.h>
#include <czmq.h>
#include <sodium.h>
#include <string.h>

#define GROUPS 5
#define GROUP_SIZE 6 // With its dash

char *
rmt_box_seal(const char *public_text, const char *text)
{
    uint8_t key[crypto_box_PUBLICKEYBYTES];
    const size_t size = strlen(text);
    assert(rmt_key_is_valid(public_text) && size <= RMT_BOX_TEXT_MAX);
    const int ready = sodium_init(); // Repeats are free
    assert(ready != -1);
    zmq_z85_decode(key, public_text);
    const size_t box_size = size + crypto_box_SEALBYTES;
    rmt_auto_ptr box = malloc(box_size);
    char *digits = malloc(2 * box_size + 1);
    assert(box && digits);
    const int rc = crypto_box_seal(box, (const uint8_t *) text, size, key);
    assert(rc == 0);
    return sodium_bin2hex(digits, 2 * box_size + 1, box, box_size);
}

static bool
s_open(const rmt_key_t *key, const char *digits, char *text_out)
{
    uint8_t public_key[crypto_box_PUBLICKEYBYTES], secret_key[crypto_box_SECRETKEYBYTES];
    uint8_t box[RMT_BOX_TEXT_MAX + crypto_box_SEALBYTES];
    const size_t size = strlen(digits) / 2;
    if (strlen(digits) % 2 || size < crypto_box_SEALBYTES || size > sizeof box ||
        !rmt_hex_read(box, size, digits) || !rmt_key_is_valid(key->public_text) ||
        !rmt_key_is_valid(key->secret_text))
        return false;
    zmq_z85_decode(public_key, key->public_text);
    zmq_z85_decode(secret_key, key->secret_text);
    const int rc =
        crypto_box_seal_open((uint8_t *) text_out, box, size, public_key, secret_key);
    sodium_memzero(secret_key, sizeof secret_key);
    text_out[size - crypto_box_SEALBYTES] = '\0';
    return rc == 0 && strlen(text_out) == size - crypto_box_SEALBYTES;
}

char *
rmt_box_open(const rmt_key_t *key, const char *box, rmt_error_t *error)
{
    const int ready = sodium_init();
    assert(ready != -1);
    char *text = calloc(1, RMT_BOX_TEXT_MAX + 1);
    assert(text);
    if (s_open(key, box, text))
        return text;
    rmt_secret_free(&text);
    rmt_fail(error, RMT_E_NOT_ALLOWED, "the secret is sealed for another key than %s",
             key->public_text);
    return NULL;
}

char *
rmt_box_passphrase(void)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; // 32
    uint8_t bytes[GROUPS * GROUP_SIZE];
    char *text = calloc(1, sizeof bytes);
    assert(text);
    rmt_random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i + 1 < sizeof bytes; i++)
        text[i] = i % GROUP_SIZE == GROUP_SIZE - 1 ? '-' : letters[bytes[i] % 32];
    sodium_memzero(bytes, sizeof bytes);
    return text;
}

int
rmt_box_check_passphrase(const char *text, rmt_error_t *error)
{
    const size_t size = strlen(text);
    if (size < RMT_BOX_PASSPHRASE_MIN || size > RMT_BOX_PASSPHRASE_MAX)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the passphrase has %zu bytes; it must have %d to %d", size,
                        RMT_BOX_PASSPHRASE_MIN, RMT_BOX_PASSPHRASE_MAX);
    for (const char *at = text; *at; at++)
        if ((unsigned char) *at < ' ' || *at == 0x7f)
            return rmt_fail(error, RMT_E_CONFIG,
                            "the passphrase has several lines, or a control character");
    return 0;
}
