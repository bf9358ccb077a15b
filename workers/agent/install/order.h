// order - what a target is told to become, made by `order@engine`.
//
// Packed records, told apart by their field "part":
//   part=order    class=order {image, target, place}: the engine that holds the image
//   part=choice   class=choice {role, disk, name, bytes}: this machine's disk for a role,
//                 by identity (rmt_match_disk_identity) and size
//   part=layout   class=disk, partition, volume as the image's descriptor has them
//   part=personal records for rmt_personal
// Records of class choice count without a part, too; other parts are skipped.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "base/rmt_record.h"

typedef struct {
    rmt_id_t image;
    char *target, *place;   // Owned; place may be empty
    rmt_records_t *choices; // Owned, as all below
    rmt_records_t *layout;
    rmt_records_t *personal;
} rmt_order_t;

// Unpack and check that every part is there: one choice for each disk of the layout,
// and a manifest root that is an id, or none, for each volume.
// Caller owns the result. NULL: PROTOCOL, TOO_BIG, USAGE.
rmt_order_t *rmt_order_new(const void *data, size_t size, rmt_error_t *error);
void rmt_order_destroy(rmt_order_t **self_p);

// The volumes in the order in which they are written: subvolumes of btrfs, each behind
// the one that holds it, then the others by mount point. Caller frees the array, not the
// records.
const rmt_record_t **rmt_order_volumes(const rmt_records_t *layout, size_t *count_out);

// Whether a volume's root is a tree to write; swap and unformatted ones hold none.
bool rmt_order_has_tree(const rmt_record_t *volume);

// What names an order that was prepared by one start of an agent.
void rmt_order_plan(const void *data, size_t size, const uint8_t nonce[16],
                    rmt_id_t *plan_out);
