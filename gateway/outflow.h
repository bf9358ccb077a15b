// outflow - whether the client of a stream takes what it is sent. The kernel knows it:
// what was written may still be on its way.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Of a stream; all zero at first.
typedef struct {
    int64_t given;    // Octets for the client; added to by the owner
    int64_t taken;    // Of these, at the last look
    int64_t taken_ms; // When that grew last
} outflow_t;

// What a client can keep of the kernel when it takes nothing: 64 KiB, and for how long.
void outflow_limit(int fd, unsigned silence_ms);

// Look: has the client, which has not taken all, taken nothing for so long?
bool outflow_is_silent(outflow_t *self, int fd, int64_t now_ms, unsigned silence_ms);
