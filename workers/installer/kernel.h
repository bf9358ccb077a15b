// kernel - the drivers of an image's kernel, from the facts that the image carries.
#pragma once

#include "kernel/rmt_drivers.h"
#include "place/holder.h"
#include "net/rmt_worker.h"

// From the body of a match task {image, place, kernel}: fetch what this store lacks, and
// keep it. Blocks. *drivers_out is NULL for an image that tells no kernel, else the
// caller's. 0, or -1: UNAVAILABLE (no holder), CORRUPT, PROTOCOL, IO, NO_SPACE.
int installer_kernel(rmt_task_t *task, const rmt_holder_t *holder,
                     rmt_drivers_t **drivers_out, rmt_error_t *error);
