// rmt_boot_code - the code that a BIOS starts: GRUB's boot.img in the first sector, and
// its core.img in the gap of a DOS table or in a BIOS boot partition of a GPT.
//
//   class=boot {disk, offset, content}     offset in bytes; content at most 32 KiB
//
// Both keep addresses of blocks. As a table is written with the very starts of the
// image, the code goes to the place it was taken from, and the addresses stay true:
// this is checked at both ends, on what was read, never assumed.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

// Read the boot code of a disk; layout: of this one disk (rmt_disk, rmt_layout_select).
// Of GRUB all pieces are appended to boot, the first sector last; of anything else none.
// *kind_out: "grub", "" for no code at all, else the name of what it is (static).
// Blocks. 0, or -1: UNSUPPORTED (GRUB Legacy; GRUB with blocks inside a file system),
// TOO_BIG, IO.
int rmt_boot_code_read(int fd, const rmt_layout_t *layout, rmt_records_t *boot,
                       const char **kind_out, rmt_error_t *error);

// Pieces may lie in the code of the first sector, the gap or a BIOS boot partition of
// this disk's layout, and nowhere else. 0, or -1: REFUSED.
int rmt_boot_code_check(const rmt_layout_t *layout, const rmt_records_t *boot,
                        rmt_error_t *error);
