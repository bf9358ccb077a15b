// Tokens, ids, and the files of keys. The first byte says which. What is read is the same
// after it was written and read again.
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"
#include "crypto/rmt_sign.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
s_save(const char *path, const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd != -1 && rmt_io_write(fd, data, size, &error) == 0);
}

static void
s_fuzz_token(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_token_t token, again;
    rmt_id_t hash;
    char printed[RMT_TOKEN_TEXT_SIZE];
    rmt_auto_str text = strndup((const char *) data, size);
    if (rmt_token_parse(&token, text, &error) == -1)
        return;
    MUST(strcmp(rmt_token_text(&token, printed), text) == 0);
    MUST(rmt_key_is_valid(token.broker_key));
    MUST(rmt_token_parse(&again, printed, &error) == 0);
    MUST(memcmp(&token, &again, sizeof token) == 0);
    rmt_token_hash(&token, &hash);
}

static void
s_fuzz_id(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_id_t id;
    char printed[RMT_ID_TEXT_SIZE];
    rmt_auto_str text = strndup((const char *) data, size);
    if (rmt_id_parse(&id, text, &error) == 0)
        MUST(strcmp(rmt_id_text(&id, printed), text) == 0);
}

static void
s_fuzz_key(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_key_t pair, half, again;
    rmt_auto_str path = rmt_text("%s/key", grove_top());
    s_save(path, data, size);
    const int is_half = rmt_key_load_public(&half, path, &error);
    if (rmt_key_load(&pair, path, &error) == -1)
        return;
    MUST(is_half == 0 && strcmp(half.public_text, pair.public_text) == 0);
    MUST(rmt_key_is_valid(pair.public_text) && rmt_key_is_valid(pair.secret_text));
    MUST(rmt_key_save(&pair, path, &error) == 0);
    MUST(rmt_key_load(&again, path, &error) == 0);
    MUST(strcmp(pair.public_text, again.public_text) == 0);
    MUST(strcmp(pair.secret_text, again.secret_text) == 0);
}

static void
s_fuzz_sign(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_sign_key_t pair, half, again;
    rmt_auto_str path = rmt_text("%s/sign", grove_top());
    s_save(path, data, size);
    const int is_half = rmt_sign_key_load_public(&half, path, &error);
    if (rmt_sign_key_load(&pair, path, &error) == -1)
        return;
    uint8_t signature[RMT_SIGN_SIZE];
    rmt_sign_make(&pair, data, size, signature);
    MUST(is_half == 0 && rmt_sign_check(&half, data, size, signature, &error) == 0);
    MUST(rmt_sign_key_save(&pair, path, &error) == 0);
    MUST(rmt_sign_key_load(&again, path, &error) == 0);
    MUST(memcmp(&pair, &again, sizeof pair) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const uint8_t *, size_t) = {s_fuzz_token, s_fuzz_id,
                                                               s_fuzz_key, s_fuzz_sign};
    if (size > 0)
        parsers[data[0] % 4](data + 1, size - 1);
    return 0;
}
