// system - the operating system in a source's trees, and how it boots.
#pragma once

#include "agent/source/source_disk.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// The system below the root volume; a source without one has none. Caller owns the
// result. NULL: UNSUPPORTED (a system that is known and not supported).
rmt_records_t *rmt_system_read(const rmt_source_disk_t *disk, rmt_error_t *error);
