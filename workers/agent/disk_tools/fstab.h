// fstab - where a system mounts its volumes, by its own table.
//
// A line names its file system by what lies in it (UUID, label), by its partition
// (PARTUUID, PARTLABEL), or by the name of a device, which is resolved to a disk:
//
// - on the machine itself, as that machine resolves it;
// - elsewhere, the line of / tells how the machine calls the disk on which the table
// lies;
// - when that line names no device, a kernel's name of a first disk (/dev/sda) is this
//   disk's, unless there are several, or the types or the other lines speak against it
//   (rmt_fstab_check).
//
// Any other name is of no volume. Labels are compared byte by byte.
#pragma once

#include "base/rmt_error.h"
#include "disk/rmt_mount_table.h"
#include "facts/rmt_layout.h"

typedef struct {
    // When the table is this machine's own: its disks, in the order of the layout.
    const char *const *disks;
    size_t disk_count; // 0: it is not
    size_t root_disk;  // Index of the disk on which the table lies
    uint64_t root;     // Its partition there; 0: the whole disk, or unknown
} rmt_fstab_place_t;

typedef struct rmt_fstab rmt_fstab_t;

// Read a text in place of a file; for tests. Borrows the disks' paths. Caller owns the
// result. NULL: CONFIG, a line that programs read in different ways.
rmt_fstab_t *rmt_fstab_new(const char *text, const rmt_fstab_place_t *place,
                           rmt_error_t *error);
// Read /etc/fstab below a root. A symlink in the path is followed as that system would,
// so never out of the tree. *self_out is NULL for a tree without one, and nothing else: a
// source is not read by a guess at its mounts. Caller owns it.
// 0, or -1: TOO_BIG (over 1 MiB), DISK, IO, what rmt_fstab_new says.
int rmt_fstab_load(int root, const rmt_fstab_place_t *place, rmt_fstab_t **self_out,
                   rmt_error_t *error);
void rmt_fstab_destroy(rmt_fstab_t **self_p);

// The mount point of a volume; among subvolumes by subvol= or subvolid=, else that of the
// default one. Caller owns the result (free), or NULL for none;
// "none" and "swap" are no mount points.
char *rmt_fstab_mount(const rmt_fstab_t *self, const rmt_layout_t *layout,
                      const rmt_layout_volume_t *volume);

// The UUID of the root file system. Caller owns the result (free), or NULL.
char *rmt_fstab_root_uuid(const rmt_fstab_t *self);

// Does a line name the device of this volume?
bool rmt_fstab_is_volume(const rmt_fstab_t *self, const rmt_mount_line_t *line,
                         const rmt_layout_t *layout, const rmt_layout_volume_t *volume);

const rmt_mount_table_t *rmt_fstab_table(const rmt_fstab_t *self);
// Was the disk's name neither asked nor told, and is only the usual one?
bool rmt_fstab_is_guess(const rmt_fstab_t *self);

// The text with subvol=/PATH in place of each subvolid=NUMBER that is one of the layout's
// subvolumes on the source. Caller owns the result (free), or NULL when nothing changes.
char *rmt_fstab_by_path(const char *text, const rmt_layout_t *layout);

// ---- fstab_check.c

// Everything that the table mounts or swaps to by itself from a device is a volume of the
// layout, and one alone. 0, or -1: UNSUPPORTED, with the line's words.
int rmt_fstab_check(const rmt_fstab_t *self, const rmt_layout_t *layout,
                    rmt_error_t *error);
