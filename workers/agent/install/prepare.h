// prepare - is an order one that this machine can carry out? Nothing is written; tables
// and file systems are tried in memory.
#pragma once

#include "agent/install/order.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Find the disk that each role of the order means: the one disk of the hardware with
// that identity and size. A disk whose name is an absolute path is that file or device,
// any other is a device in /dev. Waits a few seconds for one that is in use. Caller owns
// the result: records {class=target, role, path, name, bytes, logical-sector, identity,
// device, inode}, which ramet-diskw holds against what it has opened. NULL: INCOMPATIBLE
// (no such disk, or several), NO_SPACE (bytes needed and had), REFUSED (in use),
// UNSUPPORTED (a table or a file system that this machine cannot make), IO.
rmt_records_t *rmt_prepare_disks(const rmt_order_t *order, const rmt_records_t *hardware,
                                 rmt_error_t *error);
