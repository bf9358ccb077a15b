// scratch - a folder in memory, in a mount namespace of the calling thread's own.
//
// Other processes do not see the mounts below it. It goes away with the thread (or
// process), however that ends. Threads that are started afterwards share it.
#pragma once

#include "base/rmt_error.h"
#include "disk/rmt_fuse_disk.h"

typedef struct rmt_scratch rmt_scratch_t;

// Leaves the namespace of the other threads for good. Needs root. Caller owns the
// result. NULL: IO.
rmt_scratch_t *rmt_scratch_new(rmt_error_t *error);

// Unmounts the folder; what is mounted below it should be unmounted before. Call it in
// the thread that made it.
void rmt_scratch_destroy(rmt_scratch_t **self_p);

const char *rmt_scratch_path(const rmt_scratch_t *self);

// Make a folder below it. Caller owns the path (free). NULL: IO.
char *rmt_scratch_folder(const rmt_scratch_t *self, const char *name, rmt_error_t *error);

// Show blocks as a device, in a folder of this name below it. sector, flags: of
// rmt_fuse_disk_setup_t. Caller owns the result. NULL: UNSUPPORTED (no FUSE), IO.
rmt_fuse_disk_t *rmt_scratch_show(const rmt_scratch_t *self, const char *name,
                                  const rmt_fuse_blocks_t *blocks, uint32_t sector,
                                  unsigned flags, rmt_error_t *error);
