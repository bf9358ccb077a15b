#include "tree/rmt_links.h"
#include "base/rmt_grow.h"
#include "base/rmt_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct rmt_links {
    rmt_hard_link_t **links;
    size_t space;
    rmt_map_t map;
};

typedef struct {
    uint64_t device, inode;
} s_key_t;

rmt_links_t *
rmt_links_new(void)
{
    rmt_links_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

void
rmt_links_destroy(rmt_links_t **self_p)
{
    rmt_links_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->map.count; i++)
        free(self->links[i]);
    rmt_map_clear(&self->map);
    free(self->links);
    free(self);
    *self_p = NULL;
}

static uint32_t
s_hash(uint64_t device, uint64_t inode)
{
    const uint64_t hash = (inode ^ (device << 32 | device >> 32)) * 0x9e3779b97f4a7c15u;
    return (uint32_t) (hash ^ hash >> 32);
}

static bool
s_has_key(const void *links, size_t number, const void *of)
{
    const rmt_hard_link_t *link = ((rmt_hard_link_t *const *) links)[number];
    const s_key_t *key = of;
    return link->device == key->device && link->inode == key->inode;
}

rmt_hard_link_t *
rmt_links_find(const rmt_links_t *self, uint64_t device, uint64_t inode)
{
    const s_key_t key = {device, inode};
    const size_t number =
        rmt_map_find(&self->map, s_hash(device, inode), s_has_key, self->links, &key);
    return number == RMT_MAP_NONE ? NULL : self->links[number];
}

rmt_hard_link_t *
rmt_links_add(rmt_links_t *self, uint64_t device, uint64_t inode, const char *path,
              size_t path_size)
{
    assert(!rmt_links_find(self, device, inode));
    rmt_hard_link_t *link = calloc(1, sizeof *link + path_size + 1);
    assert(link);
    link->device = device;
    link->inode = inode;
    link->group = self->map.count + 1;
    link->path_size = path_size;
    memcpy(link->path, path, path_size);
    rmt_grow(&self->links, &self->space, self->map.count + 1);
    self->links[self->map.count] = link;
    rmt_map_add(&self->map, s_hash(device, inode));
    return link;
}
