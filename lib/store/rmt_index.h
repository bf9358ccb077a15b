// rmt_index - a sorted table of chunks in some packs: one immutable, mapped file, or the
// same bytes in memory. Private to lib/store.
#pragma once

#include "store/rmt_file_name.h"
#include "store/rmt_slot.h"

#define RMT_PACK_ENTRY_SIZE 24 // In an index: name, size

// What a store knows about a pack of an index; not on disk.
enum {
    RMT_PACK_PRESENT = 1, // There, with the size that the index says
    RMT_PACK_TRASHED = 2, // Marked for removal: read, but do not build on it
    RMT_PACK_LIVE = 4,    // Used by an image (during gc)
    RMT_PACK_DOOMED = 8,  // To be left out of the next index (during gc)
};

typedef struct rmt_index rmt_index_t;

// Map a file and check it whole. Caller owns the result.
// NULL: NOT_FOUND, CORRUPT, UNSUPPORTED, IO.
rmt_index_t *rmt_index_open(const char *path, rmt_error_t *error);
// The same for bytes in memory: takes buffer's bytes and empties it, also on failure.
rmt_index_t *rmt_index_from(rmt_buffer_t *buffer, rmt_error_t *error);
void rmt_index_destroy(rmt_index_t **self_p);

uint64_t rmt_index_count(const rmt_index_t *self);
// Count of slots with this id; they begin at *first_out.
uint64_t rmt_index_find(const rmt_index_t *self, const rmt_id_t *id, uint64_t *first_out);
// False when the slot names no pack of the table.
bool rmt_index_slot(const rmt_index_t *self, uint64_t number, rmt_slot_t *slot_out);
const uint8_t *rmt_index_bytes(const rmt_index_t *self, uint64_t number);

uint32_t rmt_index_pack_count(const rmt_index_t *self);
rmt_file_name_t rmt_index_pack_name(const rmt_index_t *self, uint32_t pack);
uint64_t rmt_index_pack_size(const rmt_index_t *self, uint32_t pack);
// Flags of each pack, 0 at first; the caller's to change.
uint8_t *rmt_index_flags(rmt_index_t *self);

// ---- Writing

typedef struct rmt_index_writer rmt_index_writer_t;

// Write to a new file, or with NULL to memory. NULL: IO, NO_SPACE.
rmt_index_writer_t *rmt_index_writer_new(const char *path, rmt_error_t *error);
void rmt_index_writer_destroy(rmt_index_writer_t **self_p);
// Slots come in the order of their ids. 0, or -1: IO, NO_SPACE.
int rmt_index_writer_add(rmt_index_writer_t *self, const uint8_t slot[RMT_SLOT_SIZE],
                         rmt_error_t *error);
// Add the table of packs, end, and wait for the disk. 0, or -1: IO, NO_SPACE.
int rmt_index_writer_finish(rmt_index_writer_t *self, const uint8_t *packs,
                            uint32_t pack_count, rmt_error_t *error);

// Write slots (sorted here) of packs (entries as in the file) to path, or to memory
// when it is NULL: then *buffer_out is set. 0, or -1: IO, NO_SPACE.
int rmt_index_save(const char *path, rmt_slot_t *slots, size_t count,
                   const uint8_t *packs, uint32_t pack_count, rmt_buffer_t *buffer_out,
                   rmt_error_t *error);
// One index of several, without packs that are DOOMED. *pack_count_out packs are in it;
// at 0 nothing was written. 0, or -1: CORRUPT, IO, NO_SPACE.
int rmt_index_merge(rmt_index_t *const *indexes, size_t count, const char *path,
                    uint32_t *pack_count_out, rmt_error_t *error);
