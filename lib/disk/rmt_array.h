// rmt_array - arrays of md on the disks of a layout: from the superblocks of their
// members into the layout, and from a layout to the bytes and superblocks of its members.
//
// Carried are levels 0, 1, 4, 5, 6 and 10 of metadata 0.90 and 1.x on partitions, of
// which no member is missing; everything else is refused by name. Nothing is started, and
// no other disk of the machine is looked at.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "disk/rmt_mapping.h"
#include "facts/rmt_layout.h"

typedef struct rmt_arrays rmt_arrays_t;

rmt_arrays_t *rmt_arrays_new(void);
void rmt_arrays_destroy(rmt_arrays_t **self_p);

// Take the superblock of a member: a partition of the disk at an index, of so many bytes.
// 0, or -1: NOT_FOUND (it is no member), CORRUPT, UNSUPPORTED, IO.
int rmt_arrays_add(rmt_arrays_t *self, size_t disk, uint64_t partition, int fd,
                   uint64_t bytes, rmt_error_t *error);

// The kernel runs these arrays, and has been asked whether they are whole: what
// superblocks say of age, and of a stop that was not clean, does not count.
void rmt_arrays_set_running(rmt_arrays_t *self);

// All partitions of the layout's disks are taken: add their arrays to it. What a copy
// does not show, such as a member that is older than the others, is added to told {path,
// reason}. 0, or -1: UNSUPPORTED (with what it is, and what to do).
int rmt_arrays_finish(rmt_arrays_t *self, rmt_layout_t *layout, rmt_records_t *told,
                      rmt_error_t *error);

// Is the layout's member at an index older than the others, so that it is not read?
bool rmt_arrays_is_old(const rmt_arrays_t *self, size_t member);

// Where the partition of a member lies.
typedef struct {
    int fd; // Of its disk; -1: it is not read
    uint64_t offset, bytes;
} rmt_array_place_t;

// Bytes of an array, where places[i] is that of layout->members[i]. In a partition of
// another size than the layout's, data takes what it takes there, and what that is more
// or less; a member of an array with copies or parity has no more than the smallest of
// them. 0: there is no space.
uint64_t rmt_array_bytes(const rmt_layout_t *layout, size_t array,
                         const rmt_array_place_t *places);

// The array as a device. Caller owns the result.
rmt_mapping_t *rmt_array_map(const rmt_layout_t *layout, size_t array,
                             const rmt_array_place_t *places);

// Write the superblocks of all members: in sync, except for parity, which is made when
// the array starts. Each gets a uuid of its own. 0, or -1: IO.
int rmt_array_write(const rmt_layout_t *layout, size_t array,
                    const rmt_array_place_t *places, rmt_error_t *error);
