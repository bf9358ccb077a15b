#include "disk/rmt_cow.h"
#include "disk/rmt_errno_io.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BASE 0
#define ROOM 1

// Seen by a child and its parent.
typedef struct {
    uint64_t written;
    bool is_full;
    uint8_t bits[]; // One for each block: it is in room
} shared_t;

struct rmt_cow {
    int fds[2]; // BASE, which is read alone, and ROOM
    uint64_t size, limit;
    size_t shared_size;
    shared_t *shared;
};

rmt_cow_t *
rmt_cow_new(int base, int room, uint64_t size, uint64_t limit)
{
    rmt_cow_t *self = calloc(1, sizeof *self);
    assert(self);
    const uint64_t blocks = (size + RMT_COW_BLOCK - 1) / RMT_COW_BLOCK;
    *self = (rmt_cow_t){.fds = {base, room}, .size = size, .limit = limit};
    self->shared_size = sizeof(shared_t) + (size_t) (blocks / 8 + 1);
    // Pages of it that nothing touches take no memory.
    self->shared = mmap(NULL, self->shared_size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(self->shared != MAP_FAILED);
    return self;
}

void
rmt_cow_destroy(rmt_cow_t **self_p)
{
    rmt_cow_t *self = *self_p;
    if (!self)
        return;
    munmap(self->shared, self->shared_size);
    close(self->fds[BASE]);
    close(self->fds[ROOM]);
    free(self);
    *self_p = NULL;
}

static bool
s_has(const rmt_cow_t *self, uint64_t block)
{
    return self->shared->bits[block / 8] & 1u << block % 8;
}

static size_t
s_block_size(const rmt_cow_t *self, uint64_t block)
{
    const uint64_t left = self->size - block * RMT_COW_BLOCK;
    return left < RMT_COW_BLOCK ? (size_t) left : RMT_COW_BLOCK;
}

// Blocks in a row that come from the same file are read at once.
int
rmt_cow_read(rmt_cow_t *self, void *data, size_t size, uint64_t at)
{
    assert(at <= self->size && size <= self->size - at);
    uint8_t *out = data;
    while (size) {
        uint64_t block = at / RMT_COW_BLOCK;
        const bool is_in_room = s_has(self, block);
        uint64_t end = (block + 1) * RMT_COW_BLOCK;
        while (end < at + size && s_has(self, ++block) == is_in_room)
            end += RMT_COW_BLOCK;
        const size_t part = end - at < size ? (size_t) (end - at) : size;
        const int failure = rmt_errno_pread(
            is_in_room ? self->fds[ROOM] : self->fds[BASE], out, part, at);
        if (failure)
            return failure;
        out += part;
        at += part;
        size -= part;
    }
    return 0;
}

// A block that is written in part for the first time is filled from below.
static int
s_write_block(rmt_cow_t *self, const uint8_t *data, size_t size, uint64_t at)
{
    const uint64_t block = at / RMT_COW_BLOCK;
    const size_t whole = s_block_size(self, block);
    uint8_t copy[RMT_COW_BLOCK];
    if (s_has(self, block))
        return rmt_errno_pwrite(self->fds[ROOM], data, size, at);
    if (self->shared->is_full || self->shared->written + RMT_COW_BLOCK > self->limit)
        return ENOSPC;
    if (size < whole) {
        const int failure =
            rmt_errno_pread(self->fds[BASE], copy, whole, block * RMT_COW_BLOCK);
        if (failure)
            return failure;
        memcpy(copy + at % RMT_COW_BLOCK, data, size);
        data = copy;
    }
    const int failure =
        rmt_errno_pwrite(self->fds[ROOM], data, whole, block * RMT_COW_BLOCK);
    if (failure)
        return failure;
    self->shared->bits[block / 8] |= (uint8_t) (1u << block % 8);
    self->shared->written += RMT_COW_BLOCK;
    return 0;
}

int
rmt_cow_write(rmt_cow_t *self, const void *data, size_t size, uint64_t at)
{
    assert(at <= self->size && size <= self->size - at);
    const uint8_t *in = data;
    while (size) {
        const size_t left = RMT_COW_BLOCK - (size_t) (at % RMT_COW_BLOCK);
        const size_t part = left < size ? left : size;
        int failure = s_write_block(self, in, part, at);
        // A file system has a largest file, too.
        if (failure == EFBIG || failure == EDQUOT)
            failure = ENOSPC;
        if (failure == ENOSPC)
            self->shared->is_full = true;
        if (failure)
            return failure;
        in += part;
        at += part;
        size -= part;
    }
    return 0;
}

static int
s_read(void *self, void *data, size_t size, uint64_t at)
{
    return rmt_cow_read(self, data, size, at);
}

static int
s_write(void *self, const void *data, size_t size, uint64_t at)
{
    return rmt_cow_write(self, data, size, at);
}

rmt_fuse_blocks_t
rmt_cow_blocks(rmt_cow_t *self)
{
    return (rmt_fuse_blocks_t){.self = self,
                               .size = self->size,
                               .read = s_read,
                               .write = s_write,
                               .fds = self->fds,
                               .fd_count = 2};
}

uint64_t
rmt_cow_written(const rmt_cow_t *self)
{
    return self->shared->written;
}

bool
rmt_cow_is_full(const rmt_cow_t *self)
{
    return self->shared->is_full;
}
