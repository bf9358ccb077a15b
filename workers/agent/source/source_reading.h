// source_reading - the inside of source_disk, for the files that read a source.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "agent/disk_tools/fstab.h"
#include "agent/disk_tools/scratch.h"
#include "agent/source/replay.h"
#include "agent/source/source_disk.h"
#include "disk/rmt_array.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_fuse_disk.h"
#include "disk/rmt_group.h"
#include "disk/rmt_mapping.h"

typedef struct {
    size_t volume; // Index in the layout
    int fd;
    char *folder; // To unmount, or NULL
} rmt_source_tree_t;

// A partition that is carried block by block (raw.c).
typedef struct rmt_source_raw rmt_source_raw_t;

// A disk that is read; the layout has it at the same index.
typedef struct {
    char *path;
    rmt_blockdev_t *device; // NULL: of a running system
    int running;            // The disk of a running system, or -1
} rmt_source_device_t;

// An array of md, or a logical volume of several pieces, that is shown as a device. Those
// of the layout's arrays come first.
typedef struct {
    rmt_mapping_t *mapping;
    rmt_fuse_blocks_t blocks; // Of the mapping
    rmt_fuse_disk_t *disk;
} rmt_source_shown_t;
#define RMT_SOURCE_SHOWN_MAX (RMT_LAYOUT_ARRAYS_MAX + RMT_LAYOUT_LOGICALS_MAX)

// Where a volume lies.
typedef struct {
    size_t disk;         // Index
    uint64_t number;     // Of its partition; 0: the whole disk, or a logical volume
    const char *logical; // "group/name", or NULL
    const rmt_layout_array_t *array; // Or NULL
} rmt_source_place_t;

struct rmt_source_disk {
    const rmt_config_t *config;
    const char *name;
    rmt_parts_words_t parts;
    rmt_layout_t *layout;
    rmt_layout_t *table; // Of disks that are read, with what is left out
    rmt_records_t *dropped, *without;
    rmt_fstab_t *fstab; // NULL for none
    bool is_default;
    rmt_scratch_t *scratch;
    rmt_replay_t *replay; // Trees may be mounted from it
    rmt_source_device_t devices[RMT_LAYOUT_DISKS_MAX];
    size_t device_count; // 0: a tree stands for the disks
    rmt_source_shown_t shown[RMT_SOURCE_SHOWN_MAX];
    size_t shown_count;
    rmt_source_tree_t trees[RMT_SOURCE_TREES_MAX];
    size_t count;
    rmt_source_raw_t *raws;
    size_t raw_count;
};

// ---- source_disk.c

// Open the folder of a volume, given by its index in the layout.
int rmt_source_add_tree(rmt_source_disk_t *self, size_t volume, const char *path,
                        rmt_error_t *error);
// The fstab of a tree, NULL for none; the caller owns it.
int rmt_source_fstab(const rmt_source_disk_t *self, const char *root,
                     rmt_fstab_t **fstab_out, rmt_error_t *error);

// ---- source_read.c

// Put the words of the partition before a refusal of what lies in it. Returns -1.
int rmt_source_name_part(const rmt_source_disk_t *self, const rmt_source_place_t *place,
                         rmt_error_t *error);
// Disks that are read from outside: their tables, their volumes and mount points.
int rmt_source_open_disks(rmt_source_disk_t *self, const char *first, rmt_error_t *error);
// Where fstab mounts a volume, or NULL. Caller owns the result (free).
char *rmt_source_mount_point(rmt_source_disk_t *self, const rmt_fstab_t *fstab,
                             size_t volume);
// Mount points of those trees that have none yet.
void rmt_source_set_mounts(rmt_source_disk_t *self, const rmt_fstab_t *fstab);

// Read the tables of the disks, the first and those of the settings, and get ready to
// read volumes.
int rmt_source_begin(rmt_source_disk_t *self, const char *first, rmt_error_t *error);
// Show a mapping, which is taken, as a device to read, until the source is closed. name:
// as rmt_scratch_show has it. Borrowed. NULL: UNSUPPORTED, IO.
const char *rmt_source_show(rmt_source_disk_t *self, const char *name,
                            rmt_mapping_t **mapping_p, uint32_t sector,
                            rmt_error_t *error);
// Add the volume that is on a device. The device is exchanged for a layer when its log
// has to be replayed.
int rmt_source_probe(rmt_source_disk_t *self, const rmt_source_place_t *place,
                     char **device_p, size_t *volume_out, rmt_error_t *error);
// Mount a volume read-only, and add its trees; nothing for kinds without a tree.
int rmt_source_mount(rmt_source_disk_t *self, size_t volume, const char *device,
                     rmt_error_t *error);
// Take the head of a place that is a physical volume; the volumes in it are read when
// all of these are known.
int rmt_source_take_physical(rmt_groups_t *groups, const rmt_source_place_t *place,
                             const char *device, bool *is_taken_out, rmt_error_t *error);

// ---- source_arrays.c

// Take the superblock of a partition that is a member of an array of md, before anything
// else is looked for: a mirror shows its contents too.
int rmt_source_take_member(rmt_source_disk_t *self, const rmt_source_place_t *place,
                           const char *device, rmt_arrays_t *arrays, bool *is_taken_out,
                           rmt_error_t *error);
// Of a volume on an array: the kernel would show tables in it as partitions. 0, or -1:
// UNSUPPORTED.
int rmt_source_refuse_unknown(const rmt_source_disk_t *self, size_t volume,
                              rmt_error_t *error);

// All members are taken: add their arrays to the layout, show them as devices, and add
// the volumes on them; those that are physical volumes are taken into groups.
int rmt_source_read_arrays(rmt_source_disk_t *self, rmt_arrays_t *arrays,
                           rmt_groups_t *groups, rmt_error_t *error);

// ---- source_logical.c

// Add the volume on a logical volume, given by its index, of disks that are read from
// outside.
int rmt_source_read_logical(rmt_source_disk_t *self, size_t index, rmt_error_t *error);

// ---- source_crypts.c

// Of a partition or logical volume of a running system that LUKS encrypts: add the
// encryption to the layout, and exchange the device for the mapping that is open on it.
// Any other stays as it is. 0, or -1: UNSUPPORTED (closed, or of another kind, by name),
// IO.
int rmt_source_take_crypt(rmt_source_disk_t *self, const rmt_source_place_t *place,
                          char **device_p, rmt_error_t *error);
// Tell of lines of crypttab below a root that open what is carried by a key file. 0, or
// -1: UNSUPPORTED (a name that a copy does not have; a key file for / or /usr), IO. Mount
// points are known by then.
int rmt_source_check_crypttab(rmt_source_disk_t *self, const char *root,
                              rmt_error_t *error);

// ---- source_running.c

// A running system: the table of its disk, its volumes through its own mounts.
int rmt_source_open_running(rmt_source_disk_t *self, const char *path, const char *root,
                            rmt_error_t *error);
