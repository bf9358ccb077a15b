#include "crypto/rmt_hmac.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void
rmt_hmac_compute(const char *secret, const void *data, size_t size,
                 char out[RMT_HMAC_TEXT_SIZE])
{
    assert(secret && (data || !size) && out);
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *) secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, data, size);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof state);
    sodium_bin2hex(out, RMT_HMAC_TEXT_SIZE, mac, sizeof mac);
}
