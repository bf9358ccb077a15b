// rmt_capture - a folder tree to chunks and a manifest.
//
// One thread walks, several read, cut, name and pack, and the calling thread hands the
// results out in manifest order. Memory is bounded: the window of contents in flight,
// the names of the open folders, the inodes with several names, and the chunk ids of
// the files in flight. The same tree gives the same manifest, whatever the threads do.
//
// Holes stay holes. Hard links are groups whose first member in path order carries the
// contents. A file that changes while it is read is read again, then taken as fuzzy. A
// file that cannot be read is an entry without contents, and makes the image INCOMPLETE.
// Sockets are counted and left out. What is mounted on a folder or file is not
// entered: the folder or file stays, empty.
//
// With a stat cache, a file with unchanged status is not opened: its entry comes from the
// cache, and only the ids of its chunks are handed out.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tree/rmt_cache.h"
#include "store/rmt_chunk.h"
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "store/rmt_manifest.h"
#include "base/rmt_record.h"

// Files that a report lists by name; the totals count on.
#define RMT_CAPTURE_LIST_MAX 1000

typedef struct {
    int root_fd;                 // The tree; borrowed
    const char *const *excludes; // NULL-terminated globs (rmt_glob.h), or NULL
    unsigned threads;            // Workers; 0: one for each processor
    size_t window_size;          // Bytes of contents in flight; 0: 32 MiB
    bool is_still;               // A snapshot: nothing changes, however young it is
    // What the last capture found and what this one finds; borrowed, each may be NULL.
    // With a cache the sink has an id_fn.
    rmt_cache_reader_t *cache;
    rmt_cache_writer_t *cache_out;
    // May be NULL; asked some times a second, from the calling thread.
    bool (*cancelled_fn)(void *context);
    void *cancelled_context;
} rmt_capture_options_t;

typedef struct {
    uint64_t done_size;  // Bytes of contents so far
    uint64_t total_size; // An estimate: what the file system has in use
    uint64_t file_count; // Entries so far
} rmt_capture_progress_t;

// Called from the thread of rmt_capture_run only. A chunk may come more than once, and
// its data is valid during the call.
typedef struct {
    void *context;
    rmt_chunk_sink_fn *chunk_fn;
    // A chunk of a file that was not read, as the cache knows it. 0, or -1 with error.
    int (*id_fn)(void *context, const rmt_id_t *id, rmt_error_t *error);
    // May be NULL; at most five times a second, and at the end.
    void (*progress_fn)(void *context, const rmt_capture_progress_t *progress);
} rmt_capture_sink_t;

typedef struct {
    uint64_t files, folders, symlinks, others; // Inodes by kind
    uint64_t hard_links; // Further names of inodes that are counted above
    uint64_t size;       // Sum of the contents
    uint64_t reserved;   // Space that files have beside them, which a copy needs as well
    uint64_t sockets, vanished, mounts, excluded;
    uint64_t setuid, setgid, capabilities, acls, labels; // labels: other security.*
    uint64_t cached; // Inodes of which nothing was read
    uint64_t fuzzy_count, unreadable_count;
    rmt_records_t *fuzzy;      // {path}, at most RMT_CAPTURE_LIST_MAX
    rmt_records_t *unreadable; // {path, reason}, likewise
} rmt_capture_report_t;

// Free what the report owns. Accepts an empty report.
void rmt_capture_report_clear(rmt_capture_report_t *report);

// Capture a tree. *root_out names the manifest. *report_out is the caller's to clear.
// Blocks until all is handed out. 0, or -1: what the sink says; CANCELLED; IO for the
// root itself. Single files and folders never fail it.
int rmt_capture_run(const rmt_capture_options_t *options, const rmt_capture_sink_t *sink,
                    rmt_id_t *root_out, rmt_capture_report_t *report_out,
                    rmt_error_t *error);
