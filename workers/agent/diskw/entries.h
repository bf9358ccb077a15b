// entries - which boot entries the firmware of a copy gets for one EFI system partition.
// Pure.
#pragma once

#include "base/rmt_record.h"
#include "disk/rmt_nvram.h"

// boot: the image's records of its boot, {class=entry, ...} as rmt_nvram_read tells
// them; NULL for none. guid: of the partition. esp: as rmt_esp_examine tells it.
// The entries that the source's firmware had for this partition, in its order. Where none
// of them is for a loader of its own, one for the loader that esp names: else Windows
// would be all that starts. Where the source had none at all, one for Windows behind it.
// Where Windows comes first, the first one of the others starts next, once: the first
// boot has to run. Sets label, path, options and is_next, all borrowed. Returns the
// number of entries, which may be 0.
size_t diskw_boot_entries(const rmt_records_t *boot, const char *guid,
                          const rmt_record_t *esp,
                          rmt_nvram_entry_t entries[RMT_NVRAM_SET_MAX]);

// Those of all partitions, one partition behind the other: they get the order that the
// source's firmware had, with what it did not have behind, and is_next is set anew.
void diskw_order_entries(const rmt_records_t *boot, rmt_nvram_entry_t *entries,
                         size_t count);
