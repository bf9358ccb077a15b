// rmt_random - random bytes of the kernel, and identifiers made of them.
#pragma once

#include <stddef.h>

#define RMT_RANDOM_UUID_SIZE 37

// Random bytes from the kernel; aborts when it has none.
void rmt_random_bytes(void *bytes, size_t size);

// A random UUID (version 4). Returns text.
const char *rmt_random_uuid(char text[RMT_RANDOM_UUID_SIZE]);

// 2 * size random hexadecimal digits and a NUL. Returns text.
const char *rmt_random_hex(char *text, size_t size);
