#include "tree/rmt_copy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char *
s_put(char **at, const void *data, size_t size)
{
    char *start = *at;
    if (size)
        memcpy(start, data, size);
    *at += size;
    return start;
}

size_t
rmt_copy_size(const rmt_entry_t *entry)
{
    size_t size = sizeof *entry + entry->xattr_count * sizeof *entry->xattrs +
                  entry->extent_count * sizeof *entry->extents +
                  entry->reserved_count * sizeof *entry->reserved + entry->path_size + 1;
    if (entry->target)
        size += strlen(entry->target) + 1;
    for (size_t i = 0; i < entry->xattr_count; i++)
        size += strlen(entry->xattrs[i].name) + 1 + entry->xattrs[i].value_size;
    return size;
}

rmt_entry_t *
rmt_copy_entry(const rmt_entry_t *entry)
{
    const size_t xattrs_size = entry->xattr_count * sizeof *entry->xattrs;
    const size_t extents_size = entry->extent_count * sizeof *entry->extents;
    const size_t reserved_size = entry->reserved_count * sizeof *entry->reserved;
    rmt_entry_t *copy = malloc(rmt_copy_size(entry));
    assert(copy);
    *copy = *entry;
    copy->chunks = NULL;
    copy->chunk_sizes = NULL;
    copy->chunk_count = 0;

    // What needs alignment comes first.
    char *at = (char *) (copy + 1);
    copy->extents = (void *) s_put(&at, entry->extents, extents_size);
    copy->reserved = (void *) s_put(&at, entry->reserved, reserved_size);
    rmt_xattr_t *xattrs = (void *) s_put(&at, entry->xattrs, xattrs_size);
    copy->xattrs = xattrs;
    copy->path = s_put(&at, entry->path, entry->path_size + 1);
    if (entry->target)
        copy->target = s_put(&at, entry->target, strlen(entry->target) + 1);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const rmt_xattr_t *xattr = &entry->xattrs[i];
        xattrs[i].name = s_put(&at, xattr->name, strlen(xattr->name) + 1);
        xattrs[i].value = s_put(&at, xattr->value, xattr->value_size);
    }
    return copy;
}

uint64_t
rmt_copy_data_size(const rmt_entry_t *entry)
{
    if (!S_ISREG(entry->mode) || entry->unreadable ||
        (entry->link_group && !entry->link_first))
        return 0;
    if (!entry->sparse)
        return entry->size;
    uint64_t size = 0;
    for (size_t i = 0; i < entry->extent_count; i++)
        size += entry->extents[i].size;
    return size;
}

void *
rmt_copy_bytes(const void *data, size_t size)
{
    void *copy = malloc(size + 1);
    assert(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}
