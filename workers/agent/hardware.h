// hardware - the facts of this machine, with its disks as this agent sees them.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Where a source or target has disk files or a tree for a disk, these stand for all the
// disks: their records keep bus, media and sector of these disks in the facts, of those
// at the same place where none has the name. With role source each has the role of its
// place (rmt_hardware_disk_role). Caller owns the result. NULL: CONFIG, USAGE (facts),
// IO.
rmt_records_t *rmt_hardware_new(const rmt_config_t *config, const char *role,
                                rmt_error_t *error);

// The paths that the settings name: at 0 disk, from 1 further-disks. Borrowed; NULL
// behind the last, and at 0 where the settings name none.
const char *rmt_hardware_disk(const rmt_config_t *config, size_t place);

#define RMT_HARDWARE_ROLE "system" // Of the first disk of an image
// The role of a source's disk by its place: system, disk2, disk3, ...
void rmt_hardware_disk_role(size_t place, char role_out[RMT_RECORD_NAME_MAX + 1]);

// Bytes of a regular file or block device. 0, or -1: NOT_FOUND, UNSUPPORTED, IO.
int rmt_hardware_disk_bytes(const char *path, uint64_t *bytes_out, rmt_error_t *error);
