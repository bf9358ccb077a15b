#include "crypto/rmt_xts.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define TWEAK_SIZE 16

struct rmt_xts {
    EVP_CIPHER_CTX *encrypt, *decrypt;
};

static EVP_CIPHER_CTX *
s_context(const uint8_t *key, size_t size, int is_encrypt)
{
    const EVP_CIPHER *cipher = size == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts();
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert(context);
    const int rc = EVP_CipherInit_ex(context, cipher, NULL, key, NULL, is_encrypt);
    assert(rc == 1); // Equal halves
    return context;
}

rmt_xts_t *
rmt_xts_new(const uint8_t *key, size_t size)
{
    assert(key && (size == 32 || size == 64));
    rmt_xts_t *self = calloc(1, sizeof *self);
    assert(self);
    self->encrypt = s_context(key, size, 1);
    self->decrypt = s_context(key, size, 0);
    return self;
}

void
rmt_xts_destroy(rmt_xts_t **self_p)
{
    assert(self_p);
    rmt_xts_t *self = *self_p;
    if (!self)
        return;
    EVP_CIPHER_CTX_free(self->encrypt);
    EVP_CIPHER_CTX_free(self->decrypt);
    free(self);
    *self_p = NULL;
}

static void
s_run(EVP_CIPHER_CTX *context, uint64_t number, const uint8_t *in, uint8_t *out,
      size_t size)
{
    uint8_t tweak[TWEAK_SIZE] = {0};
    int done = 0;
    for (size_t i = 0; i < sizeof number; i++)
        tweak[i] = (uint8_t) (number >> (8 * i));
    int rc = EVP_CipherInit_ex(context, NULL, NULL, NULL, tweak, -1);
    assert(rc == 1);
    rc = EVP_CipherUpdate(context, out, &done, in, (int) size);
    assert(rc == 1 && done == (int) size);
}

void
rmt_xts_encrypt(rmt_xts_t *self, uint64_t number, const uint8_t *in, uint8_t *out,
                size_t size)
{
    s_run(self->encrypt, number, in, out, size);
}

void
rmt_xts_decrypt(rmt_xts_t *self, uint64_t number, const uint8_t *in, uint8_t *out,
                size_t size)
{
    s_run(self->decrypt, number, in, out, size);
}
