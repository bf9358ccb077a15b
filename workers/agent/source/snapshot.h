// snapshot - the tree of a running source as it was in one moment.
//
// Made where it can be: of a subvolume of a btrfs that can be written, or of the logical
// volume that an ext or XFS file system lies on. In btrfs it is a read-only snapshot in
// the subvolume's root folder, whose times are put back; with LVM a volume beside the
// other one, mounted nowhere. It is taken away again afterwards; what an agent that died
// has left is found by its name, or its tag. What is mounted in the tree, and other
// subvolumes below it, are empty folders there, as they are in a capture anyway.
#pragma once

#include "base/rmt_error.h"

// In the root of a subvolume; no capture takes it.
#define RMT_SNAPSHOT_NAME ".ramet-snapshot"

typedef struct rmt_snapshot rmt_snapshot_t;

// Remove the logical volumes that an earlier agent of this source has left. Blocks.
void rmt_snapshot_sweep(const char *source);

// tree_fd: root of a volume, borrowed for its whole life. One that was left behind there
// is removed. Caller owns the result. NULL: UNSUPPORTED (this is no such file system,
// which is the common case), NO_SPACE (the volume group has too little left), NOT_FOUND
// (a logical volume, but no lvm2), IO.
rmt_snapshot_t *rmt_snapshot_new(int tree_fd, const char *source, rmt_error_t *error);
// Removes it from the disk; what cannot be removed is logged.
void rmt_snapshot_destroy(rmt_snapshot_t **self_p);
// Its tree, borrowed.
int rmt_snapshot_fd(const rmt_snapshot_t *self);
// 0 while it is what it was, or -1: NO_SPACE (more was written meanwhile than it has room
// for: what was read of it is worth nothing), IO.
int rmt_snapshot_check(const rmt_snapshot_t *self, rmt_error_t *error);
