// rmt_archive_head - the bytes at the head of an archive that describe its image: pax
// global headers carry them in comments. Other programs skip comments. Private to
// lib/archive.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_ARCHIVE_BLOCK 512

// Write the bytes. 0, or -1: IO, NO_SPACE.
int rmt_archive_head_write(int fd, const void *data, size_t size, rmt_error_t *error);

// Read what is at the beginning of fd: such bytes, or nothing. Caller owns *data_out
// (free; NULL when there is none) and gets the first block behind it in first_out, of
// which *first_size_out bytes are there. 0, or -1: IO, CORRUPT, TOO_BIG.
int rmt_archive_head_read(int fd, void **data_out, size_t *size_out,
                          uint8_t first_out[RMT_ARCHIVE_BLOCK], size_t *first_size_out,
                          rmt_error_t *error);
