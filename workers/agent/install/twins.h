// twins - disks beside the ordered ones that look like them to whatever starts the
// system.
#pragma once

#include "agent/install/order.h"
#include "base/rmt_record.h"

// Compare the tables of the machine's other disks with that of the image: one with a GUID
// of it, such as an older copy, may be started or mounted in place of the new system.
// disks: as rmt_prepare_disks gives them, devices in /dev. Blocks for reading tables; a
// disk that cannot be read is no twin. Caller owns the warning (free), NULL: none.
char *rmt_twins_warning(const rmt_order_t *order, const rmt_records_t *hardware,
                        const rmt_records_t *disks);
