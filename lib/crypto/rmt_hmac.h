// rmt_hmac - HMAC-SHA-256: the mark by which a receiver knows a sender with the same
// secret.
#pragma once

#include <stddef.h>

#define RMT_HMAC_TEXT_SIZE 65 // 64 lower-case hexadecimal digits and a NUL

void rmt_hmac_compute(const char *secret, const void *data, size_t size,
                      char out[RMT_HMAC_TEXT_SIZE]);
