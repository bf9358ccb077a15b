#include "unit/shelf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int
shelf_keep(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    shelf_t *shelf = context;
    shelf->kept = realloc(shelf->kept, (shelf->count + 1) * sizeof *shelf->kept);
    shelf_kept_t *kept = &shelf->kept[shelf->count++];
    kept->id = chunk->id;
    kept->size = chunk->plain_size;
    kept->plain = malloc(chunk->plain_size);
    return rmt_chunk_open(chunk, kept->plain, error);
}

shelf_kept_t *
shelf_find(shelf_t *shelf, const rmt_id_t *id)
{
    for (size_t i = 0; i < shelf->count; i++) {
        const size_t at = (shelf->last + 1 + i) % shelf->count;
        if (!rmt_id_equal(&shelf->kept[at].id, id))
            continue;
        shelf->last = at;
        return &shelf->kept[at];
    }
    return NULL;
}

int
shelf_give(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
           rmt_error_t *error)
{
    const shelf_kept_t *kept = shelf_find(context, id);
    if (!kept)
        return rmt_fail(error, RMT_E_NOT_FOUND, "no such chunk");
    memcpy(plain_out, kept->plain, kept->size);
    *size_out = kept->size;
    return 0;
}

void
shelf_clear(shelf_t *shelf)
{
    for (size_t i = 0; i < shelf->count; i++)
        free(shelf->kept[i].plain);
    free(shelf->kept);
    *shelf = (shelf_t){0};
}

rmt_entry_t
entry_of(const char *path, uint32_t mode)
{
    return (rmt_entry_t){.path = path,
                         .path_size = strlen(path),
                         .mode = mode,
                         .uid = 1000,
                         .gid = 100,
                         .mtime_s = 1700000000,
                         .mtime_ns = 123456789};
}

rmt_id_t
id_of(uint8_t fill)
{
    rmt_id_t id;
    memset(id.bytes, fill, sizeof id.bytes);
    id.bytes[0] = RMT_ID_SHA256;
    return id;
}

void
entry_assert_same(const rmt_entry_t *a, const rmt_entry_t *b)
{
    assert_string_equal(a->path, b->path);
    assert_int_equal(a->path_size, b->path_size);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->mtime_s, b->mtime_s);
    assert_int_equal(a->mtime_ns, b->mtime_ns);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->rdev_major, b->rdev_major);
    assert_int_equal(a->rdev_minor, b->rdev_minor);
    assert_int_equal(!a->target, !b->target);
    if (a->target)
        assert_string_equal(a->target, b->target);
    assert_int_equal(a->link_group, b->link_group);
    assert_int_equal(a->link_first, b->link_first);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->project, b->project);
    assert_int_equal(a->sparse, b->sparse);
    assert_int_equal(a->fuzzy, b->fuzzy);
    assert_int_equal(a->unreadable, b->unreadable);
    assert_int_equal(a->xattr_count, b->xattr_count);
    for (size_t i = 0; i < a->xattr_count; i++) {
        assert_string_equal(a->xattrs[i].name, b->xattrs[i].name);
        assert_int_equal(a->xattrs[i].value_size, b->xattrs[i].value_size);
        assert_memory_equal(a->xattrs[i].value, b->xattrs[i].value,
                            a->xattrs[i].value_size);
    }
    assert_int_equal(a->extent_count, b->extent_count);
    for (size_t i = 0; i < a->extent_count; i++) {
        assert_int_equal(a->extents[i].offset, b->extents[i].offset);
        assert_int_equal(a->extents[i].size, b->extents[i].size);
    }
    assert_int_equal(a->hints, b->hints);
    assert_int_equal(a->extent_size, b->extent_size);
    assert_int_equal(a->cow_extent_size, b->cow_extent_size);
    assert_int_equal(a->reserved_count, b->reserved_count);
    for (size_t i = 0; i < a->reserved_count; i++) {
        assert_int_equal(a->reserved[i].offset, b->reserved[i].offset);
        assert_int_equal(a->reserved[i].size, b->reserved[i].size);
    }
    assert_int_equal(a->chunk_count, b->chunk_count);
    for (size_t i = 0; i < a->chunk_count; i++) {
        assert_true(rmt_id_equal(&a->chunks[i], &b->chunks[i]));
        assert_int_equal(a->chunk_sizes[i], b->chunk_sizes[i]);
    }
}

static const rmt_xattr_t s_xattrs[] = {{"security.capability", "\1\0\0\2", 4},
                                       {"user.x", "", 0}};
static const rmt_extent_t s_extents[] = {{0, 4096}, {1ULL << 40, 8192}};
static const rmt_extent_t s_reserved[] = {{8192, 4096}, {INT64_MAX - 9, 9}};
static const uint32_t s_sizes[] = {12000, 288};
static rmt_id_t s_ids[2];

size_t
entries_of_all_kinds(rmt_entry_t entries[16])
{
    size_t n = 0;
    s_ids[0] = id_of(0x11);
    s_ids[1] = id_of(0x22);
    entries[n++] = entry_of("", S_IFDIR | 0755);
    entries[n++] = entry_of("dev", S_IFDIR | 01777);
    entries[n] = entry_of("dev/null", S_IFCHR | 0666);
    entries[n].rdev_major = 1;
    entries[n++].rdev_minor = 3;
    entries[n] = entry_of("dev/sda", S_IFBLK | 0660);
    entries[n++].rdev_major = 8;
    entries[n] = entry_of("dev.txt", S_IFREG | 04755);
    entries[n].mtime_s = -5;
    entries[n].size = 12288;
    entries[n].chunks = s_ids;
    entries[n].chunk_sizes = s_sizes;
    entries[n].chunk_count = 2;
    entries[n].xattrs = s_xattrs;
    entries[n].xattr_count = 2;
    entries[n].link_group = 1ULL << 60;
    entries[n].link_first = true;
    entries[n].flags = 0x10;
    entries[n].project = 7;
    entries[n++].fuzzy = true;
    entries[n++] = entry_of("empty", S_IFREG | 0600);
    entries[n] = entry_of("link", S_IFREG | 04755);
    entries[n].size = 12288;
    entries[n++].link_group = 1ULL << 60;
    entries[n] = entry_of("lost", S_IFREG | 0600);
    entries[n].size = 99;
    entries[n++].unreadable = true;
    entries[n++] = entry_of("pipe", S_IFIFO | 0600);
    entries[n++] = entry_of("socket", S_IFSOCK | 0600);
    entries[n] = entry_of("sparse", S_IFREG | 0600);
    entries[n].size = UINT64_MAX / 2;
    entries[n].sparse = true;
    entries[n].extents = s_extents;
    entries[n].extent_count = 2;
    entries[n].hints = 0x800;
    entries[n].extent_size = 65536;
    entries[n].reserved = s_reserved;
    entries[n].reserved_count = 2;
    entries[n].chunks = s_ids;
    entries[n].chunk_sizes = s_sizes;
    entries[n++].chunk_count = 2;
    entries[n] = entry_of("sparse-hole", S_IFREG | 0600);
    entries[n].size = 1 << 20;
    entries[n++].sparse = true;
    entries[n] = entry_of("symlink \xff\n", S_IFLNK | 0777);
    entries[n++].target = "../\xfe target";
    return n;
}
