#include "disk/rmt_crypt.h"
#include "crypto/rmt_xts.h"
#include "disk/rmt_errno_io.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNIT 512                        // Of the tweak
#define ROOM_SIZE ((size_t) 128 * 1024) // A multiple of every sector

struct rmt_crypt {
    rmt_xts_t *xts;
    int fd;
    uint64_t offset, bytes;
    uint32_t sector;
    uint8_t room[ROOM_SIZE];
};

rmt_crypt_t *
rmt_crypt_new(const rmt_crypt_setup_t *setup)
{
    assert(setup && setup->sector && setup->bytes % setup->sector == 0);
    rmt_crypt_t *self = calloc(1, sizeof *self);
    assert(self);
    self->xts = rmt_xts_new(setup->key, setup->key_bytes);
    self->fd = setup->fd;
    self->offset = setup->offset;
    self->bytes = setup->bytes;
    self->sector = setup->sector;
    return self;
}

void
rmt_crypt_destroy(rmt_crypt_t **self_p)
{
    assert(self_p);
    rmt_crypt_t *self = *self_p;
    if (!self)
        return;
    rmt_xts_destroy(&self->xts);
    free(self);
    *self_p = NULL;
}

// Whole sectors that hold a range, as many as the memory takes.
typedef struct {
    uint64_t start;
    size_t size;
    size_t before, wanted; // Of the range: bytes of the first sector before it, its own
} span_t;

static span_t
s_span(const rmt_crypt_t *self, size_t size, uint64_t at)
{
    span_t span = {.start = at - at % self->sector, .before = at % self->sector};
    const size_t room = ROOM_SIZE - span.before;
    span.wanted = size < room ? size : room;
    const size_t end = span.before + span.wanted;
    span.size = (end + self->sector - 1) / self->sector * self->sector;
    return span;
}

static int
s_load(rmt_crypt_t *self, uint64_t start, uint8_t *out, size_t size)
{
    const int failure = rmt_errno_pread(self->fd, out, size, self->offset + start);
    for (size_t i = 0; !failure && i < size; i += self->sector)
        rmt_xts_decrypt(self->xts, (start + i) / UNIT, out + i, out + i, self->sector);
    return failure;
}

static int
s_read(void *context, void *data, size_t size, uint64_t at)
{
    rmt_crypt_t *self = context;
    uint8_t *out = data;
    assert(at <= self->bytes && size <= self->bytes - at);
    while (size) {
        const span_t span = s_span(self, size, at);
        const int failure = s_load(self, span.start, self->room, span.size);
        if (failure)
            return failure;
        memcpy(out, self->room + span.before, span.wanted);
        out += span.wanted;
        at += span.wanted;
        size -= span.wanted;
    }
    return 0;
}

// The rest of the first and the last sector stays as it is.
static int
s_fill(rmt_crypt_t *self, const span_t *span)
{
    const size_t last = span->size - self->sector;
    const bool is_short = span->before + span->wanted < span->size;
    int failure = 0;
    if (span->before || (is_short && last == 0))
        failure = s_load(self, span->start, self->room, self->sector);
    if (!failure && is_short && last)
        failure = s_load(self, span->start + last, self->room + last, self->sector);
    return failure;
}

static int
s_write(void *context, const void *data, size_t size, uint64_t at)
{
    rmt_crypt_t *self = context;
    const uint8_t *in = data;
    assert(at <= self->bytes && size <= self->bytes - at);
    while (size) {
        const span_t span = s_span(self, size, at);
        int failure = s_fill(self, &span);
        if (failure)
            return failure;
        memcpy(self->room + span.before, in, span.wanted);
        for (size_t i = 0; i < span.size; i += self->sector)
            rmt_xts_encrypt(self->xts, (span.start + i) / UNIT, self->room + i,
                            self->room + i, self->sector);
        failure =
            rmt_errno_pwrite(self->fd, self->room, span.size, self->offset + span.start);
        if (failure)
            return failure;
        in += span.wanted;
        at += span.wanted;
        size -= span.wanted;
    }
    return 0;
}

static int
s_flush(void *context)
{
    const rmt_crypt_t *self = context;
    return fsync(self->fd) == -1 ? errno : 0;
}

rmt_fuse_blocks_t
rmt_crypt_blocks(rmt_crypt_t *self)
{
    return (rmt_fuse_blocks_t){.self = self,
                               .size = self->bytes,
                               .read = s_read,
                               .write = s_write,
                               .flush = s_flush,
                               .fds = &self->fd,
                               .fd_count = 1};
}
