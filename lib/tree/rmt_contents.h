// rmt_contents - comparing the contents of one file: a chore of rmt_compare. For it and
// rmt_converge alone.
#pragma once

#include <stdbool.h>
#include "tree/rmt_extents.h"
#include "crypto/rmt_id.h"
#include "tree/rmt_queue.h"

// Blocks within which holes of different file systems are held to be the same.
#define RMT_CONTENTS_BLOCK ((uint64_t) 4096)

typedef struct {
    rmt_chore_t chore; // First, so that a chore is a comparison
    char *path;
    int expected_fd; // -1: chunks tell what is expected
    int found_fd;
    rmt_id_t *chunks;
    uint32_t *chunk_sizes;
    size_t chunk_count;
    rmt_extents_t expected, found; // Data runs
    bool is_different;
    char text[160]; // How
    rmt_code_t why; // OK: it was read; or why it could not be
    uint64_t size;  // Bytes compared
} rmt_contents_t;

rmt_contents_t *rmt_contents_new(const char *path);
// Closes and frees all that it holds.
void rmt_contents_destroy(rmt_contents_t **self_p);

// Read and compare. The buffers have RMT_CHUNK_PLAIN_MAX bytes each.
void rmt_contents_check(rmt_contents_t *self, void *buffer, void *other);

// True when both cover the same blocks of so many bytes, up to size.
bool rmt_contents_same_runs(const rmt_extents_t *a, const rmt_extents_t *b,
                            uint64_t block, uint64_t size);
