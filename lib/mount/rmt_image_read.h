// rmt_image_read - reads of a mounted image, and the chunks that they wait for. Private
// to lib/mount.
#pragma once

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include "mount/rmt_image_mount.h"

// What those share who have a file open, however often: others than the owner of the
// mount may open it.
typedef struct rmt_image_contents rmt_image_contents_t;
// An open file.
typedef struct rmt_image_file rmt_image_file_t;
// *contents_p is NULL unless it is open already, and again after the last one is
// destroyed; it must stay where it is. Borrows entry for the call. Caller owns the
// result.
rmt_image_file_t *rmt_image_file_new(rmt_image_contents_t **contents_p,
                                     const rmt_entry_t *entry);
void rmt_image_file_destroy(rmt_image_file_t **self_p);
// Where data (or a hole) begins at or behind a place; the end of the file is a hole. -1
// when there is none.
off_t rmt_image_file_seek(const rmt_image_file_t *self, off_t from, bool for_data);

typedef struct rmt_image_reads rmt_image_reads_t;
rmt_image_reads_t *rmt_image_reads_new(const rmt_image_mount_setup_t *setup);
// Reads that wait end with EIO.
void rmt_image_reads_destroy(rmt_image_reads_t **self_p);

// Answer the request now, or when its chunks have come.
void rmt_image_reads_start(rmt_image_reads_t *self, fuse_req_t request,
                           rmt_image_file_t *file, size_t size, off_t at);
// End the reads whose callers were interrupted.
void rmt_image_reads_sweep(rmt_image_reads_t *self);

// As in rmt_image_mount.h.
void rmt_image_reads_give(rmt_image_reads_t *self, const rmt_id_t *id, const void *plain,
                          size_t size);
void rmt_image_reads_fail(rmt_image_reads_t *self, const rmt_id_t *ids, size_t count,
                          bool is_final);
size_t rmt_image_reads_expire(rmt_image_reads_t *self);
