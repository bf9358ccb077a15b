// bootcode - what firmware finds on the disk of a source before any file system.
#pragma once

#include "layout.h"
#include "rmt_error.h"
#include "rmt_record.h"

// Read the boot code of a disk that is read as a whole: the first sector's code, and what
// stands in the gap before the first partition, or in a BIOS boot partition. Caller owns
// *boot_out: records {class=boot, disk, offset, content}, none for a tree without a
// disk; and *paths_out, the firmwares that can start it ("uefi bios"), "" for none.
// 0, or -1: TOO_BIG, IO.
int rmt_bootcode_read(rmt_layout_t *layout, rmt_records_t **boot_out, char **paths_out,
                      rmt_error_t *error);
