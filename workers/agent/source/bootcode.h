// bootcode - how firmware starts the disk of a source, and what of it lies outside of any
// file system.
#pragma once

#include "agent/source/source_disk.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Read the boot code of a disk that is read as a whole, and look at the loaders of its
// EFI system partition. Caller owns *boot_out: records {class=boot, disk, offset,
// content} (rmt_boot_code), none for a tree without a disk. Sets of system, the record of
// the image's hardware: boot-paths, the firmwares that can start it ("uefi bios"), absent
// for none; boot-entries needed: a UEFI firmware starts it by an entry alone. Boot code
// that is not supported is left out where there is another way to start.
// 0, or -1: UNSUPPORTED (a boot loader that is not supported, by name), TOO_BIG, IO.
int rmt_bootcode_read(rmt_source_disk_t *disk, rmt_records_t **boot_out,
                      rmt_record_t *system, rmt_error_t *error);
