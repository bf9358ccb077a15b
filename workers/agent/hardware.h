// hardware - the facts of this machine, with its disks as this agent sees them.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Where a source or target has a disk file or a tree for a disk, it stands for all the
// disks: its record keeps bus, media and sector of that disk in the facts, of the first
// where none has its name. With role
// source this disk has role RMT_HARDWARE_ROLE. Caller owns the result. NULL: CONFIG,
// USAGE (facts), IO.
rmt_records_t *rmt_hardware_new(const rmt_config_t *config, const char *role,
                                rmt_error_t *error);

#define RMT_HARDWARE_ROLE "system" // Of the only disk of an image

// Bytes of a regular file or block device. 0, or -1: NOT_FOUND, UNSUPPORTED, IO.
int rmt_hardware_disk_bytes(const char *path, uint64_t *bytes_out, rmt_error_t *error);
