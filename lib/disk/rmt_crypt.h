// rmt_crypt - what lies encrypted in a range of a device, as blocks: dm-crypt's format,
// without its driver (docs/decisions.md, 53).
//
// Reading, writing and flushing make system calls and compute, and nothing else, so that
// a child may do it (rmt_fuse_disk). A class of one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "disk/rmt_fuse_file.h"

typedef struct rmt_crypt rmt_crypt_t;

typedef struct {
    int fd;             // Borrowed, and open as long as the object
    uint64_t offset;    // Bytes from the start of fd to the encrypted ones
    uint64_t bytes;     // Their number, a multiple of the sector
    uint32_t sector;    // Bytes that are encrypted as one
    const uint8_t *key; // Borrowed for the call
    size_t key_bytes;   // 32 or 64
} rmt_crypt_setup_t;

// Caller owns the result.
rmt_crypt_t *rmt_crypt_new(const rmt_crypt_setup_t *setup);
void rmt_crypt_destroy(rmt_crypt_t **self_p);

// As the blocks of a file or disk of FUSE. Borrows self.
rmt_fuse_blocks_t rmt_crypt_blocks(rmt_crypt_t *self);
