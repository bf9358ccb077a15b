// rmt_cow - blocks over a device that is not written: what is written goes to another
// file, and is read from there again. Private to lib/disk.
//
// Its calls make system calls and nothing else, so a child may make them that was forked
// beside other threads. What it counts is seen by both.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "disk/rmt_fuse_file.h"

#define RMT_COW_BLOCK RMT_FUSE_FILE_BLOCK

typedef struct rmt_cow rmt_cow_t;

// Takes both descriptors: base, of which size bytes are shown, is read alone; room, an
// empty file, is given at most limit bytes.
rmt_cow_t *rmt_cow_new(int base, int room, uint64_t size, uint64_t limit);
void rmt_cow_destroy(rmt_cow_t **self_p);

// Read or write a range that lies inside. 0, or an errno: ENOSPC when the limit is
// reached or the file system of room is full; then all later writes fail too.
// For the blocks below and for tests.
int rmt_cow_read(rmt_cow_t *self, void *data, size_t size, uint64_t at);
// The same, for tests.
int rmt_cow_write(rmt_cow_t *self, const void *data, size_t size, uint64_t at);

// As the blocks of a disk of FUSE. Borrows self.
rmt_fuse_blocks_t rmt_cow_blocks(rmt_cow_t *self);
// Bytes that room was given.
uint64_t rmt_cow_written(const rmt_cow_t *self);
bool rmt_cow_is_full(const rmt_cow_t *self);
