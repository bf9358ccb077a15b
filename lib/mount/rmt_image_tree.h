// rmt_image_tree - the names and inodes of an image in memory, with all its volumes where
// they are mounted: what a file system shows of it.
//
// First filled from the manifests, volume by volume, then asked. Memory is some 250 bytes
// for each inode, and 37 for each chunk. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

#define RMT_IMAGE_TREE_ROOT 0u // The inode of "/"

typedef struct rmt_image_tree rmt_image_tree_t;

typedef struct {
    uint64_t size;      // Bytes of a file or of a symlink's target
    uint64_t data_size; // Of a file without its holes
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t mode, uid, gid;
    uint32_t links; // Names that are shown; of a folder 2 and its folders
    uint32_t rdev_major, rdev_minor;
    bool is_unreadable; // The image has no contents for it
} rmt_image_inode_t;

rmt_image_tree_t *rmt_image_tree_new(void);
void rmt_image_tree_destroy(rmt_image_tree_t **self_p);

// Begin the volume that is mounted at mount ("/" or "" is the root), after those that
// hold the way to it. Symlinks on the way are followed within the tree. What lay in the
// folder is hidden, as below a mount. 0, or -1: CORRUPT.
int rmt_image_tree_begin(rmt_image_tree_t *self, const char *mount, rmt_error_t *error);
// The next entry of the volume, in the order of its manifest. 0, or -1: CORRUPT, TOO_BIG.
int rmt_image_tree_add(rmt_image_tree_t *self, const rmt_entry_t *entry,
                       rmt_error_t *error);
// All was given; from now on it is asked.
void rmt_image_tree_finish(rmt_image_tree_t *self);

// Inodes that can be reached, bytes of their contents, and files without contents.
typedef struct {
    uint64_t inodes, bytes, unreadable;
} rmt_image_tree_counts_t;
void rmt_image_tree_count(const rmt_image_tree_t *self,
                          rmt_image_tree_counts_t *counts_out);

// Attributes of an inode, or NULL for a number that none has.
const rmt_image_inode_t *rmt_image_tree_inode(const rmt_image_tree_t *self,
                                              uint64_t inode);
// Find a name in a folder.
bool rmt_image_tree_find(const rmt_image_tree_t *self, uint32_t folder, const char *name,
                         uint32_t *inode_out);
// The name at index in a folder, in byte order; NULL behind the last.
const char *rmt_image_tree_name(const rmt_image_tree_t *self, uint32_t folder,
                                size_t index, uint32_t *inode_out);
// Inodes have the numbers below this.
size_t rmt_image_tree_end(const rmt_image_tree_t *self);
uint32_t rmt_image_tree_parent(const rmt_image_tree_t *self, uint32_t folder);
// All that the manifest has of an inode, but its path. It lives in room until the next
// call. 0, or -1: CORRUPT.
int rmt_image_tree_entry(const rmt_image_tree_t *self, uint32_t inode,
                         rmt_entry_buffer_t *room, rmt_entry_t *entry_out,
                         rmt_error_t *error);
