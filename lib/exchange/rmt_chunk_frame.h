// rmt_chunk_frame - several chunks in the one frame of bytes of a message CHUNKS: each a
// head and its stored bytes, one behind the other. A message for each small chunk would
// cost both sides as much as the chunk itself. Format: docs/spec/1-wire.md.
#pragma once

#include <stdbool.h>
#include "store/rmt_chunk.h"

#define RMT_CHUNK_FRAME_HEAD_SIZE 42
// What a source puts in one frame, if it is not a single chunk: fits a processor's cache.
#define RMT_CHUNK_FRAME_SIZE ((size_t) 256 * 1024)

void rmt_chunk_frame_put_head(uint8_t out[RMT_CHUNK_FRAME_HEAD_SIZE],
                              const rmt_chunk_t *chunk);

// How many chunks foreign bytes hold. 0, or -1: PROTOCOL (none, cut short, sizes over the
// limits).
int rmt_chunk_frame_check(const void *data, size_t size, size_t *count_out,
                          rmt_error_t *error);

// The next chunk of checked bytes; its data points into them. False at the end.
bool rmt_chunk_frame_next(const uint8_t **at_p, const uint8_t *end,
                          rmt_chunk_t *chunk_out);
