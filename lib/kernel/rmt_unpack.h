// rmt_unpack - a compressed file as a stream of plain bytes: gzip, xz, lzma, zstd and the
// old LZ4 form of kernels. The door to zlib, liblzma and libzstd.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

// A file that is read forward, with a view on what comes next: from where the descriptor
// stands, at most `size` bytes. Borrows the descriptor.
typedef struct rmt_input rmt_input_t;
rmt_input_t *rmt_input_new(int fd, uint64_t size);
void rmt_input_destroy(rmt_input_t **self_p);
// The next bytes, at least `wanted` of them (at most 64) unless the file ends before; the
// number of those there are. 0, or -1: IO.
int rmt_input_peek(rmt_input_t *self, size_t wanted, const unsigned char **data_out,
                   size_t *size_out, rmt_error_t *error);
// Go on behind that many bytes of those that were seen.
void rmt_input_skip(rmt_input_t *self, size_t size);

typedef struct rmt_unpack rmt_unpack_t;

// Undo the compression that begins here. Borrows input. Caller owns the result.
// NULL: UNSUPPORTED (no kind that is known, or one without a library: by name), IO.
rmt_unpack_t *rmt_unpack_new(rmt_input_t *input, rmt_error_t *error);
void rmt_unpack_destroy(rmt_unpack_t **self_p);

// Up to `size` plain bytes; *size_out 0 is the end, and input stands behind it.
// 0, or -1: CORRUPT, TOO_BIG (a window over 128 MiB), IO.
int rmt_unpack_read(rmt_unpack_t *self, void *out, size_t size, size_t *size_out,
                    rmt_error_t *error);
