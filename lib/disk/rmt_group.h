// rmt_group - volume groups of LVM on the disks of a layout: from the heads of its
// physical volumes into a layout, and from a layout to the text that describes a group.
//
// Carried are groups whose logical volumes are linear, striped, or RAID; everything else
// is refused by name. Nothing is activated, and no other disk of the machine is looked
// at: a group of the same name there is not in the way.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "disk/rmt_mapping.h"
#include "facts/rmt_layout.h"

typedef struct rmt_groups rmt_groups_t;

rmt_groups_t *rmt_groups_new(void);
void rmt_groups_destroy(rmt_groups_t **self_p);

// On what a physical volume lies.
typedef struct {
    size_t disk;        // Index; of an array that of its first member
    uint64_t partition; // Number; 0: the whole disk, or an array
    const char *array;  // Its uuid in the layout, or NULL
    uint64_t bytes;     // Of the whole disk or the array
} rmt_group_place_t;

// Take the head of the physical volume there, of which fd is open. 0, or -1: NOT_FOUND
// (it has none), CORRUPT, IO.
int rmt_groups_add(rmt_groups_t *self, const rmt_group_place_t *place, int fd,
                   rmt_error_t *error);

// All physical volumes of the layout's disks are taken: add what they hold. 0, or -1:
// UNSUPPORTED (with what it is, and what to do), CORRUPT.
int rmt_groups_finish(const rmt_groups_t *self, rmt_layout_t *layout, rmt_error_t *error);

// The text of a group, as it is on a target: bytes[i] is the size of the device of
// layout->physicals[i]. Caller owns the result (free).
char *rmt_group_print(const rmt_layout_t *layout, size_t group, const uint64_t *bytes);

// What the pieces of a logical volume make together: places[i] is where
// layout->pieces[i] begins. Caller owns the result.
rmt_mapping_t *rmt_group_map(const rmt_layout_t *layout, size_t logical,
                             const rmt_mapping_member_t *places);

// ---- rmt_group_raid.c: what each leg of RAID says about itself

// Are all legs in sync? metas[i] is where the data about layout->pieces[i] begin. 0, or
// -1: UNSUPPORTED (which one is not, and what to do), IO.
int rmt_group_check_legs(const rmt_layout_t *layout, size_t logical,
                         const rmt_mapping_member_t *metas, rmt_error_t *error);
// A leg of a target says nothing, as those of a new RAID do: the kernel makes it equal to
// the others, or makes its parity, when the volume is started. 0, or -1: IO.
int rmt_group_clear_leg(const rmt_layout_t *layout, const rmt_layout_piece_t *piece,
                        const rmt_mapping_member_t *meta, rmt_error_t *error);
