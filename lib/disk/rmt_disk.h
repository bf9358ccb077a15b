// rmt_disk - partition tables (GPT, DOS) of devices and disk image files, as records.
//
//   class=disk {role, table gpt|dos|none, guid, logical-sector, bytes, entries,
//               first-lba, grow}
//   class=partition {disk, number, start, size, type, guid, name, attrs, boot, min-size}
//
// Starts and sizes are in logical sectors, attrs is the GPT attribute word in hex,
// "disk" names the role. The kernel's view of the partitions is not touched: see
// rmt_blockdev.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Read the table of a device or file (also /proc/self/fd/N); role goes into the
// records. A disk without a table has table=none. Caller owns the result.
// NULL: UNSUPPORTED (another kind of table, hybrid MBR), CORRUPT, IO.
rmt_records_t *rmt_disk_read(const char *path, const char *role, rmt_error_t *error);

// Clear a disk of all that is on it: the signatures of file systems, layers and tables in
// the partitions of its old table, then its own, backup tables and boot code; and see
// that nothing is found in any of these places. 0, or -1: IO.
int rmt_disk_clear(const char *path, rmt_error_t *error);

// Clear the disk (rmt_disk_clear) and write the one disk's table with
// the very GUIDs, types, names, attributes and starts. With grow=yes on the disk
// record the last partition gets what is left of the disk (it may also shrink down
// to its min-size). Records of other classes are skipped.
// Returns the records as written (sizes!), the caller owns them, or NULL: NO_SPACE
// (bytes needed and had), INCOMPATIBLE (sector size), USAGE (records), IO.
rmt_records_t *rmt_disk_write(const char *path, const rmt_records_t *layout,
                              rmt_error_t *error);

// Bytes that a disk must have at least to take the layout of one disk.
uint64_t rmt_disk_min_bytes(const rmt_records_t *layout);

// The records of one disk of a list with several: class=disk with this role and its
// partitions and volumes (their field "disk"). Caller owns the result.
rmt_records_t *rmt_disk_select(const rmt_records_t *layouts, const char *role);

// Whether a volume lies in an EFI system partition of the records of a list.
bool rmt_disk_is_esp(const rmt_records_t *layouts, const rmt_record_t *volume);
