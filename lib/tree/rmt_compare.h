// rmt_compare - the differences between two trees, a manifest and a tree, or two
// manifests, in everything that an image carries.
//
// Compared are names, types, modes, owners, mtimes in nanoseconds, contents, which names
// are one inode, extended attributes, holes, reserved space, targets, device numbers,
// inode flags and projects. Holes are held to be the same when they are within the blocks
// of the coarser file system. Not compared are access and change times, and sockets,
// which no image has. Contents of a manifest are compared by its chunk ids: no chunk of a
// file is asked for.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "store/rmt_manifest.h"

// A manifest when source is given, else a tree.
typedef struct {
    const rmt_id_t *root;
    rmt_chunk_source_fn *source;
    void *source_context;
    int tree_fd;
} rmt_compare_input_t;

typedef struct {
    const char *path; // Without a leading slash; "" is the root
    // missing extra type links mode owner mtime size content xattr sparse reserved target
    // device flags project unreadable
    const char *what;
    const char *text; // For a person, what was expected and what was found
    rmt_code_t why;   // OK, or why it could not be read: DISK where the disk fails
} rmt_compare_finding_t;

typedef struct {
    const char *const *ignores; // NULL-terminated globs (rmt_glob.h), or NULL
    unsigned threads;           // That read contents; 0: one for each processor
    // Called from the calling thread, in about the order of paths. Text is borrowed.
    void (*finding_fn)(void *context, const rmt_compare_finding_t *finding);
    // May be NULL; asked for every entry, and once a second while a large file is read.
    bool (*cancelled_fn)(void *context);
    void *context;
} rmt_compare_options_t;

typedef struct {
    uint64_t entries; // On the expected side
    uint64_t size;    // Bytes of contents compared
    uint64_t differences;
} rmt_compare_report_t;

// Compare; a tree as expected needs a tree as found. Blocks. Differences are no error.
// 0, or -1: CANCELLED, what the sources say, IO for a tree that cannot be walked.
int rmt_compare_run(const rmt_compare_input_t *expected, const rmt_compare_input_t *found,
                    const rmt_compare_options_t *options,
                    rmt_compare_report_t *report_out, rmt_error_t *error);
