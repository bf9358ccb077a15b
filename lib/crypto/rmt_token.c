// Enrolment tokens; contract in rmt_key.h.
#include "crypto/rmt_key.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "crypto/rmt_hex.h"
#include "crypto/rmt_secret.h"

#include <assert.h>
#include <czmq.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char s_base32[] = "abcdefghijklmnopqrstuvwxyz234567";

static void
s_random_text(char *out, size_t size)
{
    rmt_random_bytes(out, size);
    for (size_t i = 0; i < size; i++)
        out[i] = s_base32[(uint8_t) out[i] & 31];
    out[size] = '\0';
}

void
rmt_token_new(rmt_token_t *token_out, const char *broker_key)
{
    assert(rmt_key_is_valid(broker_key));
    memcpy(token_out->broker_key, broker_key, RMT_KEY_TEXT_SIZE);
    s_random_text(token_out->id, RMT_TOKEN_ID_SIZE - 1);
    s_random_text(token_out->secret, RMT_TOKEN_SECRET_SIZE - 1);
    memset(token_out->root, 0, sizeof token_out->root);
}

char *
rmt_token_text(const rmt_token_t *token, char out[RMT_TOKEN_TEXT_SIZE])
{
    uint8_t bytes[32];
    char digits[65];
    zmq_z85_decode(bytes, token->broker_key);
    sodium_bin2hex(digits, sizeof digits, bytes, sizeof bytes);
    snprintf(out, RMT_TOKEN_TEXT_SIZE, "R1.%s.%s.%s%s%s", digits, token->id,
             token->secret, *token->root ? "." : "", token->root);
    return out;
}

static bool
s_take(const char **at, char *out, size_t size, char end)
{
    if (strspn(*at, s_base32) != size - 1 || (*at)[size - 1] != end)
        return false;
    memcpy(out, *at, size - 1);
    out[size - 1] = '\0';
    *at += size;
    return true;
}

// The end of the text, with or without a trust root.
static bool
s_take_end(const char *at, rmt_token_t *token)
{
    rmt_id_t root;
    rmt_error_t ignored = {0};
    if (s_take(&at, token->secret, sizeof token->secret, '\0'))
        return true;
    if (!s_take(&at, token->secret, sizeof token->secret, '.') ||
        rmt_id_parse(&root, at, &ignored) == -1)
        return false;
    (void) rmt_id_text(&root, token->root);
    return true;
}

int
rmt_token_parse(rmt_token_t *token_out, const char *text, rmt_error_t *error)
{
    rmt_token_t token = {.root = ""};
    uint8_t bytes[32];
    const char *at = text + 3;
    if (strlen(text) >= RMT_TOKEN_TEXT_SIZE || strncmp(text, "R1.", 3) != 0 ||
        !rmt_hex_read(bytes, sizeof bytes, at))
        return rmt_fail(error, RMT_E_USAGE,
                        "the text is not a token; make one with: ramet key token ROLE");
    at += 2 * sizeof bytes;
    if (*at++ != '.' || !s_take(&at, token.id, sizeof token.id, '.') ||
        !s_take_end(at, &token))
        return rmt_fail(
            error, RMT_E_USAGE,
            "the text is not an enrolment token; make one with: ramet key token ROLE");
    zmq_z85_encode(token.broker_key, bytes, sizeof bytes);
    *token_out = token;
    return 0;
}

char *
rmt_token_find(const char *word, rmt_error_t *error)
{
    if (word[0] != '/')
        return strdup(word);
    char *text = NULL;
    if (rmt_secret_load(word, "token file", &text, error) == -1)
        return NULL;
    text[strcspn(text, " \t\r\n")] = '\0';
    return text;
}

static int
s_key_of_token(const char *setting, char *text_out, rmt_error_t *error)
{
    rmt_auto_str text = rmt_token_find(setting, error);
    rmt_token_t token;
    if (text && !*text)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "the settings broker-key and token are both empty; set one of them");
    if (!text || rmt_token_parse(&token, text, error) == -1)
        return rmt_wrap(error, "read the token");
    memcpy(text_out, token.broker_key, RMT_KEY_TEXT_SIZE);
    return 0;
}

int
rmt_token_broker_key(const char *key_setting, const char *token_setting, char *text_out,
                     rmt_error_t *error)
{
    if (!*key_setting)
        return s_key_of_token(token_setting, text_out, error);
    // A key may begin with a slash as well.
    if (key_setting[0] == '/' &&
        (!rmt_key_is_valid(key_setting) || access(key_setting, F_OK) == 0)) {
        rmt_key_t key;
        if (rmt_key_load_public(&key, key_setting, error) == -1)
            return -1;
        memcpy(text_out, key.public_text, RMT_KEY_TEXT_SIZE);
        return 0;
    }
    if (!rmt_key_is_valid(key_setting))
        return rmt_fail(error, RMT_E_CONFIG,
                        "the setting broker-key is not a public key: %.64s", key_setting);
    memcpy(text_out, key_setting, RMT_KEY_TEXT_SIZE);
    return 0;
}

void
rmt_token_hash(const rmt_token_t *token, rmt_id_t *hash_out)
{
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_token_t bare = *token;
    *bare.root = '\0';
    rmt_token_text(&bare, text);
    sodium_memzero(&bare, sizeof bare);
    rmt_id_compute(hash_out, text, strlen(text));
    sodium_memzero(text, sizeof text);
}
