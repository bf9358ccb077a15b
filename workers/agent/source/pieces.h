// pieces - bytes that an image's descriptor names as single chunks (its fields `facts`).
#pragma once

#include "base/rmt_error.h"
#include "store/rmt_chunk.h"
#include "store/rmt_chunker.h"

// Gives one chunk to the receiver. 0, or -1.
typedef int(rmt_pieces_put_fn)(void *context, const rmt_chunk_t *chunk,
                               rmt_error_t *error);

// Cut data into chunks and put them; cut NULL: each has 1 MiB, but the last. Their ids in
// order, with blanks between; "" for no data. Caller owns the result (free).
// NULL: what put says.
char *rmt_pieces_put(const void *data, size_t size, const rmt_cut_t *cut,
                     rmt_pieces_put_fn *put, void *context, rmt_error_t *error);
