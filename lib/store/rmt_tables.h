// rmt_tables - the index files of a store, as one instance of it knows them, and the
// copies of chunks that they list. For lib/store alone.
//
// A table that is damaged stays in the list without an index; the trailers of the packs
// that no sound index lists stand in for it.
#pragma once

#include "store/rmt_file_name.h"
#include "store/rmt_index.h"

typedef struct rmt_tables rmt_tables_t;

typedef struct {
    rmt_file_name_t name;
    rmt_index_t *index; // NULL: damaged
} rmt_table_t;

// Empty until the first refresh. Caller owns the result.
rmt_tables_t *rmt_tables_new(const char *root);
void rmt_tables_destroy(rmt_tables_t **self_p);

// See what was added, removed and marked since. 0, or -1: IO, CORRUPT, UNSUPPORTED.
int rmt_tables_refresh(rmt_tables_t *self, rmt_error_t *error);

size_t rmt_tables_count(const rmt_tables_t *self);
// Valid until the next call that is not const.
const rmt_table_t *rmt_tables_at(const rmt_tables_t *self, size_t number);

// ---- Copies of a chunk

typedef struct {
    rmt_slot_t slot;
    rmt_file_name_t pack;
    uint8_t *flags; // Of the pack
} rmt_copy_t;

// All zero to begin with.
typedef struct {
    size_t stage;
    uint64_t next, left;
} rmt_copies_t;

// The next copy of id, in packs present or not, newest tables first. False: there is
// none.
bool rmt_tables_next_copy(rmt_tables_t *self, const rmt_id_t *id, rmt_copies_t *copies,
                          rmt_copy_t *copy_out);

// ---- Change. RMT_LOCK_INDEX is held exclusively

// Flag the pack in all indexes that list it. False: none does.
bool rmt_tables_flag_pack(rmt_tables_t *self, const rmt_file_name_t *name, uint8_t flag);
// Leave DOOMED packs out of the indexes. 0, or -1: IO, NO_SPACE, CORRUPT.
int rmt_tables_drop_doomed(rmt_tables_t *self, rmt_error_t *error);
// Give the packs that no index lists one, and remove damaged indexes. 0, or -1: IO,
// NO_SPACE.
int rmt_tables_repair(rmt_tables_t *self, rmt_error_t *error);

// ---- Change, with the lock taken here

// Merge small indexes when there are many, unless another process is at it. 0, or -1: IO,
// NO_SPACE, CORRUPT.
int rmt_tables_tidy(rmt_tables_t *self, rmt_error_t *error);
