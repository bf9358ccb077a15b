// rmt_xts - sectors of a disk under AES in mode XTS, as dm-crypt has them by the name
// aes-xts-plain64: the tweak of a sector is its number, counted in units of 512 bytes.
//
// After rmt_xts_new no call takes memory or makes a system call. A class of one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rmt_xts rmt_xts_t;

// key: 32 bytes for AES-128 or 64 for AES-256, its two halves different. Caller owns the
// result.
rmt_xts_t *rmt_xts_new(const uint8_t *key, size_t size);
// The copy of the key is overwritten.
void rmt_xts_destroy(rmt_xts_t **self_p);

// One sector of so many bytes, where number counts units of 512 bytes from the start of
// what is encrypted. out may be in.
void rmt_xts_encrypt(rmt_xts_t *self, uint64_t number, const uint8_t *in, uint8_t *out,
                     size_t size);
void rmt_xts_decrypt(rmt_xts_t *self, uint64_t number, const uint8_t *in, uint8_t *out,
                     size_t size);
