#include "kernel/rmt_unpack.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"

#include <assert.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define INPUT_SIZE ((size_t) 128 * 1024)
#define PEEK_MAX 64
#define WINDOW_MAX_LOG 27
#define WINDOW_MAX ((uint64_t) 1 << WINDOW_MAX_LOG)
// The old LZ4 form: blocks of 8 MiB, each with its size before it.
#define LZ4_BLOCK ((size_t) 8 * 1024 * 1024)
#define LZ4_MAGIC "\x02\x21\x4c\x18"

// ---- Input

struct rmt_input {
    int fd;
    unsigned char *data;
    size_t at, size;
    uint64_t left; // Not yet read
    bool is_over;
};

rmt_input_t *
rmt_input_new(int fd, uint64_t size)
{
    rmt_input_t *self = calloc(1, sizeof *self);
    assert(self);
    self->fd = fd;
    self->left = size;
    self->data = malloc(INPUT_SIZE);
    assert(self->data);
    return self;
}

void
rmt_input_destroy(rmt_input_t **self_p)
{
    rmt_input_t *self = rmt_take(self_p);
    if (!self)
        return;
    free(self->data);
    free(self);
}

int
rmt_input_peek(rmt_input_t *self, size_t wanted, const unsigned char **data_out,
               size_t *size_out, rmt_error_t *error)
{
    assert(wanted <= PEEK_MAX);
    if (self->size - self->at < wanted) {
        memmove(self->data, self->data + self->at, self->size - self->at);
        self->size -= self->at;
        self->at = 0;
    }
    while (self->size - self->at < wanted && !self->is_over) {
        const size_t room = INPUT_SIZE - self->size;
        const ssize_t got = read(self->fd, self->data + self->size,
                                 self->left < room ? (size_t) self->left : room);
        if (got == -1 && errno != EINTR)
            return rmt_fail_errno(error, "read");
        self->is_over = got == 0;
        self->size += got > 0 ? (size_t) got : 0;
        self->left -= got > 0 ? (uint64_t) got : 0;
    }
    *data_out = self->data + self->at;
    *size_out = self->size - self->at;
    return 0;
}

void
rmt_input_skip(rmt_input_t *self, size_t size)
{
    assert(size <= self->size - self->at);
    self->at += size;
}

// ---- Kinds

typedef struct {
    const char *name;
    const char *magic;
    size_t magic_size;
    // Some plain bytes from the next stored ones; is_end where this stream is over.
    int (*start)(rmt_unpack_t *self);
    int (*step)(rmt_unpack_t *self, unsigned char *out, size_t size, size_t *size_out,
                rmt_error_t *error);
} kind_t;

struct rmt_unpack {
    rmt_input_t *input;
    const kind_t *kind;
    bool is_end;
    z_stream gzip;
    lzma_stream xz;
    ZSTD_DStream *zstd;
    char *lz4;    // One plain block
    char *stored; // One stored block
    size_t lz4_at, lz4_size;
};

static int
s_damaged(const rmt_unpack_t *self, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_CORRUPT, "the %s data is damaged or ends early",
                    self->kind->name);
}

static int
s_gzip_start(rmt_unpack_t *self)
{
    return inflateInit2(&self->gzip, 15 + 16) == Z_OK ? 0 : -1;
}

static int
s_gzip_step(rmt_unpack_t *self, unsigned char *out, size_t size, size_t *size_out,
            rmt_error_t *error)
{
    const unsigned char *data;
    size_t there;
    if (rmt_input_peek(self->input, 1, &data, &there, error) == -1)
        return -1;
    self->gzip.next_in = (unsigned char *) (uintptr_t) data;
    self->gzip.avail_in = (unsigned) there;
    self->gzip.next_out = out;
    self->gzip.avail_out = (unsigned) size;
    const int rc = inflate(&self->gzip, Z_NO_FLUSH);
    if (there == 0 || (rc != Z_OK && rc != Z_STREAM_END))
        return s_damaged(self, error);
    rmt_input_skip(self->input, there - self->gzip.avail_in);
    *size_out = size - self->gzip.avail_out;
    self->is_end = rc == Z_STREAM_END;
    return 0;
}

static int
s_xz_start(rmt_unpack_t *self)
{
    return lzma_auto_decoder(&self->xz, WINDOW_MAX, 0) == LZMA_OK ? 0 : -1;
}

static int
s_xz_step(rmt_unpack_t *self, unsigned char *out, size_t size, size_t *size_out,
          rmt_error_t *error)
{
    const unsigned char *data;
    size_t there;
    if (rmt_input_peek(self->input, 1, &data, &there, error) == -1)
        return -1;
    self->xz.next_in = data;
    self->xz.avail_in = there;
    self->xz.next_out = out;
    self->xz.avail_out = size;
    const lzma_ret rc = lzma_code(&self->xz, LZMA_RUN);
    if (rc == LZMA_MEMLIMIT_ERROR)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "the xz data needs a window of more than %d MiB",
                        (int) (WINDOW_MAX >> 20));
    if (there == 0 || (rc != LZMA_OK && rc != LZMA_STREAM_END))
        return s_damaged(self, error);
    rmt_input_skip(self->input, there - self->xz.avail_in);
    *size_out = size - self->xz.avail_out;
    self->is_end = rc == LZMA_STREAM_END;
    return 0;
}

static int
s_zstd_start(rmt_unpack_t *self)
{
    self->zstd = ZSTD_createDStream();
    return self->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(
                             self->zstd, ZSTD_d_windowLogMax, WINDOW_MAX_LOG))
               ? 0
               : -1;
}

static int
s_zstd_step(rmt_unpack_t *self, unsigned char *out, size_t size, size_t *size_out,
            rmt_error_t *error)
{
    const unsigned char *data;
    size_t there;
    if (rmt_input_peek(self->input, 1, &data, &there, error) == -1)
        return -1;
    ZSTD_inBuffer in = {data, there, 0};
    ZSTD_outBuffer plain = {out, size, 0};
    const size_t rc = ZSTD_decompressStream(self->zstd, &plain, &in);
    if (ZSTD_isError(rc) || (there == 0 && plain.pos == 0))
        return s_damaged(self, error);
    rmt_input_skip(self->input, in.pos);
    *size_out = plain.pos;
    self->is_end = rc == 0;
    return 0;
}

static int
s_lz4_start(rmt_unpack_t *self)
{
    self->lz4 = malloc(LZ4_BLOCK);
    self->stored = malloc((size_t) LZ4_compressBound((int) LZ4_BLOCK));
    rmt_input_skip(self->input, sizeof LZ4_MAGIC - 1);
    return self->lz4 && self->stored ? 0 : -1;
}

// The next block. A size that cannot be one is where something else begins.
static int
s_lz4_block(rmt_unpack_t *self, rmt_error_t *error)
{
    const unsigned char *data;
    size_t there, used = 0;
    if (rmt_input_peek(self->input, 4, &data, &there, error) == -1)
        return -1;
    const size_t size = there < 4 ? 0 : rmt_get32(data);
    self->lz4_at = self->lz4_size = 0;
    if (size == 0 || size > (size_t) LZ4_compressBound((int) LZ4_BLOCK)) {
        self->is_end = true;
        return 0;
    }
    rmt_input_skip(self->input, 4);
    while (used < size) {
        if (rmt_input_peek(self->input, 1, &data, &there, error) == -1)
            return -1;
        if (there == 0)
            return s_damaged(self, error);
        const size_t part = there < size - used ? there : size - used;
        memcpy(self->stored + used, data, part);
        rmt_input_skip(self->input, part);
        used += part;
    }
    const int plain =
        LZ4_decompress_safe(self->stored, self->lz4, (int) size, (int) LZ4_BLOCK);
    if (plain < 0)
        return s_damaged(self, error);
    self->lz4_size = (size_t) plain;
    return 0;
}

static int
s_lz4_step(rmt_unpack_t *self, unsigned char *out, size_t size, size_t *size_out,
           rmt_error_t *error)
{
    if (self->lz4_at == self->lz4_size && s_lz4_block(self, error) == -1)
        return -1;
    const size_t left = self->lz4_size - self->lz4_at;
    *size_out = left < size ? left : size;
    memcpy(out, self->lz4 + self->lz4_at, *size_out);
    self->lz4_at += *size_out;
    return 0;
}

#define MAGIC(text) text, sizeof text - 1

static const kind_t s_kinds[] = {
    {"gzip", MAGIC("\x1f\x8b"), s_gzip_start, s_gzip_step},
    {"xz",
     MAGIC("\xfd"
           "7zXZ"),
     s_xz_start, s_xz_step},
    {"lzma", MAGIC("\x5d\x00\x00"), s_xz_start, s_xz_step},
    {"zstd", MAGIC("\x28\xb5\x2f\xfd"), s_zstd_start, s_zstd_step},
    {"lz4", MAGIC(LZ4_MAGIC), s_lz4_start, s_lz4_step},
    {"bzip2", MAGIC("BZh"), NULL, NULL},
    {"lzo", MAGIC("\x89LZO"), NULL, NULL},
};

// ---- The stream

rmt_unpack_t *
rmt_unpack_new(rmt_input_t *input, rmt_error_t *error)
{
    const unsigned char *data;
    size_t there;
    if (rmt_input_peek(input, 8, &data, &there, error) == -1)
        return NULL;
    const kind_t *kind = NULL;
    for (size_t i = 0; i < sizeof s_kinds / sizeof *s_kinds && !kind; i++) {
        if (there >= s_kinds[i].magic_size &&
            memcmp(data, s_kinds[i].magic, s_kinds[i].magic_size) == 0)
            kind = &s_kinds[i];
    }
    if (!kind || !kind->start) {
        rmt_fail(error, RMT_E_UNSUPPORTED,
                 "the initramfs is compressed by %s, which ramet cannot read",
                 kind ? kind->name : "an unknown program");
        return NULL;
    }
    rmt_unpack_t *self = calloc(1, sizeof *self);
    assert(self);
    self->input = input;
    self->kind = kind;
    const int rc = kind->start(self);
    assert(rc == 0);
    return self;
}

void
rmt_unpack_destroy(rmt_unpack_t **self_p)
{
    rmt_unpack_t *self = rmt_take(self_p);
    if (!self)
        return;
    if (self->kind->start == s_gzip_start)
        inflateEnd(&self->gzip);
    lzma_end(&self->xz);
    ZSTD_freeDStream(self->zstd);
    free(self->lz4);
    free(self->stored);
    free(self);
}

int
rmt_unpack_read(rmt_unpack_t *self, void *out, size_t size, size_t *size_out,
                rmt_error_t *error)
{
    size_t got = 0;
    while (got == 0 && !self->is_end) {
        if (self->kind->step(self, out, size, &got, error) == -1)
            return -1;
    }
    *size_out = got;
    return 0;
}
