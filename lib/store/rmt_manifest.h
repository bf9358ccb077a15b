// rmt_manifest - a volume's file list, in path order, written and read as a stream.
//
// Entries come in the order of their paths' components compared as bytes, so a
// folder stands before what it holds. The root folder is the entry with path
// "". The bytes are cut into chunks (average 8 KiB) and the list of their ids is
// the root chunk; the id of that names the manifest. Memory is O(one entry) for
// both sides. Format to the byte: docs/spec/2-store.md.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "store/rmt_chunk.h"

#define RMT_PATH_SIZE_MAX ((size_t) 1024 * 1024)
// Components of a path: the levels of a tree.
#define RMT_PATH_DEPTH_MAX 32768
#define RMT_XATTR_COUNT_MAX 4096
// Names and values of all extended attributes of an entry.
#define RMT_XATTR_TOTAL_MAX ((size_t) 4 * 1024 * 1024)

typedef struct {
    const char *name; // Text with its namespace, "user.x"
    const void *value;
    uint32_t value_size;
} rmt_xattr_t;

// A run of data in a sparse file, or of space that is reserved without data (fallocate);
// what no run covers is a hole.
typedef struct {
    uint64_t offset, size;
} rmt_extent_t;

typedef struct {
    const char *path; // Bytes without a leading slash, NUL-terminated; "" = root
    size_t path_size;
    uint32_t mode; // st_mode: type and permission bits
    uint32_t uid, gid;
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint64_t size;                   // Regular files: st_size
    uint32_t rdev_major, rdev_minor; // Device nodes
    const char *target;              // Symlinks: bytes, NUL-terminated
    uint64_t link_group; // 0 none; else members of one inode have the same number,
    bool link_first;     // and the first one in path order carries everything else
    uint32_t flags;      // FS_IOC_GETFLAGS bits that are carried (RMT_ENTRY_FLAGS)
    uint32_t project;    // Project id
    uint32_t hints;      // FS_XFLAG_* bits of XFS about allocation (RMT_META_HINTS)
    uint32_t extent_size, cow_extent_size; // Bytes, for those hints
    bool sparse;     // extents are given; else the file is one run of size bytes
    bool fuzzy;      // Changed while it was read
    bool unreadable; // Contents missing: the image is INCOMPLETE
    const rmt_xattr_t *xattrs; // In byte order of their names
    size_t xattr_count;
    const rmt_extent_t *extents; // Rising, not touching
    size_t extent_count;
    const rmt_extent_t
        *reserved; // Likewise; apart from the data, perhaps behind the size
    size_t reserved_count;
    // Chunks of the data runs, one run after the other, none crossing runs' total
    // order: the plain data of all runs, concatenated, is cut into these chunks.
    const rmt_id_t *chunks;
    const uint32_t *chunk_sizes; // Plain sizes, same count
    size_t chunk_count;
} rmt_entry_t;

// 0 when an entry is well formed by itself: component rules (no "", ".", "..",
// no '/' at either end, no NUL), known type, sizes that add up, limits. -1: CORRUPT,
// TOO_BIG.
int rmt_entry_check(const rmt_entry_t *entry, rmt_error_t *error);
// <0, 0, >0: manifest order of two paths.
int rmt_path_compare(const char *a, size_t a_size, const char *b, size_t b_size);

// ---- One entry to bytes and back (for pipes between processes)

// Append the encoded entry to a growing buffer (*data_p, *used_p, *room_p; realloc).
void rmt_entry_encode(const rmt_entry_t *entry, uint8_t **data_p, size_t *used_p,
                      size_t *room_p);
// Arrays of a decoded entry live in this; reuse it from entry to entry.
typedef struct rmt_entry_buffer rmt_entry_buffer_t;
rmt_entry_buffer_t *rmt_entry_buffer_new(void);
void rmt_entry_buffer_destroy(rmt_entry_buffer_t **self_p);
// Decode and check one entry that fills data exactly. The result lives in room
// until the next call. 0, or -1: CORRUPT, TOO_BIG, UNSUPPORTED (critical extra).
int rmt_entry_decode(const void *data, size_t size, rmt_entry_buffer_t *room,
                     rmt_entry_t *entry_out, rmt_error_t *error);

// ---- Writing

// Gets each finished chunk of the manifest (and last its root chunk); data is
// borrowed for the call. 0 or -1 with error.
typedef int(rmt_chunk_sink_fn)(void *context, const rmt_chunk_t *chunk,
                               rmt_error_t *error);

typedef struct rmt_manifest_writer rmt_manifest_writer_t;
rmt_manifest_writer_t *rmt_manifest_writer_new(rmt_chunk_sink_fn *sink, void *context);
void rmt_manifest_writer_destroy(rmt_manifest_writer_t **self_p);
// Add the next entry. 0, or -1: USAGE when out of order, CORRUPT, or the sink's.
int rmt_manifest_writer_add(rmt_manifest_writer_t *self, const rmt_entry_t *entry,
                            rmt_error_t *error);
// End the manifest and tell its root. 0 or -1 as the sink.
int rmt_manifest_writer_finish(rmt_manifest_writer_t *self, rmt_id_t *root_out,
                               rmt_error_t *error);

// ---- Reading

// Gives the plain bytes of a chunk: fill plain_out (RMT_CHUNK_PLAIN_MAX bytes) and
// *size_out, already checked against id. 0 or -1 with error.
typedef int(rmt_chunk_source_fn)(void *context, const rmt_id_t *id, void *plain_out,
                                 size_t *size_out, rmt_error_t *error);

typedef struct rmt_manifest_reader rmt_manifest_reader_t;
// Opens the root chunk. NULL: what the source says, CORRUPT, UNSUPPORTED.
rmt_manifest_reader_t *rmt_manifest_reader_new(const rmt_id_t *root,
                                               rmt_chunk_source_fn *source, void *context,
                                               rmt_error_t *error);
void rmt_manifest_reader_destroy(rmt_manifest_reader_t **self_p);
// The next entry, valid until the next call. 1, 0 at the end, -1: CORRUPT (also when
// order is broken), UNSUPPORTED, the source's.
int rmt_manifest_reader_next(rmt_manifest_reader_t *self, rmt_entry_t *entry_out,
                             rmt_error_t *error);
// The ids of the manifest's own chunks (not the root's). Valid while self lives.
const rmt_id_t *rmt_manifest_reader_chunks(rmt_manifest_reader_t *self,
                                           size_t *count_out);
