// rmt_converge - an existing tree made into the tree of a manifest, with as little as is
// needed.
//
// What is the same stays, with its inode: names, types and attributes are compared, and
// the contents of every file are read and hashed against the manifest's chunk ids, so no
// size and no time passes for contents. A file that differs is written new under a name
// of its own (TEMPORARY) in the same folder, gets its attributes, and takes the old one's
// name in one step; where attributes alone differ, and the inode has no further name,
// they are set in place. Names that the manifest lacks are removed, sockets too. An inode
// whose names the manifest shares out otherwise is made anew. Folders get their
// attributes after what they hold. Contents come from old files that have the same
// chunks, as long as these stand, and else from the caller; each chunk from an old file
// is hashed again.
//
// Cut off at any point, the tree is neither the old nor the new one; to run again ends in
// the manifest's tree.
//
// Kept is what exists and a glob of `keeps` matches, with all below it: it is not looked
// at and not touched, and a folder that holds it stays. A kept name that does not exist
// is made as the manifest has it. Never is anything outside the tree touched: all goes by
// descriptors, no symlink is followed. A tree with something mounted in it is refused.
//
// Needs root, and that nothing else writes to the tree meanwhile. One thread. Nothing is
// synced. Memory: a byte for each entry, 60 bytes for each chunk to be written, the names
// of open folders, and the paths of files that go and of inodes with several names.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "store/rmt_manifest.h"

typedef struct {
    const rmt_id_t *root; // Of the manifest, which is read up to three times
    rmt_chunk_source_fn *source;
    void *source_context;
    int tree_fd;              // The root of the tree
    const char *const *keeps; // NULL-terminated globs (rmt_glob.h), or NULL
    // May be NULL; asked for each entry.
    bool (*cancelled_fn)(void *context);
    void *context;
} rmt_converge_options_t;

// Names are entries of the manifest, or what the tree has beside them.
typedef struct {
    uint64_t same;    // Left as they are
    uint64_t changed; // Attributes set in place
    uint64_t made;    // Written new, or linked anew
    uint64_t removed; // Names that the manifest lacks; kept ones are not counted
    uint64_t kept;    // Found and matched by a glob
    uint64_t size;    // Bytes of contents to be written
    uint64_t fetched; // Of these, what no old file has
} rmt_converge_report_t;

typedef struct rmt_converge rmt_converge_t;

// Read the tree and find what is to be done. Changes nothing. Borrows all options until
// destroyed. Blocks while all contents are read. Caller owns the result. NULL: what the
// source says; EXISTS for a mount; UNSUPPORTED for a hard link from a kept to another
// name, and for a folder whose case folding changes; CANCELLED, IO.
rmt_converge_t *rmt_converge_new(const rmt_converge_options_t *options,
                                 rmt_error_t *error);
void rmt_converge_destroy(rmt_converge_t **self_p);

// What is to be done. Valid while self lives.
const rmt_converge_report_t *rmt_converge_plan(const rmt_converge_t *self);
// How many names the glob with this number has kept.
size_t rmt_converge_kept(const rmt_converge_t *self, size_t glob);
// The chunks of `fetched`, each once, in the order in which they will be asked for;
// more come when old files have lost theirs by then. Caller frees.
rmt_id_t *rmt_converge_missing(const rmt_converge_t *self, size_t *count_out);

// Do it, once. contents gives the chunks that no old file has. 0, or -1: what contents
// and the source say; EXISTS where something kept is in the way of another kind;
// NO_SPACE, IO, CANCELLED. What was done stays. *report_out is what was done.
int rmt_converge_run(rmt_converge_t *self, rmt_chunk_source_fn *contents,
                     void *contents_context, rmt_converge_report_t *report_out,
                     rmt_error_t *error);
