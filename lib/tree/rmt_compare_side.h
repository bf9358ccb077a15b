// rmt_compare_side - the entries of a tree or of a manifest, one after the other. For
// rmt_compare alone.
#pragma once

#include <stdbool.h>
#include "tree/rmt_compare.h"
#include "tree/rmt_extents.h"

typedef struct rmt_compare_side rmt_compare_side_t;

rmt_compare_side_t *rmt_compare_side_new(const rmt_compare_input_t *what,
                                         const char *const *ignores, rmt_error_t *error);
void rmt_compare_side_destroy(rmt_compare_side_t **self_p);

bool rmt_compare_side_is_manifest(const rmt_compare_side_t *self);
// Go to the next entry. 1, 0 at the end, -1.
int rmt_compare_side_next(rmt_compare_side_t *self, rmt_error_t *error);

// Of the current entry, valid until next; NULL at the end. Trees have no chunks.
const rmt_entry_t *rmt_compare_side_entry(const rmt_compare_side_t *self);
// The first name of its inode: its own path when it has no other before.
const char *rmt_compare_side_first_name(const rmt_compare_side_t *self);
// False for a further link of a manifest, which has nothing but its type.
bool rmt_compare_side_has_attributes(const rmt_compare_side_t *self);
// The open file of a tree; Caller owns it then. -1 for all else.
int rmt_compare_side_take_fd(rmt_compare_side_t *self);
// Why a tree could not read it, or NULL.
const char *rmt_compare_side_trouble(const rmt_compare_side_t *self, rmt_code_t *why_out);
// Data runs of a regular file, and its reserved runs. Caller frees.
rmt_extents_t rmt_compare_side_runs(const rmt_compare_side_t *self);
rmt_extents_t rmt_compare_side_reserved(const rmt_compare_side_t *self);
