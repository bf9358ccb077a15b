#include "base/rmt_random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void
rmt_random_bytes(void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = getrandom((char *) bytes + done, size - done, 0);
        if (got == -1 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        done += (size_t) got;
    }
}

const char *
rmt_random_hex(char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < size; i++) {
        unsigned char byte;
        rmt_random_bytes(&byte, 1);
        snprintf(text + 2 * i, 3, "%02x", byte);
    }
    return text;
}

const char *
rmt_random_uuid(char text[RMT_RANDOM_UUID_SIZE])
{
    unsigned char b[16];
    rmt_random_bytes(b, sizeof b);
    b[6] = (unsigned char) ((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char) ((b[8] & 0x3f) | 0x80);
    snprintf(text, RMT_RANDOM_UUID_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
             b[13], b[14], b[15]);
    return text;
}
