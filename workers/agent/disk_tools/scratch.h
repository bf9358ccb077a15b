// scratch - a folder in memory, in a mount namespace of the calling thread's own.
//
// Other processes do not see the mounts below it. It goes away with the thread (or
// process), however that ends. Threads that are started afterwards share it.
#pragma once

#include "base/rmt_error.h"

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
