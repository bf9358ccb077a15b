// Chunks as peers send them and packs keep them: their stored form, and the frames of
// several. The first byte says which.
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "exchange/rmt_chunk_frame.h"
#include "fuzz/must.h"
#include "store/rmt_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t s_plain[RMT_CHUNK_PLAIN_MAX], s_room[RMT_CHUNK_PLAIN_MAX];

// What is opened has the bytes of its name, and is the same after it was made anew.
static void
s_open(const rmt_chunk_t *chunk)
{
    rmt_error_t error;
    rmt_id_t id;
    if (rmt_chunk_open(chunk, s_plain, &error) == -1)
        return;
    rmt_id_compute(&id, s_plain, chunk->plain_size);
    MUST(rmt_id_equal(&id, &chunk->id));
    rmt_chunk_t again;
    rmt_chunk_make(&again, s_plain, chunk->plain_size, s_room);
    MUST(rmt_id_equal(&id, &again.id) && again.plain_size == chunk->plain_size);
}

// Codec and plain size, then the stored bytes. The id is that of what they unpack to,
// which is what an honest digest can tell.
static void
s_fuzz_stored(const uint8_t *data, size_t size)
{
    rmt_chunk_t chunk = {.id.bytes = {RMT_ID_SHA256}};
    rmt_error_t error;
    if (size < 5)
        return;
    chunk.codec = data[0];
    chunk.plain_size = rmt_get32(data + 1);
    chunk.size = (uint32_t) size - 5;
    chunk.data = data + 5;
    memset(s_plain, 0, sizeof s_plain);
    (void) rmt_chunk_open(&chunk, s_plain, &error);
    if (chunk.plain_size <= RMT_CHUNK_PLAIN_MAX)
        rmt_id_compute(&chunk.id, s_plain, chunk.plain_size);
    s_open(&chunk);
}

// Heads that are written again give the very bytes.
static void
s_fuzz_frame(const uint8_t *data, size_t size)
{
    size_t count = 0, seen = 0;
    rmt_error_t error;
    if (rmt_chunk_frame_check(data, size, &count, &error) == -1)
        return;
    const uint8_t *at = data, *head = data;
    rmt_chunk_t chunk;
    for (; rmt_chunk_frame_next(&at, data + size, &chunk); head = at) {
        uint8_t out[RMT_CHUNK_FRAME_HEAD_SIZE];
        rmt_chunk_frame_put_head(out, &chunk);
        MUST(memcmp(out, head, sizeof out) == 0);
        MUST((const uint8_t *) chunk.data + chunk.size == at && at <= data + size);
        s_open(&chunk);
        seen++;
    }
    MUST(seen == count && at == data + size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        (data[0] % 2 ? s_fuzz_frame : s_fuzz_stored)(data + 1, size - 1);
    return 0;
}
