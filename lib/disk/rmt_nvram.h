// rmt_nvram - the boot entries that UEFI firmware keeps: load options as files of
// efivarfs (UEFI specification, "Boot Manager").
//
// Firmware is of many minds: an entry that cannot be read is left alone, an order that
// cannot be read too (IO), nothing is written that is there already, and what was written
// is read back. The caller must be able to do without: a disk has its fallback path.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

#define RMT_NVRAM_FOLDER "/sys/firmware/efi/efivars"

#define RMT_NVRAM_SET_MAX 16
#define RMT_NVRAM_OPTIONS_MAX ((size_t) 2048)

// What an entry starts. All is borrowed.
typedef struct {
    const char *label;       // Shown by the firmware; printable ASCII, at most 64 bytes
    const char *path;        // Of the loader, from the root of its file system
    const char *guid;        // Of the partition; of a DOS table its id (0x and 8 digits)
    uint32_t partition;      // Its number
    uint64_t start, sectors; // In logical sectors
    const void *options;     // Bytes that the loader is given as they are
    size_t options_size;     // At most RMT_NVRAM_OPTIONS_MAX
    bool is_next;            // It alone is tried first at the next start, once
} rmt_nvram_entry_t;

// Mount efivarfs on RMT_NVRAM_FOLDER where it is not mounted, so that the kernel shows
// what the firmware keeps. Needs root; what fails shows in an empty folder. Blocks for a
// moment.
void rmt_nvram_show(void);

// Have these entries (1 to RMT_NVRAM_SET_MAX), sorted first in their order except for
// entries that start from the network and stand before all others. " (ramet)" is added to
// each label; other entries with this end are of systems that were there before, and are
// removed.
// folder: where efivarfs is mounted. *number_out: of Boot#### of the first one.
// 0, or 1 where the entries and their order stand, and which one is next is refused
// (error says why), or -1: NOT_FOUND (no such folder), USAGE, TOO_BIG (over 256 entries),
// NO_SPACE, CORRUPT (does not read back), IO (the firmware refuses).
int rmt_nvram_set(const char *folder, const rmt_nvram_entry_t *entries, size_t count,
                  uint16_t *number_out, rmt_error_t *error);

// Append what the firmware would start from a partition of a GPT, in its order: records
// {class=entry, label, path, guid, options (bytes; absent for none)}. Left out is what is
// switched off or damaged, and what has a path or options that rmt_nvram_set cannot have.
// 0, or -1: NOT_FOUND, TOO_BIG, IO.
int rmt_nvram_read(const char *folder, rmt_records_t *entries, rmt_error_t *error);
