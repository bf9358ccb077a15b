// rmt_entry - one manifest entry to bytes and back, after a path that both sides know.
// Private to lib/store; the public half is in rmt_manifest.h.
#pragma once

#include "base/rmt_bytes.h"
#include "store/rmt_manifest.h"

// Encoded bytes of one entry: 3.7 million chunks, a file of some 500 GiB.
#define RMT_ENTRY_SIZE_MAX ((size_t) 128 * 1024 * 1024)
#define RMT_NAME_SIZE_MAX 255
#define RMT_XATTR_SIZE_MAX 65536

// Numbers of the extras; on disk each is a tag of number * 2 + critical.
enum {
    RMT_EXTRA_SIZE = 1,
    RMT_EXTRA_CHUNKS,
    RMT_EXTRA_EXTENTS,
    RMT_EXTRA_TARGET,
    RMT_EXTRA_DEVICE,
    RMT_EXTRA_LINK,
    RMT_EXTRA_XATTRS,
    RMT_EXTRA_FLAGS,
    RMT_EXTRA_PROJECT,
    RMT_EXTRA_MARKS,
    RMT_EXTRA_RESERVED,
    RMT_EXTRA_HINTS,
    RMT_EXTRA_COUNT
};
#define RMT_MARK_FUZZY 1
#define RMT_MARK_UNREADABLE 2

// Append the entry without the first shared bytes of its path.
void rmt_entry_encode_after(const rmt_entry_t *entry, size_t shared, rmt_buffer_t *out);

// As rmt_entry_decode; the path may begin with bytes of previous.
int rmt_entry_decode_after(const void *data, size_t size, const char *previous,
                           size_t previous_size, rmt_entry_buffer_t *room,
                           rmt_entry_t *entry_out, rmt_error_t *error);

// Count of bytes that both paths begin with.
size_t rmt_path_shared(const char *a, size_t a_size, const char *b, size_t b_size);

// NULL when an entry may follow one with the path previous in a manifest, else why not:
// the order, and that the folder it is in was given as a folder. shared is
// rmt_path_shared of the two.
const char *rmt_path_refusal(const char *previous, size_t previous_size,
                             bool previous_is_folder, const char *path, size_t path_size,
                             size_t shared);
