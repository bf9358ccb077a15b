// snapshot - the tree of a running source as it was in one moment.
//
// Made where the file system can: a subvolume of a btrfs that can be written. It is a
// read-only snapshot in that subvolume's root folder, taken away again afterwards; the
// folder's times are put back. What is mounted in the tree, and other subvolumes below
// it, are empty folders there, as they are in a capture anyway.
#pragma once

#include "rmt_error.h"

// In the root of a subvolume; no capture takes it.
#define RMT_SNAPSHOT_NAME ".ramet-snapshot"

typedef struct rmt_snapshot rmt_snapshot_t;

// tree_fd: root of a volume, borrowed for its whole life. One that was left behind there
// is removed. Caller owns the result. NULL: UNSUPPORTED (this is no such file system,
// which is the common case), IO.
rmt_snapshot_t *rmt_snapshot_new(int tree_fd, rmt_error_t *error);
// Removes it from the disk; what cannot be removed is logged.
void rmt_snapshot_destroy(rmt_snapshot_t **self_p);
// Its tree, borrowed.
int rmt_snapshot_fd(const rmt_snapshot_t *self);
