// rmt_store - content-addressed chunks and images of one place, in a local folder.
//
// Chunks lie in packs (at most 64 MiB, in arrival order, with a trailer index), found
// through sorted, mapped index files; images are descriptors that name everything an
// image needs. Nothing is ever changed in place. Durable before visible: packs, then
// index, then image, each by temporary name, fsync, rename, fsync of the folder; a
// failed fsync is final for its writer. Several instances, threads and processes share
// one folder; an instance belongs to one thread. Format: docs/spec/2-store.md.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "store/rmt_chunk.h"
#include "store/rmt_file_name.h"
#include "store/rmt_slot.h"
#include "store/rmt_watch.h"
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "base/rmt_record.h"

typedef struct rmt_store rmt_store_t;

// Open the store in folder root; with create, make it when it is missing.
// Caller owns the result. NULL: NOT_FOUND, IO, UNSUPPORTED (format).
rmt_store_t *rmt_store_new(const char *root, bool create, rmt_error_t *error);
void rmt_store_destroy(rmt_store_t **self_p);

// See packs and images that others committed since. 0 or -1: IO, CORRUPT.
int rmt_store_refresh(rmt_store_t *self, rmt_error_t *error);

bool rmt_store_has(rmt_store_t *self, const rmt_id_t *id);
// The stored form; chunk_out->data is valid until the next get of this instance. Bytes
// are checked against the id when verify, so what is delivered is right (P14).
// 0, or -1: NOT_FOUND, CORRUPT (names pack and offset), IO.
int rmt_store_get(rmt_store_t *self, const rmt_id_t *id, bool verify,
                  rmt_chunk_t *chunk_out, rmt_error_t *error);
// The checked plain bytes; a rmt_chunk_source_fn with a store as its context.
int rmt_store_read(void *store, const rmt_id_t *id, void *plain_out, size_t *size_out,
                   rmt_error_t *error);

// Add a chunk to the open pack of this instance; present ones are a success and write
// nothing. The caller has checked the chunk. Visible to this instance at once, to
// others after rmt_store_commit. 0, or -1: IO, NO_SPACE.
int rmt_store_put(rmt_store_t *self, const rmt_chunk_t *chunk, rmt_error_t *error);
// As rmt_store_put, also of what is there already outside of the open batch.
int rmt_store_put_again(rmt_store_t *self, const rmt_chunk_t *chunk, rmt_error_t *error);
// Make all that was put durable and visible. 0, or -1: IO, NO_SPACE (final).
int rmt_store_commit(rmt_store_t *self, rmt_error_t *error);
// Forget what was put since the last commit and remove its files.
void rmt_store_rollback(rmt_store_t *self);

// ---- Images. A descriptor is a list of records in stored form (rmt_codec_pack_records);
// its id is its digest. Records by field "class": image (one; format, features, firmware,
// os facts, completeness), hardware, disk, partition, volume {..., root: 66 hex digits},
// fuzzy, unreadable, dropped.

// Save a descriptor; commits first. 0, or -1: CORRUPT (a referenced root is not in the
// store), IO.
int rmt_store_image_put(rmt_store_t *self, const void *data, size_t size,
                        rmt_id_t *id_out, rmt_error_t *error);
// Caller owns *data_out (free). 0, or -1: NOT_FOUND, CORRUPT, IO.
int rmt_store_image_get(rmt_store_t *self, const rmt_id_t *id, void **data_out,
                        size_t *size_out, rmt_error_t *error);
// Ids of all images as records {id, size}. Caller owns. NULL: IO.
rmt_records_t *rmt_store_image_list(rmt_store_t *self, rmt_error_t *error);
// Remove an image at once, but no signatures of it; for tests. 0, or -1: NOT_FOUND, IO.
int rmt_store_image_remove(rmt_store_t *self, const rmt_id_t *id, rmt_error_t *error);

// Remove the image of an id that was taken out of the catalogue, with its signatures,
// unless it was saved again at or after before_s (wall time). Waits for those who publish
// images. 1 removed, 0 kept or not there, -1: IO.
int rmt_store_image_retire(rmt_store_t *self, const rmt_id_t *id, int64_t before_s,
                           rmt_error_t *error);

// ---- Upkeep

typedef struct {
    uint64_t images, packs, chunks, bytes_stored, bytes_plain, missing, damaged,
        unread,                    // That the disk has refused to read
        orphan_files, quarantined; // Packs that scrub has put aside
} rmt_store_report_t;

// Every image's manifests readable and every chunk present; with deep every chunk is
// re-hashed, and images and files that need a damaged one are named. 0 even when things
// are wrong (see the report), -1: IO, CANCELLED.
int rmt_store_check(rmt_store_t *self, bool deep, const rmt_store_watch_t *watch,
                    rmt_store_report_t *report_out, rmt_error_t *error);

// Re-hash all that one image needs; each file that needs a chunk which is damaged or
// missing is a finding. In the report: chunks, bytes_plain, missing, damaged.
// 0 even then, -1: NOT_FOUND (no such image here), IO, CANCELLED.
int rmt_store_verify(rmt_store_t *self, const rmt_id_t *image,
                     const rmt_store_watch_t *watch, rmt_store_report_t *report_out,
                     rmt_error_t *error);

// ---- For lib/store alone: what gc, scrub and check are made of

struct rmt_tables;

const char *rmt_store_root(const rmt_store_t *self);
// Its indexes; the store's.
struct rmt_tables *rmt_store_tables(const rmt_store_t *self);
// Whether something was put that is neither committed nor rolled back.
bool rmt_store_is_open(const rmt_store_t *self);
// Whether a copy can be read, be its pack marked for removal or not.
bool rmt_store_can_read(rmt_store_t *self, const rmt_id_t *id);
// As rmt_store_has, of copies in other packs than this one.
bool rmt_store_has_beside(rmt_store_t *self, const rmt_id_t *id,
                          const rmt_file_name_t *pack);
// As rmt_store_get, of a slot in a pack that the caller has opened. 0, or -1: CORRUPT,
// UNSUPPORTED, IO.
int rmt_store_get_slot(rmt_store_t *self, int fd, const rmt_slot_t *slot, bool verify,
                       rmt_chunk_t *chunk_out, rmt_error_t *error);
