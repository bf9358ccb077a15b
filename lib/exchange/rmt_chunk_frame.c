#include "exchange/rmt_chunk_frame.h"
#include "base/rmt_bytes.h"

#include <string.h>

// Octets of a head: id 0, codec 33, plain size 34, stored size 38.
#define AT_CODEC 33
#define AT_PLAIN 34
#define AT_SIZE 38

void
rmt_chunk_frame_put_head(uint8_t out[RMT_CHUNK_FRAME_HEAD_SIZE], const rmt_chunk_t *chunk)
{
    memcpy(out, chunk->id.bytes, RMT_ID_SIZE);
    out[AT_CODEC] = chunk->codec;
    rmt_put32(out + AT_PLAIN, chunk->plain_size);
    rmt_put32(out + AT_SIZE, chunk->size);
}

static void
s_get_head(const uint8_t *data, rmt_chunk_t *chunk_out)
{
    memcpy(chunk_out->id.bytes, data, RMT_ID_SIZE);
    chunk_out->codec = data[AT_CODEC];
    chunk_out->plain_size = rmt_get32(data + AT_PLAIN);
    chunk_out->size = rmt_get32(data + AT_SIZE);
    chunk_out->data = data + RMT_CHUNK_FRAME_HEAD_SIZE;
}

int
rmt_chunk_frame_check(const void *data, size_t size, size_t *count_out,
                      rmt_error_t *error)
{
    const uint8_t *at = data, *end = at + size;
    size_t count = 0;
    do {
        rmt_chunk_t chunk;
        if ((size_t) (end - at) < RMT_CHUNK_FRAME_HEAD_SIZE)
            return rmt_fail(error, RMT_E_PROTOCOL, "the head of chunk %zu is cut short",
                            count);
        s_get_head(at, &chunk);
        at += RMT_CHUNK_FRAME_HEAD_SIZE;
        if (chunk.id.bytes[0] != RMT_ID_SHA256 || chunk.plain_size == 0 ||
            chunk.plain_size > RMT_CHUNK_PLAIN_MAX || chunk.size == 0 ||
            chunk.size > RMT_CHUNK_STORED_MAX || chunk.size > (size_t) (end - at))
            return rmt_fail(error, RMT_E_PROTOCOL,
                            "chunk %zu: %u bytes with codec %u for %u, algorithm %u",
                            count, chunk.size, chunk.codec, chunk.plain_size,
                            chunk.id.bytes[0]);
        at += chunk.size;
        count++;
    } while (at < end);
    *count_out = count;
    return 0;
}

bool
rmt_chunk_frame_next(const uint8_t **at_p, const uint8_t *end, rmt_chunk_t *chunk_out)
{
    if (*at_p == end)
        return false;
    s_get_head(*at_p, chunk_out);
    *at_p += RMT_CHUNK_FRAME_HEAD_SIZE + chunk_out->size;
    return true;
}
