// swap_files - the files that a source swaps to. They are left out of its trees, and made
// again on each copy with their size, mode, UUID and label.
#pragma once

#include "agent/disk_tools/fstab.h"
#include "agent/source/source_disk.h"

// Add the swap files of the source to its layout: those that its fstab (NULL for none)
// and its units of systemd name, and those at the usual places. 0, or -1: UNSUPPORTED, a
// line of fstab without nofail or noauto whose file is no swap file; IO.
int rmt_swap_files_find(rmt_source_disk_t *disk, const rmt_fstab_t *fstab,
                        rmt_error_t *error);

// Bytes that the swap files of a volume take.
uint64_t rmt_swap_files_bytes(const rmt_layout_t *layout,
                              const rmt_layout_volume_t *volume);
