#include "tree/rmt_links.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct rmt_links {
    rmt_hard_link_t **slots;
    size_t room; // A power of two
    size_t count;
};

rmt_links_t *
rmt_links_new(void)
{
    rmt_links_t *self = calloc(1, sizeof *self);
    assert(self);
    self->room = 256;
    self->slots = calloc(self->room, sizeof *self->slots);
    assert(self->slots);
    return self;
}

void
rmt_links_destroy(rmt_links_t **self_p)
{
    rmt_links_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->room; i++)
        free(self->slots[i]);
    free(self->slots);
    free(self);
    *self_p = NULL;
}

// The slot of the key, or the free one where it belongs.
static size_t
s_slot(rmt_hard_link_t *const *slots, size_t room, uint64_t device, uint64_t inode)
{
    uint64_t hash = (inode ^ (device << 32 | device >> 32)) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    size_t at = (size_t) hash & (room - 1);
    while (slots[at] && (slots[at]->device != device || slots[at]->inode != inode))
        at = (at + 1) & (room - 1);
    return at;
}

rmt_hard_link_t *
rmt_links_find(const rmt_links_t *self, uint64_t device, uint64_t inode)
{
    return self->slots[s_slot(self->slots, self->room, device, inode)];
}

static void
s_grow(rmt_links_t *self)
{
    const size_t room = self->room * 2;
    rmt_hard_link_t **slots = calloc(room, sizeof *slots);
    assert(slots);
    for (size_t i = 0; i < self->room; i++) {
        rmt_hard_link_t *link = self->slots[i];
        if (link)
            slots[s_slot(slots, room, link->device, link->inode)] = link;
    }
    free(self->slots);
    self->slots = slots;
    self->room = room;
}

rmt_hard_link_t *
rmt_links_add(rmt_links_t *self, uint64_t device, uint64_t inode, const char *path,
              size_t path_size)
{
    assert(!rmt_links_find(self, device, inode));
    if (self->count * 2 >= self->room)
        s_grow(self);
    rmt_hard_link_t *link = calloc(1, sizeof *link + path_size + 1);
    assert(link);
    link->device = device;
    link->inode = inode;
    link->group = ++self->count;
    link->path_size = path_size;
    memcpy(link->path, path, path_size);
    self->slots[s_slot(self->slots, self->room, device, inode)] = link;
    return link;
}
