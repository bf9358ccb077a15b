// rmt_old_tree - what differs between a tree and a manifest, entry by entry. For
// rmt_converge alone.
#pragma once

#include "tree/rmt_converge.h"
#include "tree/rmt_olds.h"

typedef enum {
    RMT_OLD_TREE_SAME,   // Nothing to do
    RMT_OLD_TREE_CHANGE, // Set the attributes
    RMT_OLD_TREE_MAKE,   // Make it new, whatever stands there
    RMT_OLD_TREE_LINK,   // A further name, of the inode of its group
    RMT_OLD_TREE_KEPT,   // Leave it alone, and what stands there
} rmt_old_tree_verdict_t;

typedef struct {
    uint8_t *verdicts; // rmt_old_tree_verdict_t of each entry of the manifest
    size_t count, room;
    size_t *kept_counts; // Of each glob
    rmt_olds_t *olds;
    rmt_converge_report_t plan;
} rmt_old_tree_t;

// Read both. Changes nothing. 0, or -1 as rmt_converge_new; free it in any case.
int rmt_old_tree_read(rmt_old_tree_t *self, const rmt_converge_options_t *options,
                      rmt_error_t *error);
void rmt_old_tree_free(rmt_old_tree_t *self);
