// rmt_writer - entries and their contents to a folder tree.
//
// Entries come in manifest order, the root ("") first. The root folder exists, and is
// empty except for lost+found. Everything else is made new: nothing that exists is
// written to, and no name, symlink or hard link of an entry can reach outside the root,
// as each is made as one component in a folder that this writer made and holds open.
// Parents must have been given as folders.
//
// Of each inode: create, contents, owner, mode, attributes (security.* last), mtime,
// inode flags; folders after what they hold. Holes stay holes. Hard links are made
// to inodes of this run only. An attribute that is refused is an error with the path.
// Small files are made by several threads; memory is bounded by a window of 32 MiB and by
// what open folders and link groups need (RMT_E_TOO_BIG over 256 MiB of first names).
//
// Needs root. Sets the umask of the process to 0 until it is destroyed. Contents are
// borrowed for the call. Nothing is synced: that is up to the caller. The first error is
// final, and what was written stays.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

typedef struct {
    uint64_t files, folders, symlinks, others; // Inodes by kind
    uint64_t hard_links;                       // Further names
    uint64_t size;                             // Bytes of contents written
    uint64_t unreadable; // Files made empty, as the image has no contents for them
} rmt_writer_report_t;

typedef struct rmt_writer rmt_writer_t;

// Write below root_fd, which is borrowed until destroy; with so many threads beside the
// calling one, 0: one for each processor. Caller owns the result. NULL: IO.
rmt_writer_t *rmt_writer_new(int root_fd, unsigned threads, rmt_error_t *error);
// Also ends an unfinished tree; its open folders do not get their attributes.
void rmt_writer_destroy(rmt_writer_t **self_p);

// Make the next entry. A regular file with contents waits for its data. Blocks while the
// window is full. 0, or -1: CORRUPT (malformed, out of order, the data before is not
// complete), EXISTS, UNSUPPORTED (sockets), NO_SPACE, IO.
int rmt_writer_entry(rmt_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error);
// The next plain bytes of the last entry's runs, one after the other.
// 0, or -1: CORRUPT when they are too many; NO_SPACE, IO.
int rmt_writer_data(rmt_writer_t *self, const void *plain, size_t size,
                    rmt_error_t *error);
// Complete the tree: waits for all threads. 0, or -1 as above.
int rmt_writer_finish(rmt_writer_t *self, rmt_writer_report_t *report_out,
                      rmt_error_t *error);
