// rmt_blockdev - a disk to work on: a block device, or a file behind a loop device.
//
// Partitions are told to the kernel one by one (BLKPG), so nothing depends on its
// table parsers or on udev. Those of a loop device go away with the object.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_BLOCKDEV_READ_ONLY 1u
#define RMT_BLOCKDEV_DIRECT 2u // Read and write a file past the page cache

typedef struct rmt_blockdev rmt_blockdev_t;

// Is a block device free of mounts, arrays, groups, encryption and programs that have it
// for themselves? 0, or -1: REFUSED (what holds it), NOT_FOUND, DISK, IO.
int rmt_blockdev_check_free(const char *path, rmt_error_t *error);

// Open a block device, or attach a regular file to a free loop device. sector is
// the logical sector size that a file appears with, 0 for 512. Device nodes that
// /dev lacks are made in the folder nodes (NULL: /dev has them all).
// Caller owns the result. NULL: NOT_FOUND, REFUSED (in use: mounted or held),
// UNSUPPORTED (neither kind), IO.
rmt_blockdev_t *rmt_blockdev_new(const char *path, unsigned flags, uint32_t sector,
                                 const char *nodes, rmt_error_t *error);

// Flush, forget the partitions that were added, detach a loop device.
void rmt_blockdev_destroy(rmt_blockdev_t **self_p);

// Path of the whole disk's node, its descriptor and bytes.
const char *rmt_blockdev_path(const rmt_blockdev_t *self);
int rmt_blockdev_fd(const rmt_blockdev_t *self);
uint64_t rmt_blockdev_bytes(const rmt_blockdev_t *self);
// Bytes of its logical sectors.
uint32_t rmt_blockdev_sector(const rmt_blockdev_t *self);

// Tell the kernel about partition `number`, given in logical sectors, in place of
// any that has this number. Extended DOS partitions are not told, as the kernel wants
// no overlaps. Caller owns the path of its node (free).
// Blocks up to a second for it. NULL: REFUSED (the old one stays in use), IO.
char *rmt_blockdev_partition(rmt_blockdev_t *self, uint32_t number, uint64_t start,
                             uint64_t size, rmt_error_t *error);

// Make the kernel forget one partition, so that others may lie in its place. Blocks up to
// a second for one that is in use. 0, or -1: REFUSED (it stays in use).
int rmt_blockdev_remove(rmt_blockdev_t *self, uint32_t number, rmt_error_t *error);

// Make the kernel forget all partitions, as before a new table. Blocks up to a second for
// one that is in use. 0, or -1: REFUSED (it stays in use).
int rmt_blockdev_forget(rmt_blockdev_t *self, rmt_error_t *error);

// Write everything to the medium and drop what the page cache holds of the disk, so
// that the next read comes from the medium. 0, or -1: IO.
int rmt_blockdev_flush(rmt_blockdev_t *self, rmt_error_t *error);
