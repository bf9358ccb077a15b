// facts - what an image tells beside its trees, for matching: the records of its kernel
// and system, and the files that these name by chunks.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "net/rmt_worker.h"
#include "place/holder.h"

// The records of the field `kernel` of a match task's body. Caller owns *records_out,
// which is NULL where the image tells none. 0, or -1: PROTOCOL, TOO_BIG.
int installer_facts_records(rmt_task_t *task, rmt_records_t **records_out,
                            rmt_error_t *error);

// Load the file that a record names by its field `facts`; what this store lacks of it is
// fetched and kept. Blocks. Caller owns *data_out (free).
// 0, or -1: UNAVAILABLE (no holder), CORRUPT, PROTOCOL, IO, NO_SPACE.
int installer_facts_load(rmt_task_t *task, const rmt_holder_t *holder,
                         const rmt_record_t *file, void **data_out, size_t *size_out,
                         rmt_error_t *error);
