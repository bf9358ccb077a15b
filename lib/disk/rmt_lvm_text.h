// rmt_lvm_text - the text in which LVM describes a volume group, as a tree of sections
// and values.
//
// It comes from a foreign disk. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_LVM_SECTOR ((uint64_t) 512) // In which it counts, whatever the disk has

typedef struct rmt_lvm_node rmt_lvm_node_t;
struct rmt_lvm_node {
    char *name;
    char **values; // Of "name = value" one, of "name = [value, ...]" each
    size_t value_count;
    rmt_lvm_node_t *nodes; // Of "name { ... }"
    size_t node_count;
};

// The whole text as a node without a name. Caller owns the result. NULL: CORRUPT.
rmt_lvm_node_t *rmt_lvm_text_parse(const char *text, rmt_error_t *error);
void rmt_lvm_node_destroy(rmt_lvm_node_t **self_p);

// The section of the group in such a text: the one that has an id; NULL for none. text
// may be NULL.
const rmt_lvm_node_t *rmt_lvm_text_group(const rmt_lvm_node_t *text);

// The node of this name directly in another one, or NULL; self may be NULL.
const rmt_lvm_node_t *rmt_lvm_node_find(const rmt_lvm_node_t *self, const char *name);
// The single value of such a node, or "".
const char *rmt_lvm_node_text(const rmt_lvm_node_t *self, const char *name);
// The same as a number; `missing` when there is none or it is no number.
uint64_t rmt_lvm_node_number(const rmt_lvm_node_t *self, const char *name,
                             uint64_t missing);
// Is a value one of those of such a node?
bool rmt_lvm_node_lists(const rmt_lvm_node_t *self, const char *name, const char *value);
