// rmt_store_inside - what the parts of rmt_store share. For lib/store alone.
#pragma once

#include "store/rmt_batch.h"
#include "store/rmt_idset.h"
#include "store/rmt_index.h"
#include "store/rmt_pool.h"
#include "store/rmt_store.h"

#define RMT_IMAGE_SIZE_MAX ((size_t) 16 * 1024 * 1024)

// An index file; index is NULL when it is damaged.
typedef struct {
    rmt_file_name_t name;
    rmt_index_t *index;
} rmt_table_t;

struct rmt_store {
    char *root, *packs; // Folders
    rmt_table_t *tables;
    size_t table_count, damaged_count;
    rmt_index_t *adopted; // Stands for damaged indexes: made from the packs' trailers
    rmt_batch_t *batch;   // Put and not committed; NULL when there is nothing
    rmt_pool_t *pool;
    uint8_t *room;  // Record of the last get
    uint8_t *plain; // To verify in
};

// ---- Copies of a chunk

typedef struct {
    rmt_slot_t slot;
    rmt_file_name_t pack;
    uint8_t *flags; // Of the pack; NULL: in the batch
} rmt_copy_t;

// All zero to begin with.
typedef struct {
    size_t stage;
    uint64_t next, left;
} rmt_copies_t;

// The next copy of id, in packs present or not. False: there is no more.
bool rmt_store_next_copy(rmt_store_t *self, const rmt_id_t *id, rmt_copies_t *copies,
                         rmt_copy_t *copy_out);
// True when a copy can be read, be its pack marked for removal or not.
bool rmt_store_can_read(rmt_store_t *self, const rmt_id_t *id);

// ---- Upkeep

// Tell a finding; text by format. finding->text is ignored.
void rmt_store_tell(const rmt_store_watch_t *watch, const rmt_store_finding_t *finding,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));
// 0, or -1: CANCELLED.
int rmt_store_alive(const rmt_store_watch_t *watch, uint64_t done, uint64_t total,
                    rmt_error_t *error);
// Read and re-hash a copy of id that is right. 0, or -1: NOT_FOUND, CORRUPT, IO.
int rmt_store_probe(rmt_store_t *self, const rmt_id_t *id, rmt_error_t *error);

// What of an image is to be looked at, and what was found so far.
typedef struct {
    rmt_store_t *store;
    const rmt_store_watch_t *watch;
    rmt_store_report_t *report;
    rmt_idset_t *sound, *bad; // Chunks that were looked at
    bool deep;                // Re-hash, where else it is enough that they are there
} rmt_verify_t;
// Visit an image and tell what is missing or damaged. 0, or -1: NOT_FOUND (the image),
// CANCELLED.
int rmt_verify_image(rmt_verify_t *self, const rmt_id_t *id, rmt_error_t *error);

// Add a chunk to the batch whether it is present already or not. 0, or -1 as put.
int rmt_store_put_again(rmt_store_t *self, const rmt_chunk_t *chunk, rmt_error_t *error);
// Leave DOOMED packs out of the indexes. RMT_LOCK_INDEX is held. 0, or -1 as merge.
int rmt_store_drop_doomed(rmt_store_t *self, rmt_error_t *error);
// Flag the pack in all indexes that list it. False: none does.
bool rmt_store_flag_pack(rmt_store_t *self, const rmt_file_name_t *name, uint8_t flag);

// ---- Folders and locks (rmt_store_files.c)

#define RMT_QUARANTINE "quarantine" // Folder of packs that scrub has put aside

// <root>/<folder>/<name> in fresh memory.
char *rmt_store_path(const rmt_store_t *self, const char *folder,
                     const rmt_file_name_t *name);
// Names of packs, indexes or markers in a folder, sorted; others are left out, and
// counted. Caller owns names_out->data. 0, or -1: IO.
int rmt_store_list(const rmt_store_t *self, const char *folder, rmt_buffer_t *names_out,
                   uint64_t *other_count_out, rmt_error_t *error);
bool rmt_names_have(const rmt_buffer_t *names, const rmt_file_name_t *name);
// Lock <root>/<file> with flock(2) operation. The lock ends with the descriptor.
// -1: IO; UNAVAILABLE when it is held and operation has LOCK_NB.
int rmt_store_lock(const rmt_store_t *self, const char *file, int operation,
                   rmt_error_t *error);
#define RMT_LOCK_IMAGES "lock.images" // Shared: publish an image. Exclusive: gc
#define RMT_LOCK_INDEX "lock.index"   // Exclusive: replace indexes
#define RMT_LOCK_SCRUB "lock.scrub"   // Exclusive: one scrub at a time

// ---- Indexes

// Slots of all packs that no sound index lists, as an index at path, or in memory when it
// is NULL. *pack_count_out packs are in it; at 0 nothing was written. Packs without
// a sound trailer are left out. 0, or -1: IO, NO_SPACE.
int rmt_store_adopt(rmt_store_t *self, const char *path, rmt_buffer_t *buffer_out,
                    uint32_t *pack_count_out, rmt_error_t *error);
// Replace some of the indexes by one without DOOMED packs. RMT_LOCK_INDEX is held.
// 0, or -1: IO, NO_SPACE, CORRUPT.
int rmt_store_merge(rmt_store_t *self, const size_t *chosen, size_t count,
                    rmt_error_t *error);
// Merge small indexes when there are many, unless another process is at it. 0, or -1 as
// merge.
int rmt_store_tidy(rmt_store_t *self, rmt_error_t *error);

// ---- What images need

// Called for each id; path is of the entry that needs it, or NULL. 0, or -1 to stop.
typedef int(rmt_visit_fn)(void *context, const rmt_id_t *id, const char *path,
                          rmt_error_t *error);
// Visit all that one record of a descriptor needs. 0, or -1: what visit or reading says.
int rmt_image_visit(rmt_store_t *self, const rmt_record_t *record, rmt_visit_fn *visit,
                    void *context, rmt_error_t *error);
// The records of an image. Caller owns. NULL: NOT_FOUND, CORRUPT, IO.
rmt_records_t *rmt_image_load(rmt_store_t *self, const rmt_id_t *id, rmt_error_t *error);
