// rmt_overlay - a throw-away layer over a device, in which file systems may write.
//
// A child process shows the device as one file of a FUSE file system, and what is written
// to it goes to a file without a name, which is gone at the end however that comes. The
// kernel mounts a loop device over that file. The device below is opened for reading
// alone.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

typedef struct rmt_overlay rmt_overlay_t;

typedef struct {
    const char *device; // Below
    const char *folder; // Of the caller's own, for a mount point and device nodes
    const char *room;   // Folder where the file without a name goes
    uint64_t limit;     // Bytes that it may take
    uint32_t sector;    // Logical sector size of the device
} rmt_overlay_setup_t;

// Call all of this in one thread, in a mount namespace of its own: the child ends with
// this thread. Borrows what it is told for the call. Caller owns the result. NULL:
// UNSUPPORTED (this kernel has no FUSE), IO.
rmt_overlay_t *rmt_overlay_new(const rmt_overlay_setup_t *setup, rmt_error_t *error);

// What is mounted from it must be unmounted before.
void rmt_overlay_destroy(rmt_overlay_t **self_p);

// Path of the block device to mount.
const char *rmt_overlay_device(const rmt_overlay_t *self);

// Bytes that were written, in whole blocks.
uint64_t rmt_overlay_written(const rmt_overlay_t *self);

// Hand down what the kernel still holds of the device, and read it anew from now on. 0,
// or -1: NO_SPACE (over the limit, or the file system of the folder is full), IO.
int rmt_overlay_flush(rmt_overlay_t *self, rmt_error_t *error);
