// rmt_nvram - the boot entries that UEFI firmware keeps: load options as files of
// efivarfs (UEFI specification, "Boot Manager").
//
// Firmware is of many minds: what cannot be read is left alone, nothing is written that
// is there already, and what was written is read back. The caller must be able to do
// without: a disk has its fallback path.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_NVRAM_FOLDER "/sys/firmware/efi/efivars"

// The loader that an entry starts. All is borrowed.
typedef struct {
    const char *label;       // Shown by the firmware; printable ASCII, at most 64 bytes
    const char *path;        // Of the loader, from the root of its file system
    const char *guid;        // Of the partition; of a DOS table its id (0x and 8 digits)
    uint32_t partition;      // Its number
    uint64_t start, sectors; // In logical sectors
} rmt_nvram_entry_t;

// Have one entry that starts this loader, sorted first except for entries that start
// from the network and stand before all others. " (ramet)" is added to the label; other
// entries with this end are of systems that were there before, and are removed.
// folder: where efivarfs is mounted. *number_out: of Boot####.
// 0, or -1: NOT_FOUND (no such folder), USAGE, TOO_BIG (over 256 entries), NO_SPACE,
// CORRUPT (does not read back), IO (the firmware refuses).
int rmt_nvram_set(const char *folder, const rmt_nvram_entry_t *entry,
                  uint16_t *number_out, rmt_error_t *error);
