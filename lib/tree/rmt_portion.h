// rmt_portion - one chore of a capture: many small names, or a piece of one large file,
// with the chunks that come of it. For rmt_capture alone.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "tree/rmt_capture_item.h"
#include "tree/rmt_queue.h"

#define RMT_PORTION_ITEMS_MAX 64
// Open folders that a portion holds on to, as descriptors are few.
#define RMT_PORTION_DIRS_MAX 8
// Contents of a portion of small files, and so the largest small file.
#define RMT_PORTION_SIZE_MAX ((size_t) 512 * 1024)
// What is read of a large file at once; more than the largest chunk.
#define RMT_PORTION_PIECE_SIZE ((size_t) 2 * 1024 * 1024)

typedef struct {
    rmt_chore_t chore; // First, so that a chore is a portion
    rmt_capture_item_t *items[RMT_PORTION_ITEMS_MAX];
    size_t chunk_counts[RMT_PORTION_ITEMS_MAX]; // Of each item, in this portion
    size_t item_count, dir_count;
    size_t room;      // Bytes that the contents were when they were met
    size_t path_size; // Of all items
    // A piece of a large file; then items[0] is shared by its pieces, one after the
    // other.
    bool is_piece;
    bool is_restart; // Chunks of earlier pieces are void
    bool is_last;    // The items are complete with this portion
    uint64_t position;
    uint8_t *stored; // Of all chunks, one behind the other
    rmt_chunk_t *chunks;
    size_t chunk_count, chunk_room;
} rmt_portion_t;

rmt_portion_t *rmt_portion_new(void);
// Frees the items only if this is their last portion, or when it was never prepared.
void rmt_portion_destroy(rmt_portion_t **self_p);

// False when the portion is full for this item, which then is not taken. Takes *item_p.
bool rmt_portion_add(rmt_portion_t *self, rmt_capture_item_t **item_p);

// Read the contents into plain, RMT_PORTION_PIECE_SIZE bytes, and decide the cuts.
// Returns the portion that goes on with the same file, to be worked on after this call,
// or NULL.
rmt_portion_t *rmt_portion_prepare(rmt_portion_t *self, uint8_t *plain);
// Name and pack the chunks, which are still where prepare has put them; from then on they
// are the portion's own.
void rmt_portion_pack(rmt_portion_t *self);
