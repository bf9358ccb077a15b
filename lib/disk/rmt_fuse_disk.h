// rmt_fuse_disk - blocks that this program makes up, as a block device.
//
// A child process shows the blocks as one file of a FUSE file system, and the kernel puts
// a loop device over that file.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_fuse_file.h"

typedef struct rmt_fuse_disk rmt_fuse_disk_t;

typedef struct {
    const rmt_fuse_blocks_t *blocks; // They live as long as the disk
    const char *folder;              // Of the caller's own, for a file and device nodes
    const char *name;                // Of that file; no other disk in the folder has it
    uint32_t sector;                 // Logical sector size of the device
    unsigned flags;                  // Of rmt_blockdev_new
} rmt_fuse_disk_setup_t;

// Whether this kernel has FUSE. 0, or -1: UNSUPPORTED.
int rmt_fuse_disk_check(rmt_error_t *error);

// Call all of this in one thread, in a mount namespace of its own: the child ends with
// this thread. Borrows what it is told for the call. Caller owns the result. NULL:
// UNSUPPORTED (this kernel has no FUSE), IO.
rmt_fuse_disk_t *rmt_fuse_disk_new(const rmt_fuse_disk_setup_t *setup,
                                   rmt_error_t *error);

// What is mounted from it must be unmounted before.
void rmt_fuse_disk_destroy(rmt_fuse_disk_t **self_p);

// Path of the block device.
const char *rmt_fuse_disk_device(const rmt_fuse_disk_t *self);
// The device itself, in which ranges can be shown as partitions. Borrowed.
rmt_blockdev_t *rmt_fuse_disk_blockdev(const rmt_fuse_disk_t *self);

// Hand down what the kernel still holds of the device, and read it anew from now on. 0,
// or -1: IO.
int rmt_fuse_disk_flush(rmt_fuse_disk_t *self, rmt_error_t *error);
