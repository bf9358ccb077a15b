// head_parts - the parts of an archive's head: byte strings, each with its size before
// it, that carry an image's descriptor beside the files.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_bytes.h"
#include "base/rmt_error.h"

void head_parts_add(rmt_buffer_t *self, const void *data, size_t size);

// The piece at *at, which moves on; *at is 0 at first. 1, 0 at the end, -1: CORRUPT.
int head_parts_next(const void *data, size_t size, size_t *at, const void **part_out,
                    size_t *part_size_out, rmt_error_t *error);
