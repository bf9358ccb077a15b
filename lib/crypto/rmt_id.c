#include "crypto/rmt_id.h"
#include "crypto/rmt_hex.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct rmt_digest {
    EVP_MD_CTX *context;
};

rmt_digest_t *
rmt_digest_new(void)
{
    rmt_digest_t *self = calloc(1, sizeof *self);
    assert(self);
    self->context = EVP_MD_CTX_new();
    assert(self->context);
    const int ok = EVP_DigestInit_ex(self->context, EVP_sha256(), NULL);
    assert(ok == 1);
    return self;
}

void
rmt_digest_destroy(rmt_digest_t **self_p)
{
    if (!*self_p)
        return;
    EVP_MD_CTX_free((*self_p)->context);
    free(*self_p);
    *self_p = NULL;
}

void
rmt_digest_update(rmt_digest_t *self, const void *data, size_t size)
{
    const int ok = EVP_DigestUpdate(self->context, data, size);
    assert(ok == 1);
}

void
rmt_digest_finish(rmt_digest_t *self, rmt_id_t *id_out)
{
    unsigned size = 0;
    id_out->bytes[0] = RMT_ID_SHA256;
    int ok = EVP_DigestFinal_ex(self->context, id_out->bytes + 1, &size);
    assert(ok == 1 && size == 32);
    ok = EVP_DigestInit_ex(self->context, EVP_sha256(), NULL);
    assert(ok == 1);
}

void
rmt_id_compute(rmt_id_t *id_out, const void *data, size_t size)
{
    unsigned digest_size = 0;
    id_out->bytes[0] = RMT_ID_SHA256;
    const int ok =
        EVP_Digest(data, size, id_out->bytes + 1, &digest_size, EVP_sha256(), NULL);
    assert(ok == 1 && digest_size == 32);
}

bool
rmt_id_equal(const rmt_id_t *a, const rmt_id_t *b)
{
    return memcmp(a->bytes, b->bytes, RMT_ID_SIZE) == 0;
}

int
rmt_id_compare(const rmt_id_t *a, const rmt_id_t *b)
{
    return memcmp(a->bytes, b->bytes, RMT_ID_SIZE);
}

char *
rmt_id_text(const rmt_id_t *id, char out[RMT_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < RMT_ID_SIZE; i++) {
        out[2 * i] = digits[id->bytes[i] >> 4];
        out[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    out[2 * RMT_ID_SIZE] = '\0';
    return out;
}

int
rmt_id_parse(rmt_id_t *id_out, const char *text, rmt_error_t *error)
{
    rmt_id_t id;
    if (strlen(text) != 2 * RMT_ID_SIZE)
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%.80s\" is not an id; an id has %d hexadecimal digits", text,
                        2 * RMT_ID_SIZE);
    if (!rmt_hex_read(id.bytes, sizeof id.bytes, text))
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" is not an id; an id has hexadecimal digits alone", text);
    if (id.bytes[0] != RMT_ID_SHA256)
        return rmt_fail(error, RMT_E_USAGE, "id %s has an unknown algorithm", text);
    *id_out = id;
    return 0;
}
