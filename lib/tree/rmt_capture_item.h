// rmt_capture_item - one name of a tree that is captured: what the walk saw, and its
// contents while they are read. For rmt_capture,
// rmt_compare_side and rmt_old_tree alone.
//
// An item belongs to one thread at a time. Contents that change while they are read are
// read again after a pause, RMT_CAPTURE_ITEM_ATTEMPTS times in all; then the item is
// fuzzy. The pauses of all items together have a limit, so that many hot files hold
// nothing up.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "tree/rmt_extents.h"
#include "tree/rmt_links.h"
#include "store/rmt_manifest.h"
#include "tree/rmt_meta.h"
#include "tree/rmt_stable_read.h"
#include "tree/rmt_walk.h"

#define RMT_CAPTURE_ITEM_ATTEMPTS 4 // The first time, and three more
#define RMT_CAPTURE_ITEM_PAUSE_MS 350

typedef struct {
    rmt_dir_t *parent, *dir;
    struct stat status; // What the contents are held against
    bool is_mount;
    bool is_vanished; // The file is gone: no entry
    bool is_unreadable;
    bool is_fuzzy;
    char reason[160];      // Why it is unreadable
    rmt_code_t why;        // The same: DISK where the disk fails
    rmt_hard_link_t *link; // Its hard-link group, or NULL
    bool is_first;         // The member that carries the contents
    int fd;                // While contents are read; else -1
    int attempts;
    rmt_stable_read_t steady;
    atomic_int
        *patience_ms; // What is left for pauses of all items; borrowed, may be NULL
    rmt_meta_t *meta;
    rmt_entry_t entry; // Path and attributes; the rest is filled in by rmt_capture
    rmt_extents_t runs, reserved;
    rmt_runs_t reader;
    uint64_t data_size; // Of all runs
    // Its encoded entry as the stat cache tells it, or NULL: then nothing is opened.
    void *cached;
    size_t cached_size;
    rmt_id_t *chunks;
    uint32_t *chunk_sizes;
    size_t chunk_count, chunk_room;
    size_t name_at;
    char path[];
} rmt_capture_item_t;

// Copies what the walk found. Caller owns the result.
rmt_capture_item_t *rmt_capture_item_new(const rmt_walk_item_t *found);
void rmt_capture_item_destroy(rmt_capture_item_t **self_p);
// Copies an encoded entry; NULL forgets it again.
void rmt_capture_item_set_cached(rmt_capture_item_t *self, const void *entry,
                                 size_t size);

// A regular file whose contents this item must read.
bool rmt_capture_item_has_contents(const rmt_capture_item_t *self);

// Read the attributes; for files with contents, open them and read the runs. Failure is
// kept in the item.
void rmt_capture_item_open(rmt_capture_item_t *self);
// Read a piece of the concatenated runs. Less comes only at an early end, and nothing
// when it failed, which is kept in the item.
size_t rmt_capture_item_read(rmt_capture_item_t *self, uint64_t position, void *data,
                             size_t size);
// All contents were read, up to position. True when they changed meanwhile and must be
// read again from the start; else the item is closed, and fuzzy if it changed anyway.
bool rmt_capture_item_again(rmt_capture_item_t *self, uint64_t position);

// Note the next chunk of the contents; forget all of them.
void rmt_capture_item_add_chunk(rmt_capture_item_t *self, const rmt_chunk_t *chunk);
void rmt_capture_item_clear_chunks(rmt_capture_item_t *self);
