// rmt_links - the first name of each inode with several names: groups of hard links.
//
// Keys are 64-bit pairs, so numbers are never truncated. Memory is one link for each
// inode with several names. One thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t device, inode; // The key; the caller may use other numbers than these
    uint64_t group;         // 1, 2, ... in order of adding
    uint64_t made_device, made_inode; // For the caller's use
    size_t path_size;
    char path[]; // Its first name, NUL-terminated
} rmt_hard_link_t;

typedef struct rmt_links rmt_links_t;

rmt_links_t *rmt_links_new(void);
void rmt_links_destroy(rmt_links_t **self_p);
// The link of this key, valid until destroy, or NULL.
rmt_hard_link_t *rmt_links_find(const rmt_links_t *self, uint64_t device, uint64_t inode);
// Add a key that is not there yet. Copies path. Returns the link.
rmt_hard_link_t *rmt_links_add(rmt_links_t *self, uint64_t device, uint64_t inode,
                               const char *path, size_t path_size);
