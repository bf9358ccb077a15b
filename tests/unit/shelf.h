// shelf - chunks in memory, and entries of manifests, for the tests of both.
#pragma once

#include "store/rmt_chunk.h"
#include "store/rmt_manifest.h"
#include "tools/rmt_test.h"

typedef struct {
    rmt_id_t id;
    size_t size;
    uint8_t *plain;
} shelf_kept_t;

typedef struct {
    shelf_kept_t *kept;
    size_t count;
    size_t last; // Found last; the next one is often behind it
} shelf_t;

// A sink and a source of chunks; context is a shelf_t.
int shelf_keep(void *context, const rmt_chunk_t *chunk, rmt_error_t *error);
// NULL when it is not there.
shelf_kept_t *shelf_find(shelf_t *shelf, const rmt_id_t *id);
int shelf_give(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
               rmt_error_t *error);
// Free what is kept.
void shelf_clear(shelf_t *shelf);

// A file or folder without contents, with fixed owner and time.
rmt_entry_t entry_of(const char *path, uint32_t mode);
// An id whose bytes are fill.
rmt_id_t id_of(uint8_t fill);
// All fields are the same.
void entry_assert_same(const rmt_entry_t *a, const rmt_entry_t *b);

// One entry of every kind, with every field in use somewhere, in manifest order.
size_t entries_of_all_kinds(rmt_entry_t entries[16]);
