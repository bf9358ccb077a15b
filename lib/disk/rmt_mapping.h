// rmt_mapping - one device put together from ranges of others: in pieces, in stripes, in
// mirrors, with parity. What arrays of md and groups of LVM need, without a driver of the
// kernel: it looks at no other disk, and starts nothing by accident.
//
// A mapping is a list of segments, one behind the other. A segment goes round its members
// in chunks, in one of two ways:
// - Copies: each chunk lies `near` times beside itself, and all of that `far` times, as
//   md(4) describes RAID 10. One copy is a stripe; one member is a linear range; as many
//   near copies as members are a mirror.
// - Parity: each stripe has a member without data (RAID 4, 5) or two (RAID 6). One
// missing
//   member is made good by the others. Parity itself is not written: an array that
//   was written so has to be resynchronised.
//
// Reading, writing and flushing make system calls and nothing else, so that a child may
// make them (rmt_fuse_disk). A class of one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "disk/rmt_fuse_file.h"

typedef struct {
    int fd;          // Borrowed, and open as long as the mapping; -1: missing
    uint64_t offset; // Bytes from the start of fd to the segment's part of it
} rmt_mapping_member_t;

// Which members of a stripe hold no data, by md's number of the layout.
typedef enum {
    RMT_PARITY_LEFT_ASYMMETRIC,
    RMT_PARITY_RIGHT_ASYMMETRIC,
    RMT_PARITY_LEFT_SYMMETRIC,
    RMT_PARITY_RIGHT_SYMMETRIC,
    RMT_PARITY_FIRST,                  // Always the first members
    RMT_PARITY_LAST,                   // Always the last: RAID 4
    RMT_PARITY_LEFT_ASYMMETRIC_6 = 16, // RAID 5 in all but the last member, which has Q
    RMT_PARITY_RIGHT_ASYMMETRIC_6,
    RMT_PARITY_LEFT_SYMMETRIC_6,
    RMT_PARITY_RIGHT_SYMMETRIC_6,
    RMT_PARITY_FIRST_6,
} rmt_parity_layout_t;

typedef struct {
    uint64_t size;  // Bytes that it shows
    uint64_t chunk; // Bytes; of a linear range and a mirror the size
    // Members without data in a stripe: 0 (copies), 1 or 2
    unsigned parity;
    rmt_parity_layout_t layout; // Of parity
    unsigned near, far;         // Of copies: each from 1, one of them 1
    uint64_t stride;            // Bytes of a member from one far copy to the next
    bool is_offset;             // Far copies lie row by row beside each other
    const rmt_mapping_member_t *members; // Borrowed for the call
    size_t count;
} rmt_mapping_segment_t;

typedef struct rmt_mapping rmt_mapping_t;

// Caller owns the result.
rmt_mapping_t *rmt_mapping_new(void);
void rmt_mapping_destroy(rmt_mapping_t **self_p);

// Add a segment behind those that are there. The caller has checked what it read
// from a disk: what cannot be is a fault of its own.
void rmt_mapping_add(rmt_mapping_t *self, const rmt_mapping_segment_t *segment);
// The same for a range of one device. (For tests.)
void rmt_mapping_add_range(rmt_mapping_t *self, int fd, uint64_t offset, uint64_t size);

uint64_t rmt_mapping_size(const rmt_mapping_t *self);

// Read or write a range that lies inside. 0, or an errno: EIO (a member that all copies
// lack, or that fails), EROFS (a write, and a member is missing). For tests.
int rmt_mapping_read(rmt_mapping_t *self, void *data, size_t size, uint64_t at);
// The same, for tests.
int rmt_mapping_write(rmt_mapping_t *self, const void *data, size_t size, uint64_t at);

// As the blocks of a file or disk of FUSE. Borrows self.
rmt_fuse_blocks_t rmt_mapping_blocks(rmt_mapping_t *self);
