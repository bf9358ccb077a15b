// rmt_order - what a target is told to become, made by `order@engine`.
//
// On its way it is records, told apart by their field "part" (docs/spec/4-control.md):
//   part=order    class=order {image, target, place, volumes}: place is the engine that
//                 holds the image; volumes=image: see is_short
//   part=choice   class=choice {role, disk, name, bytes}: this machine's disk for a role
//   part=layout   class=disk, partition, volume as the image's descriptor has them
//   part=personal class=target, class=script: for rmt_personal; of the target's record
//                 its name, host name and network alone
// Both ends use this type alone. Pure.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "crypto/rmt_id.h"
#include "facts/rmt_layout.h"

typedef struct {
    char role[RMT_RECORD_NAME_MAX + 1];
    char *disk;     // Owned: what the disk is known by (rmt_match_disk_identity)
    char *name;     // Owned: as the kernel called it, for people; may be empty
    uint64_t bytes; // Its size
} rmt_order_choice_t;

typedef struct {
    rmt_id_t image;
    char *target, *place;        // Owned; place is "" where the engine is not told
    rmt_order_choice_t *choices; // Owned; one for each disk of the layout
    size_t choice_count;
    rmt_layout_t *layout;    // Owned; at least one disk
    bool is_short;           // Its volumes are those of the image's descriptor
    rmt_records_t *personal; // Owned
} rmt_order_t;

// Read an order. Records of a part that this version does not know are skipped; a class
// that it does not know in a part that it knows is refused, as that would be left undone.
// Caller owns the result. NULL: USAGE (class, field, value, and what would be right),
// TOO_BIG.
rmt_order_t *rmt_order_read(const rmt_records_t *records, rmt_error_t *error);
void rmt_order_destroy(rmt_order_t **self_p);

// Make one: an order without choices, layout (to be set) and personal records.
// Caller owns the result.
rmt_order_t *rmt_order_new(const rmt_id_t *image, const char *target, const char *place);
// Copy a record of class choice in. 0, or -1: USAGE.
int rmt_order_add_choice(rmt_order_t *self, const rmt_record_t *choice,
                         rmt_error_t *error);
// Copy a record in, as one of this class: target or script. Of a target's record its
// name, host name and network are copied. 0, or -1: USAGE.
int rmt_order_add_personal(rmt_order_t *self, const char *class,
                           const rmt_record_t *record, rmt_error_t *error);
// The digest of what a target's record gives to its order, which a warrant names
// (docs/spec/7-trust.md, 5). without: a field that is left out, or NULL.
void rmt_order_personal_id(const rmt_record_t *target, const char *without,
                           rmt_id_t *id_out);

// Hold the layout of the image's descriptor against that of the order, and put it in its
// place; a short order has no volumes of its own. Takes *layout_p.
// 0, or -1: NOT_ALLOWED, another layout.
int rmt_order_complete(rmt_order_t *self, rmt_layout_t **layout_p, rmt_error_t *error);

// As records, of a short order without volumes. Caller owns the result. NULL: USAGE, for
// one that would not be read.
rmt_records_t *rmt_order_write(const rmt_order_t *self, rmt_error_t *error);

// The volumes in the order in which they are written: subvolumes of btrfs, each behind
// the one that holds it, then the others by mount point. Caller frees the array, not the
// volumes; it has layout->volume_count of them.
const rmt_layout_volume_t **rmt_order_volumes(const rmt_layout_t *layout);
