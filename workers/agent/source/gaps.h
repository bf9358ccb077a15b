// gaps - data of a disk that lies in no partition, which an image does not have.
#pragma once

#include "agent/source/source_disk.h"

// Look at the beginning of each gap between the table, the partitions and the pieces of
// boot code (as rmt_bootcode_read gives them), and say of those with data that copies do
// not have it. Blocks. 0, or -1: IO.
int rmt_gaps_tell(rmt_source_disk_t *disk, const rmt_records_t *boot, rmt_error_t *error);
