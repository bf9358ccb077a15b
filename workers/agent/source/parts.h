// parts - the partitions of a source that an image treats as its user says: left out, or
// carried block by block.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

typedef struct {
    const char *without, *raw; // Words (rmt_part), one a line; "" or NULL for none
    bool is_loose;             // A word that means none is passed over
    bool has_roles;            // Each word begins with the role of its disk: "disk2:3"
} rmt_parts_words_t;

// The words of a task's body.
rmt_parts_words_t rmt_parts_of(const rmt_record_t *body);

// Does each word for a source with so many disks begin with the role of one of them? 0,
// or -1: USAGE.
int rmt_parts_check_roles(const rmt_parts_words_t *words, size_t disks,
                          rmt_error_t *error);

// Take the partitions that are left out off the layout of the disk at path, and tell them
// in told as {class=without, path, what}; make those that are carried block by block
// volumes of kind raw. 0, or -1: NOT_FOUND, USAGE (a word), REFUSED
// (one that others need), IO.
int rmt_parts_apply(rmt_layout_t *layout, const char *path,
                    const rmt_parts_words_t *words, rmt_records_t *told,
                    rmt_error_t *error);

// Refuse words for a source that is a tree. 0, or -1: UNSUPPORTED.
int rmt_parts_refuse(const rmt_parts_words_t *words, rmt_error_t *error);

// Put the partition's number before a refusal of what lies in it, and behind that of what
// lies in a partition how an image of this source can be made nevertheless. role: of its
// disk, where there are several; else NULL. Returns -1.
int rmt_parts_advise(const char *source, const char *role, uint64_t number,
                     rmt_error_t *error);
