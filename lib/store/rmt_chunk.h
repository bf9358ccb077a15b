// rmt_chunk - a piece of content as it is stored and sent: 1 byte to 1 MiB plain,
// one independent LZ4 block, or raw when that does not shrink. Format:
// docs/spec/2-store.md.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"

#define RMT_CHUNK_PLAIN_MAX ((size_t) 1024 * 1024)
#define RMT_CODEC_RAW 0
#define RMT_CODEC_LZ4 1
// The most that the stored form of a chunk takes.
#define RMT_CHUNK_STORED_MAX (RMT_CHUNK_PLAIN_MAX + RMT_CHUNK_PLAIN_MAX / 255 + 16)

typedef struct {
    rmt_id_t id;
    uint8_t codec;
    uint32_t plain_size;
    uint32_t size;    // Stored bytes
    const void *data; // Stored bytes; borrowed from the maker of the struct
} rmt_chunk_t;

// Name plain bytes and put their stored form in room, which has as many bytes as they
// are; chunk_out->data points into room, or at plain when raw.
void rmt_chunk_make(rmt_chunk_t *chunk_out, const void *plain, size_t size, void *room);

// Put the plain bytes in plain_out (chunk->plain_size bytes, at most
// RMT_CHUNK_PLAIN_MAX) and check them against the id. 0, or -1: CORRUPT.
int rmt_chunk_open(const rmt_chunk_t *chunk, void *plain_out, rmt_error_t *error);
