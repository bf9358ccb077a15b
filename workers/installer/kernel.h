// kernel - the drivers of an image's kernel, from the facts that the image carries.
#pragma once

#include "kernel/rmt_drivers.h"
#include "place/holder.h"
#include "net/rmt_worker.h"

// records: as installer_facts_records has them, NULL for none. The files that they name
// are loaded, which blocks. *drivers_out is NULL for an image that tells no kernel, else
// the caller's. 0, or -1: as installer_facts_load.
int installer_kernel(rmt_task_t *task, const rmt_holder_t *holder,
                     const rmt_records_t *records, rmt_drivers_t **drivers_out,
                     rmt_error_t *error);
