#include "disk/rmt_xlog.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <string.h>

// The log is a ring of blocks. Each begins with the number of the round (cycle) in which
// it was written; the first block of a record has its magic number before it.
#define BLOCK 512
#define RECORD_MAGIC 0xfeedbabeu
#define BLOCKS_BACK 1024        // A record has at most 256 KiB, and its headers 8 blocks
#define CYCLES_EACH (32 * 1024) // Bytes of a record whose cycles one header can hold
#define UNMOUNT 0x20

typedef struct {
    int fd;
    uint64_t start, count; // Bytes; blocks
} xlog_t;

static int
s_read(const xlog_t *self, uint64_t block, uint8_t data[BLOCK], rmt_error_t *error)
{
    return rmt_io_pread(self->fd, data, BLOCK, (off_t) (self->start + block * BLOCK),
                        error);
}

static int
s_cycle(const xlog_t *self, uint64_t block, uint32_t *cycle_out, rmt_error_t *error)
{
    uint8_t data[BLOCK];
    if (s_read(self, block, data, error) == -1)
        return -1;
    const uint32_t first = rmt_get32_be(data);
    *cycle_out = first == RECORD_MAGIC ? rmt_get32_be(data + 4) : first;
    return 0;
}

// The first block that the last round has not reached; the count of all when that round
// ended with the last block.
static int
s_find_head(const xlog_t *self, uint64_t *head_out, rmt_error_t *error)
{
    uint32_t first, last, cycle;
    if (s_cycle(self, 0, &first, error) == -1 ||
        s_cycle(self, self->count - 1, &last, error) == -1)
        return -1;
    uint64_t low = 0, high = self->count - 1;
    while (first != last && high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if (s_cycle(self, middle, &cycle, error) == -1)
            return -1;
        *(cycle == first ? &low : &high) = middle;
    }
    *head_out = first == last ? self->count : high;
    return 0;
}

// Does the record of this header end at the head, and is it that of an unmount alone?
static int
s_is_unmount(const xlog_t *self, const uint8_t header[BLOCK], uint64_t block,
             uint64_t head, bool *is_out, rmt_error_t *error)
{
    uint8_t data[BLOCK];
    const uint32_t version = rmt_get32_be(header + 8), length = rmt_get32_be(header + 12);
    const uint32_t size = rmt_get32_be(header + 320);
    const uint64_t headers =
        version & 2 && size > CYCLES_EACH ? (size + CYCLES_EACH - 1) / CYCLES_EACH : 1;
    const uint64_t end = block + headers + (length + (uint64_t) BLOCK - 1) / BLOCK;
    if (rmt_get32_be(header + 40) != 1 || length == 0 || end != head)
        return 0;
    if (s_read(self, block + headers, data, error) == -1)
        return -1;
    *is_out = data[9] & UNMOUNT;
    return 0;
}

int
rmt_xlog_is_clean(int fd, uint64_t start, uint64_t size, bool *clean_out,
                  rmt_error_t *error)
{
    const xlog_t self = {.fd = fd, .start = start, .count = size / BLOCK};
    uint8_t data[BLOCK];
    uint64_t head;
    *clean_out = false;
    if (self.count < 2)
        return 0;
    if (s_find_head(&self, &head, error) == -1)
        return -1;
    for (uint64_t back = 1; back <= head && back <= BLOCKS_BACK; back++) {
        if (s_read(&self, head - back, data, error) == -1)
            return -1;
        if (rmt_get32_be(data) == RECORD_MAGIC)
            return s_is_unmount(&self, data, head - back, head, clean_out, error);
    }
    return 0;
}
