#include "rmt_key.h"
#include "rmt_auto.h"
#include "rmt_io.h"

#include <czmq.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_SIZE_MAX 4096

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
        return rmt_fail(error, RMT_E_UNSUPPORTED, "this libzmq has no CURVE");
    *key_out = key;
    rmt_key_wipe(&key);
    return 0;
}

static int
s_check_secret_file(const char *path, rmt_error_t *error)
{
    struct stat status;
    if (lstat(path, &status) == -1)
        return rmt_fail_errno(error, "key file %s", path);
    if (!S_ISREG(status.st_mode))
        return rmt_fail(error, RMT_E_CONFIG, "key file %s is no plain file", path);
    if (status.st_uid != geteuid())
        return rmt_fail(error, RMT_E_CONFIG, "key file %s belongs to user %u, not to %u",
                        path, status.st_uid, geteuid());
    if (status.st_mode & 077)
        return rmt_fail(error, RMT_E_CONFIG,
                        "key file %s can be used by others (mode %03o); chmod 600 it", path,
                        status.st_mode & 0777);
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
s_load(rmt_key_t *key_out, const char *path, bool secret, rmt_error_t *error)
{
    rmt_auto_ptr text = NULL;
    size_t size;
    if (rmt_io_load(path, KEY_FILE_SIZE_MAX, &text, &size, error) == -1)
        return rmt_wrap(error, "key file");
    rmt_key_t key = { .secret_text = "" };
    int rc = 0;
    if (!s_find(text, "public-key", key.public_text))
        rc = rmt_fail(error, RMT_E_CONFIG, "%s has no public-key of 40 Z85 characters", path);
    else if (secret && !s_find(text, "secret-key", key.secret_text))
        rc = rmt_fail(error, RMT_E_CONFIG, "%s has no secret-key of 40 Z85 characters", path);
    if (rc == 0)
        *key_out = key;
    sodium_memzero(text, size);
    rmt_key_wipe(&key);
    return rc;
}

int
rmt_key_load(rmt_key_t *key_out, const char *path, rmt_error_t *error)
{
    if (s_check_secret_file(path, error) == -1)
        return -1;
    return s_load(key_out, path, true, error);
}

int
rmt_key_load_public(rmt_key_t *key_out, const char *path, rmt_error_t *error)
{
    return s_load(key_out, path, false, error);
}

int
rmt_key_save(const rmt_key_t *key, const char *path, rmt_error_t *error)
{
    rmt_auto_str text = rmt_text("public-key = \"%s\"\nsecret-key = \"%s\"\n", key->public_text,
                                 key->secret_text);
    const int rc = rmt_io_save(path, text, strlen(text), 0600, error);
    sodium_memzero(text, strlen(text));
    return rc;
}

int
rmt_key_save_public(const rmt_key_t *key, const char *path, rmt_error_t *error)
{
    rmt_auto_str text = rmt_text("public-key = \"%s\"\n", key->public_text);
    return rmt_io_save(path, text, strlen(text), 0644, error);
}

char *
rmt_key_fingerprint(const char *public_text, char out[17])
{
    rmt_id_t id;
    char text[RMT_ID_TEXT_SIZE];
    rmt_id_compute(&id, public_text, strlen(public_text));
    rmt_id_text(&id, text);
    memcpy(out, text + 2, 16);
    out[16] = '\0';
    return out;
}

void
rmt_key_wipe(rmt_key_t *key)
{
    sodium_memzero(key->secret_text, sizeof key->secret_text);
}
