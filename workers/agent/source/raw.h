// raw - partitions of a source that are carried block by block (--raw).
//
// Such a partition is a volume of kind raw. Its contents are a manifest of one file for
// each piece of the partition (docs/spec/5-image.md).
#pragma once

#include <stdbool.h>
#include "agent/source/source_disk.h"
#include "base/rmt_error.h"
#include "exchange/rmt_offer.h"
#include "net/rmt_worker.h"

// Is a partition a volume of kind raw?
bool rmt_raw_is(const rmt_layout_t *layout, size_t disk, uint64_t number);

// Get ready to read one, which lies on a device from an offset on. is_running: the device
// is its own, and must not be in use. 0, or -1: REFUSED (in use; an NTFS that is not at
// rest), CORRUPT, IO.
int rmt_raw_open(rmt_source_disk_t *self, const rmt_layout_partition_t *partition,
                 const char *device, uint64_t offset, bool is_running,
                 rmt_error_t *error);

// Read all of them, and set roots and sizes in the layout. *done_p counts the bytes of
// volumes. 0, or -1: what the offer says; CANCELLED, CORRUPT, IO.
int rmt_raw_capture(rmt_source_disk_t *self, rmt_task_t *task, rmt_offer_t *offer,
                    uint64_t *done_p, rmt_error_t *error);
void rmt_raw_close(rmt_source_disk_t *self);
