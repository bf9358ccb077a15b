// rmt_chunker - where contents are cut: Gear hash with normalised masks (FastCDC).
// Table and masks are part of the format, with test vectors: docs/spec/2-store.md.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t min, average, max; // Bytes; average is a power of two
} rmt_cut_t;

extern const rmt_cut_t RMT_CUT_FILE;     // 64 KiB, 128 KiB, 1024 KiB
extern const rmt_cut_t RMT_CUT_MANIFEST; // 2 KiB, 8 KiB, 64 KiB

// Files up to this size are one chunk.
#define RMT_WHOLE_FILE_MAX ((size_t) 64 * 1024)

// Length of the first chunk of data: at most cut->max. With less than cut->max bytes
// the caller must hold the end of the contents.
size_t rmt_chunker_cut(const rmt_cut_t *cut, const void *data, size_t size);
