// rmt_disk - partition tables (GPT, DOS) of devices and disk image files.
//
// The kernel's view of the partitions is not touched: see rmt_blockdev.
#pragma once

#include "base/rmt_error.h"
#include "facts/rmt_layout.h"

// Read the table of a device or file (also /proc/self/fd/N): a layout of one disk in this
// role, and its partitions. They are as the table has them, and may overlap: a caller
// that wants to write them asks rmt_layout_check. Caller owns the result. NULL:
// UNSUPPORTED (another kind of table, hybrid MBR), CORRUPT, IO.
rmt_layout_t *rmt_disk_read(const char *path, const char *role, rmt_error_t *error);

// Clear a disk of all that is on it: the signatures of file systems, layers and tables in
// the partitions of its old table, then its own, backup tables and boot code; and see
// that nothing is found in any of these places. 0, or -1: IO.
int rmt_disk_clear(const char *path, rmt_error_t *error);

// Clear the disk (rmt_disk_clear) and write the table of one disk of a layout that was
// checked, with the very GUIDs, types, names, attributes and starts. Where the disk may
// grow its last partition gets what is left (it may also shrink down to its min-size).
// Returns this disk and its partitions as written (sizes!), the caller owns it, or NULL:
// NO_SPACE (bytes needed and had), INCOMPATIBLE (sector size), IO.
rmt_layout_t *rmt_disk_write(const char *path, const rmt_layout_t *layout, size_t disk,
                             rmt_error_t *error);
