#include "crypto/rmt_hex.h"

#include <sodium.h>

bool
rmt_hex_read(uint8_t *out, size_t size, const char *at)
{
    if (sodium_hex2bin(out, size, at, 2 * size, NULL, NULL, NULL) != 0)
        return false;
    for (size_t i = 0; i < 2 * size; i++)
        if (at[i] >= 'A' && at[i] <= 'F')
            return false;
    return true;
}
