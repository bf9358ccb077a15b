// fstab - where a system mounts its volumes, by its own table.
#pragma once

#include "base/rmt_error.h"
#include "facts/rmt_layout.h"

// The mount point that the text of an fstab gives to a volume (by UUID, label, PARTUUID
// or the number at the end of a device's name; among subvolumes by subvol= or subvolid=,
// else to the default one). partition may be NULL. Caller owns the
// result (free), or NULL for none; "none" and "swap" are no mount points.
char *rmt_fstab_mount(const char *text, const rmt_layout_volume_t *volume,
                      const rmt_layout_partition_t *partition);

// The UUID of the root file system. Caller owns the result (free), or NULL.
char *rmt_fstab_root_uuid(const char *text);

// The text with subvol=/PATH in place of each subvolid=NUMBER that is one of the layout's
// subvolumes on the source. Caller owns the result (free), or NULL when nothing changes.
char *rmt_fstab_by_path(const char *text, const rmt_layout_t *layout);

// Every file system that the text mounts from a device by itself is a volume of the
// layout; other disks are not supported. 0, or -1: UNSUPPORTED, with the line's words.
int rmt_fstab_check(const char *text, const rmt_layout_t *layout, rmt_error_t *error);
