#include "crypto/rmt_key.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_guarded.h"
#include "base/rmt_io.h"
#include "crypto/rmt_secret.h"

#include <czmq.h>
#include <sodium.h>
#include <string.h>

bool
rmt_key_is_valid(const char *text)
{
    uint8_t bytes[32];
    return strlen(text) == RMT_KEY_TEXT_SIZE - 1 && zmq_z85_decode(bytes, text);
}

int
rmt_key_new(rmt_key_t *key_out, rmt_error_t *error)
{
    rmt_key_t key;
    if (zmq_curve_keypair(key.public_text, key.secret_text) == -1)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the libzmq of this system was built without CURVE; install a "
                        "libzmq that has libsodium");
    *key_out = key;
    rmt_key_wipe(&key);
    return 0;
}

// Find `name = "value"` of exactly one key's length.
static bool
s_find(const char *text, const char *name, char out[RMT_KEY_TEXT_SIZE])
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += strspn(line, "\n ");
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        const char *at = line + strlen(name);
        at += strspn(at, " =");
        if (*at++ != '"' || strcspn(at, "\"") != RMT_KEY_TEXT_SIZE - 1)
            return false;
        memcpy(out, at, RMT_KEY_TEXT_SIZE - 1);
        out[RMT_KEY_TEXT_SIZE - 1] = '\0';
        return rmt_key_is_valid(out);
    }
    return false;
}

static int
s_parse(rmt_key_t *key_out, const char *text, bool secret, const char *path,
        rmt_error_t *error)
{
    rmt_key_t key = {.secret_text = ""};
    if (!s_find(text, "public-key", key.public_text))
        return rmt_fail(error, RMT_E_CONFIG,
                        "key file %s has no public-key of 40 Z85 characters", path);
    if (secret && !s_find(text, "secret-key", key.secret_text))
        return rmt_fail(error, RMT_E_CONFIG,
                        "key file %s has no secret-key of 40 Z85 characters", path);
    *key_out = key;
    rmt_key_wipe(&key);
    return 0;
}

int
rmt_key_load(rmt_key_t *key_out, const char *path, rmt_error_t *error)
{
    rmt_auto_secret text = NULL;
    if (rmt_secret_load(path, "key file", &text, error) == -1)
        return -1;
    return s_parse(key_out, text, true, path, error);
}

int
rmt_key_load_public(rmt_key_t *key_out, const char *path, rmt_error_t *error)
{
    rmt_auto_secret text = NULL;
    size_t size;
    const rmt_guarded_t file = {path, "key file", RMT_GUARDED_TRUST,
                                RMT_SECRET_FILE_SIZE_MAX};
    if (rmt_guarded_load(&file, &text, &size, error) == -1)
        return -1;
    return s_parse(key_out, text, false, path, error);
}

int
rmt_key_save(const rmt_key_t *key, const char *path, rmt_error_t *error)
{
    rmt_auto_secret text = rmt_text("public-key = \"%s\"\nsecret-key = \"%s\"\n",
                                    key->public_text, key->secret_text);
    if (RMT_FAILPOINT("key.save") == -1)
        return rmt_fail_errno(error, "save %s", path);
    return rmt_io_save(path, text, strlen(text), 0600, error);
}

int
rmt_key_save_public(const rmt_key_t *key, const char *path, rmt_error_t *error)
{
    rmt_auto_str text = rmt_text("public-key = \"%s\"\n", key->public_text);
    return rmt_io_save(path, text, strlen(text), 0644, error);
}

void
rmt_key_wipe(rmt_key_t *key)
{
    sodium_memzero(key->secret_text, sizeof key->secret_text);
}
