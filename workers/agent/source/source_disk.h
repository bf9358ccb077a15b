// source_disk - the disks of a source: their tables, their file systems and where their
// trees are.
//
// Three ways: disk image files (or unused devices) are read, and their volumes are
// mounted read-only in a namespace of this thread; a tree stands for the disks that a
// facts file describes, or for GPT with one ext4 root; a tree and disks together are a
// running system, whose volumes are reached through the tree. Of the tree "/" on a
// partition the disk is found.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "agent/source/parts.h"
#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

// Volumes with files of one source. The agent holds each of them open, and its snapshot
// too, while it images.
#define RMT_SOURCE_TREES_MAX RMT_LAYOUT_VOLUMES_MAX

typedef struct rmt_source_disk rmt_source_disk_t;

// name: of the source; made-up identifiers are made from it. parts: NULL for none.
// Both are borrowed while self lives. Call all of this in one thread. Caller owns the
// result. NULL: CONFIG, UNSUPPORTED, IO, what the libraries say.
rmt_source_disk_t *rmt_source_disk_new(const rmt_config_t *config, const char *name,
                                       const rmt_parts_words_t *parts,
                                       rmt_error_t *error);
void rmt_source_disk_destroy(rmt_source_disk_t **self_p);

// Its layout: disks, partitions, volumes; what a capture finds out is set in it.
rmt_layout_t *rmt_source_disk_layout(rmt_source_disk_t *self);

// Say that copies do not have something: it joins what was left out.
void rmt_source_disk_drop(rmt_source_disk_t *self, const char *path, const char *reason);
// What was left out: {path, reason}, borrowed.
const rmt_records_t *rmt_source_disk_dropped(const rmt_source_disk_t *self);

// Partitions that the user leaves out: {class=without, path, what}, borrowed.
const rmt_records_t *rmt_source_disk_without(const rmt_source_disk_t *self);
// The table as the disk has it, with them; borrowed.
const rmt_layout_t *rmt_source_disk_table(const rmt_source_disk_t *self);

// What was not cleanly unmounted and is read with its log replayed, from a layer that is
// thrown away: {path, reason, bytes}, borrowed; NULL: nothing could be.
const rmt_records_t *rmt_source_disk_replayed(const rmt_source_disk_t *self);

// Volumes that hold a tree, and where it is; the descriptor is borrowed.
size_t rmt_source_disk_count(const rmt_source_disk_t *self);
rmt_layout_volume_t *rmt_source_disk_volume(rmt_source_disk_t *self, size_t index);
int rmt_source_disk_tree(const rmt_source_disk_t *self, size_t index);

// The tree of the volume that is mounted on /, borrowed; -1 for none.
int rmt_source_disk_root(const rmt_source_disk_t *self);
// A whole disk by its index in the layout, borrowed; -1 for trees that stand for one.
int rmt_source_disk_fd(const rmt_source_disk_t *self, size_t disk);
// Are they the disks of a system that runs here?
bool rmt_source_disk_is_running(const rmt_source_disk_t *self);

// All trees are captured and their volumes have files and bytes: set what depends on
// sizes.
void rmt_source_disk_settle(rmt_source_disk_t *self);
