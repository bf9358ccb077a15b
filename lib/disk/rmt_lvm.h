// rmt_lvm - snapshots of logical volumes, by LVM's own programs.
//
// A snapshot is a logical volume beside its origin, with a tag of its maker, so
// that one that was left behind is found. Every call runs programs of package lvm2, for
// at most a minute each.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/rmt_error.h"

#define RMT_LVM_NAME_SIZE 128

typedef struct {
    char group[RMT_LVM_NAME_SIZE], name[RMT_LVM_NAME_SIZE];
    uint64_t size, free_size; // Bytes of the volume; bytes that its group has left
    bool is_thin;             // Its snapshots take their space from its pool
} rmt_lvm_t;

// The logical volume that is a block device. 0, or -1: UNSUPPORTED (it is none),
// NOT_FOUND (no lvm2 here), IO.
int rmt_lvm_find(dev_t device, rmt_lvm_t *volume_out, rmt_error_t *error);
// The same from lines of lvs with name prefixes; for tests. UNSUPPORTED: none is one.
int rmt_lvm_parse(const char *output, rmt_lvm_t *volume_out, rmt_error_t *error);

// Space for what is written to the volume while the snapshot lives: as much as it can
// ever need, or what the group has left. 0: too little to begin. For tests.
uint64_t rmt_lvm_space(const rmt_lvm_t *volume);

// Make a snapshot; one of the same name that was left behind goes first. *snapshot_out is
// its name. 0, or -1: NO_SPACE (the group has too little left), IO.
int rmt_lvm_snapshot(const rmt_lvm_t *volume, const char *tag, rmt_lvm_t *snapshot_out,
                     rmt_error_t *error);
// 0 while the snapshot is whole, or -1: NO_SPACE (its space was used up, so that what was
// read of it is worth nothing), IO.
int rmt_lvm_check(const rmt_lvm_t *snapshot, rmt_error_t *error);
int rmt_lvm_remove(const rmt_lvm_t *volume, rmt_error_t *error);
// True when some logical volume is active here. Reads sysfs alone.
bool rmt_lvm_is_used(void);
// Remove all volumes with the tag. Returns how many, or -1: NOT_FOUND (no lvm2), IO.
int rmt_lvm_remove_tagged(const char *tag, rmt_error_t *error);
