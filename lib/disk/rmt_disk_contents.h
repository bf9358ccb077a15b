// rmt_disk_contents - what lies on a disk, by the names and ids by which a running system
// finds it: partitions, file systems, swap, LUKS, groups of LVM, arrays of md.
//
// Nothing is assembled, opened or written.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Append a record for each thing that is found on a device or file with sectors of so
// many bytes, in partitions of any table and on the whole of it:
//   class=content {disk, kind, uuid, name}      without the fields that are not told
// kind: partition (GUID and name of the table), group and physical (of LVM), array (of
// md), else blkid's type. LVM is also found on the first bytes of arrays. What cannot be
// read of a layer, such as the text of a damaged group, is left out. 0, or -1: IO.
int rmt_disk_contents(const char *path, const char *disk, uint32_t sector,
                      rmt_records_t *records, rmt_error_t *error);
