// rmt_list - the chunks that name a manifest's chunks: its root, and below it, when
// there are too many ids for one chunk, lists. Private to lib/store.
#pragma once

#include "base/rmt_bytes.h"
#include "store/rmt_manifest.h"

// Ids in one root or list chunk, and in one manifest (8 GiB of entries, 33 MB of ids).
#define RMT_LIST_IDS_MAX 30000
#define RMT_MANIFEST_IDS_MAX 1000000

typedef struct {
    uint64_t entries;  // Count of entries
    uint64_t size;     // Their bytes
    rmt_buffer_t ids;  // Lists first, then the chunks of entries, 33 bytes each
    size_t list_count; // How many of ids are lists
} rmt_list_t;

// Give the sink the lists, if any, and the root of self (list_count 0); room is
// RMT_CHUNK_STORED_MAX bytes. 0, or -1: TOO_BIG, the sink's.
int rmt_list_write(const rmt_list_t *self, void *room, rmt_chunk_sink_fn *sink,
                   void *context, rmt_id_t *root_out, rmt_error_t *error);

// Fill self_out, which is empty. plain: RMT_CHUNK_PLAIN_MAX bytes to work in.
// 0, or -1: CORRUPT, UNSUPPORTED, the source's.
int rmt_list_read(rmt_list_t *self_out, const rmt_id_t *root, void *plain,
                  rmt_chunk_source_fn *source, void *context, rmt_error_t *error);
