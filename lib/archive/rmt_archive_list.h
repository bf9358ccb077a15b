// rmt_archive_list - entries in any order, as archives have them, to a manifest.
//
// Of entries with the same path the last one counts; folders that are missing are made
// up; hard links become groups whose first name in manifest order carries the inode.
// Memory is some 300 bytes for an entry, and its chunk ids.
#pragma once

#include "store/rmt_manifest.h"

typedef struct rmt_archive_list rmt_archive_list_t;

typedef struct {
    uint64_t entries, size; // Of the manifest; size: of contents
} rmt_archive_totals_t;

rmt_archive_list_t *rmt_archive_list_new(void);
void rmt_archive_list_destroy(rmt_archive_list_t **self_p);

// Copy an entry with its chunks; link is NULL, or the path of which it is a further name.
// 0, or -1: CORRUPT, TOO_BIG.
int rmt_archive_list_add(rmt_archive_list_t *self, const rmt_entry_t *entry,
                         const char *link, rmt_error_t *error);
// Write all to sink. 0, or -1: CORRUPT (a link to nothing or to a folder, something that
// lies below what is no folder), the sink's.
int rmt_archive_list_write(rmt_archive_list_t *self, rmt_chunk_sink_fn *sink,
                           void *context, rmt_id_t *root_out,
                           rmt_archive_totals_t *totals_out, rmt_error_t *error);
