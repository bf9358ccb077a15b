#include "disk/rmt_fuse_file.h"

#include <errno.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITE_MAX ((uint32_t) 128 * 1024)
#define VALID_S 3600
// The newest version of which this needs something. Older kernels answer with their own.
#define MINOR 31

typedef struct {
    int fuse;
    const rmt_fuse_blocks_t *blocks;
    const struct fuse_in_header *head;
    const void *body; // Of the request
} request_t;

static void
s_answer(const request_t *self, int failure, const void *data, size_t size)
{
    if (failure)
        size = 0;
    struct fuse_out_header head = {.len = (uint32_t) (sizeof head + size),
                                   .error = -failure,
                                   .unique = self->head->unique};
    const struct iovec parts[] = {{&head, sizeof head},
                                  {.iov_base = (void *) (uintptr_t) data, size}};
    // One that was interrupted has gone meanwhile, and its answer is not awaited.
    while (writev(self->fuse, parts, 2) == -1 && errno == EINTR)
        continue;
}

static void
s_init(const request_t *self)
{
    const struct fuse_init_in *in = self->body;
    const uint32_t minor = in->minor < MINOR ? in->minor : MINOR;
    const struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = minor,
        .max_readahead = in->max_readahead,
        .flags = in->flags & (FUSE_BIG_WRITES | FUSE_ASYNC_READ | FUSE_MAX_PAGES),
        .max_background = 16,
        .congestion_threshold = 12,
        .max_write = WRITE_MAX,
        .time_gran = 1,
        .max_pages = WRITE_MAX / 4096,
    };
    s_answer(self, 0, &out, minor < 23 ? FUSE_COMPAT_22_INIT_OUT_SIZE : sizeof out);
}

static void
s_tell_attributes(const request_t *self)
{
    const struct fuse_attr_out out = {.attr_valid = VALID_S,
                                      .attr = {.ino = FUSE_ROOT_ID,
                                               .size = self->blocks->size,
                                               .mode = S_IFREG | 0600,
                                               .nlink = 1,
                                               .blksize = RMT_FUSE_FILE_BLOCK}};
    s_answer(self, 0, &out, sizeof out);
}

// Of a range that goes beyond the end, what lies before it.
static size_t
s_within(const request_t *self, uint64_t at, uint32_t size)
{
    const uint64_t all = self->blocks->size;
    const uint64_t left = at < all ? all - at : 0;
    return size < left ? size : (size_t) left;
}

static void
s_read(const request_t *self, void *data)
{
    const struct fuse_read_in *in = self->body;
    const uint64_t at = in->offset;
    const size_t size = s_within(self, at, in->size < WRITE_MAX ? in->size : WRITE_MAX);
    // The answer takes the place of the request, which was short.
    const struct fuse_in_header head = *self->head;
    const request_t answer = {.fuse = self->fuse, .blocks = self->blocks, .head = &head};
    s_answer(&answer, size ? self->blocks->read(self->blocks->self, data, size, at) : 0,
             data, size);
}

static void
s_write(const request_t *self)
{
    const struct fuse_write_in *in = self->body;
    const struct fuse_write_out out = {.size = in->size};
    const int failure =
        s_within(self, in->offset, in->size) < in->size
            ? ENOSPC
            : self->blocks->write(self->blocks->self, in + 1, in->size, in->offset);
    s_answer(self, failure, &out, sizeof out);
}

static void
s_flush(const request_t *self)
{
    const rmt_fuse_blocks_t *blocks = self->blocks;
    s_answer(self, blocks->flush ? blocks->flush(blocks->self) : 0, NULL, 0);
}

static void
s_handle(const request_t *self, void *room)
{
    static const struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
    static const struct fuse_statfs_out space = {
        .st = {.bsize = RMT_FUSE_FILE_BLOCK, .frsize = RMT_FUSE_FILE_BLOCK}};
    switch (self->head->opcode) {
    case FUSE_INIT:
        s_init(self);
        return;
    case FUSE_GETATTR:
    case FUSE_SETATTR: // Times, which nothing looks at
        s_tell_attributes(self);
        return;
    case FUSE_OPEN:
        s_answer(self, 0, &opened, sizeof opened);
        return;
    case FUSE_READ:
        s_read(self, room);
        return;
    case FUSE_WRITE:
        s_write(self);
        return;
    case FUSE_STATFS:
        s_answer(self, 0, &space, sizeof space);
        return;
    case FUSE_FSYNC:
        s_flush(self);
        return;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_DESTROY:
        s_answer(self, 0, NULL, 0);
        return;
    case FUSE_FORGET: // These have no answer
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return;
    default:
        s_answer(self, ENOSYS, NULL, 0);
    }
}

void
rmt_fuse_file_serve(int fuse, const rmt_fuse_blocks_t *blocks, void *room)
{
    for (;;) {
        const ssize_t got = read(fuse, room, RMT_FUSE_FILE_ROOM);
        // ENOENT: the request was taken back before it was read.
        if (got == -1 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
            continue;
        if (got < (ssize_t) sizeof(struct fuse_in_header))
            return;
        const struct fuse_in_header *head = room;
        const request_t request = {
            .fuse = fuse, .blocks = blocks, .head = head, .body = head + 1};
        s_handle(&request, room);
    }
}
