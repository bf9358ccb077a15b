// twins - what lies on all disks of this machine, and whether the disks beside the
// ordered ones hold what a copy could take for its own.
#pragma once

#include "agent/install/order.h"
#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Append to the machine's hardware the contents of its disks (rmt_disk_contents), at most
// so many. A disk that cannot be read has none; nor has one that the setting hardware
// tells. Blocks for reading the disks.
void rmt_twins_read(const rmt_config_t *config, size_t most, rmt_records_t *hardware);

// Compare the tables of the machine's other disks, as rmt_twins_read has told them, with
// that of the image: one with a GUID of it, such as an older copy, may be started or
// mounted in place of the new system. disks: as rmt_prepare_disks gives them. Caller owns
// the warning (free), NULL: none.
char *rmt_twins_warning(const rmt_order_t *order, const rmt_records_t *hardware,
                        const rmt_records_t *disks);

// Do other disks hold layers that a copy could take for its own? 0, or -1: INCOMPATIBLE.
int rmt_twins_check(const rmt_order_t *order, const rmt_records_t *hardware,
                    const rmt_records_t *disks, rmt_error_t *error);
