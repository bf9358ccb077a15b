#include "tree/rmt_compare_side.h"
#include "base/rmt_auto.h"
#include "tree/rmt_glob.h"
#include "tree/rmt_capture_item.h"

#include <assert.h>
#include <stdlib.h>

struct rmt_compare_side {
    const char *const *ignores;
    rmt_links_t *links;
    rmt_walk_t *walk; // A tree
    rmt_capture_item_t *item;
    rmt_manifest_reader_t *reader; // A manifest
    rmt_entry_t read;
    const rmt_entry_t *entry;
    const rmt_hard_link_t *link;
};

rmt_compare_side_t *
rmt_compare_side_new(const rmt_compare_input_t *what, const char *const *ignores,
                     rmt_error_t *error)
{
    rmt_compare_side_t *self = calloc(1, sizeof *self);
    assert(self);
    self->ignores = ignores;
    self->links = rmt_links_new();
    if (what->source)
        self->reader = rmt_manifest_reader_new(what->root, what->source,
                                               what->source_context, error);
    else
        self->walk = rmt_walk_new(what->tree_fd, ignores, error);
    if (!self->reader && !self->walk)
        rmt_compare_side_destroy(&self);
    return self;
}

void
rmt_compare_side_destroy(rmt_compare_side_t **self_p)
{
    rmt_compare_side_t *self = *self_p;
    if (!self)
        return;
    rmt_capture_item_destroy(&self->item);
    rmt_walk_destroy(&self->walk);
    rmt_manifest_reader_destroy(&self->reader);
    rmt_links_destroy(&self->links);
    free(self);
    *self_p = NULL;
}

static void
s_find_link(rmt_compare_side_t *self, uint64_t device, uint64_t inode)
{
    self->link = rmt_links_find(self->links, device, inode);
    if (!self->link)
        self->link = rmt_links_add(self->links, device, inode, self->entry->path,
                                   self->entry->path_size);
}

static int
s_next_of_tree(rmt_compare_side_t *self, rmt_error_t *error)
{
    for (;;) {
        rmt_capture_item_destroy(&self->item);
        rmt_walk_item_t found;
        const int result = rmt_walk_next(self->walk, &found, error);
        if (result != 1)
            return result;
        self->item = rmt_capture_item_new(&found);
        rmt_capture_item_open(self->item);
        if (!self->item->is_vanished)
            break;
    }
    const struct stat *status = &self->item->status;
    self->item->entry.sparse =
        S_ISREG(status->st_mode) &&
        rmt_extents_is_sparse(&self->item->runs, self->item->entry.size);
    self->entry = &self->item->entry;
    if (!S_ISDIR(status->st_mode) && status->st_nlink > 1)
        s_find_link(self, status->st_dev, status->st_ino);
    return 1;
}

static int
s_next_of_manifest(rmt_compare_side_t *self, rmt_error_t *error)
{
    do {
        const int result = rmt_manifest_reader_next(self->reader, &self->read, error);
        if (result != 1)
            return result;
    } while (rmt_glob_match_any(self->ignores, self->read.path));
    self->entry = &self->read;
    if (self->read.link_group)
        s_find_link(self, 0, self->read.link_group);
    return 1;
}

int
rmt_compare_side_next(rmt_compare_side_t *self, rmt_error_t *error)
{
    self->entry = NULL;
    self->link = NULL;
    return self->walk ? s_next_of_tree(self, error) : s_next_of_manifest(self, error);
}

bool
rmt_compare_side_is_manifest(const rmt_compare_side_t *self)
{
    return self->reader != NULL;
}

const rmt_entry_t *
rmt_compare_side_entry(const rmt_compare_side_t *self)
{
    return self->entry;
}

const char *
rmt_compare_side_first_name(const rmt_compare_side_t *self)
{
    return self->link ? self->link->path : self->entry->path;
}

bool
rmt_compare_side_has_attributes(const rmt_compare_side_t *self)
{
    return self->walk || !self->entry->link_group || self->entry->link_first;
}

int
rmt_compare_side_take_fd(rmt_compare_side_t *self)
{
    return self->item ? rmt_take_fd(&self->item->fd) : -1;
}

const char *
rmt_compare_side_trouble(const rmt_compare_side_t *self, rmt_code_t *why_out)
{
    if (self->item && self->item->is_unreadable)
        *why_out = self->item->why;
    return self->item && self->item->is_unreadable ? self->item->reason : NULL;
}

rmt_extents_t
rmt_compare_side_runs(const rmt_compare_side_t *self)
{
    rmt_extents_t runs = {0};
    const rmt_extent_t *from = self->walk ? self->item->runs.items : self->entry->extents;
    const size_t count = self->walk ? self->item->runs.count : self->entry->extent_count;
    if (!self->walk && !self->entry->sparse)
        rmt_extents_add(&runs, 0, self->entry->size);
    else
        for (size_t i = 0; i < count; i++)
            rmt_extents_add(&runs, from[i].offset, from[i].size);
    return runs;
}

rmt_extents_t
rmt_compare_side_reserved(const rmt_compare_side_t *self)
{
    rmt_extents_t runs = {0};
    const rmt_extent_t *from =
        self->walk ? self->item->reserved.items : self->entry->reserved;
    const size_t count =
        self->walk ? self->item->reserved.count : self->entry->reserved_count;
    for (size_t i = 0; i < count; i++)
        rmt_extents_add(&runs, from[i].offset, from[i].size);
    return runs;
}
