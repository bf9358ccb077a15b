#include "store/rmt_entry.h"

#include <assert.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

// ---- Checks: each gives NULL, or what is wrong

static const char *
s_check_path(const rmt_entry_t *entry)
{
    const char *path = entry->path;
    if (entry->path_size > 0 && memchr(path, '\0', entry->path_size))
        return "NUL byte in the path";
    size_t start = 0, depth = 0;
    for (size_t at = 0; entry->path_size > 0 && at <= entry->path_size; at++) {
        if (at < entry->path_size && path[at] != '/')
            continue;
        const size_t size = at - start;
        if (size == 0)
            return "the path has an empty component";
        if (size > RMT_NAME_SIZE_MAX)
            return "the path has a component of more than 255 bytes";
        if (path[start] == '.' && (size == 1 || (size == 2 && path[start + 1] == '.')))
            return "the path has a component . or ..";
        start = at + 1;
        depth++;
    }
    return depth > RMT_PATH_DEPTH_MAX ? "the path has more than 32,768 components" : NULL;
}

static const char *
s_check_type(const rmt_entry_t *entry)
{
    const uint32_t mode = entry->mode;
    const bool is_file = S_ISREG(mode);
    if (mode & ~(uint32_t) (S_IFMT | 07777))
        return "unknown mode bits";
    if (!is_file && !S_ISDIR(mode) && !S_ISLNK(mode) && !S_ISCHR(mode) &&
        !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
        return "unknown type";
    if (entry->path_size == 0 && !S_ISDIR(mode))
        return "the root is not a folder";
    if (!is_file && (entry->size || entry->sparse || entry->chunk_count))
        return "only a regular file has contents";
    if (!S_ISLNK(mode) && entry->target)
        return "only a symlink has a target";
    if (!S_ISCHR(mode) && !S_ISBLK(mode) && (entry->rdev_major || entry->rdev_minor))
        return "only a device has a device number";
    if (S_ISDIR(mode) && entry->link_group)
        return "a hard link to a folder";
    if (entry->hints && !is_file && !S_ISDIR(mode))
        return "only files and folders have allocation hints";
    if (!entry->hints && (entry->extent_size || entry->cow_extent_size))
        return "the entry has sizes of extents without a hint";
    if (entry->link_first && !entry->link_group)
        return "the first entry of a link group has no link group";
    if (entry->mtime_ns >= 1000000000)
        return "the nanoseconds are more than a second";
    return NULL;
}

// The kernel takes the owner 2^32 - 1 as "leave it", and no file ends behind 2^63 - 1.
static const char *
s_check_numbers(const rmt_entry_t *entry)
{
    if (entry->uid == UINT32_MAX || entry->gid == UINT32_MAX)
        return "the owner or the group is 4294967295, which Linux cannot have";
    if (entry->size > INT64_MAX)
        return "the size is larger than 2^63 - 1";
    return NULL;
}

static const char *
s_check_target(const rmt_entry_t *entry)
{
    if (!entry->target) {
        // The first member of a link group carries the target for the others.
        const bool is_repeat = entry->link_group && !entry->link_first;
        const bool may_lack = is_repeat || entry->unreadable;
        return S_ISLNK(entry->mode) && !may_lack ? "the symlink has no target" : NULL;
    }
    const size_t size = strnlen(entry->target, RMT_PATH_SIZE_MAX + 1);
    return size == 0 ? "the target is empty" : NULL;
}

static const char *
s_check_xattrs(const rmt_entry_t *entry)
{
    const char *previous = "";
    size_t total = 0;
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const rmt_xattr_t *xattr = &entry->xattrs[i];
        const size_t size = strnlen(xattr->name, RMT_NAME_SIZE_MAX + 1);
        if (size == 0 || size > RMT_NAME_SIZE_MAX)
            return "the name of an attribute is empty or has more than 255 bytes";
        if (strcmp(previous, xattr->name) >= 0)
            return "the attributes are not sorted";
        if (xattr->value_size > RMT_XATTR_SIZE_MAX)
            return "an attribute is larger than 64 KiB";
        previous = xattr->name;
        total += size + xattr->value_size;
    }
    return total > RMT_XATTR_TOTAL_MAX ? "the attributes are larger than 4 MiB together"
                                       : NULL;
}

// Reserved runs rise, do not touch, and cover no data.
static const char *
s_check_reserved(const rmt_entry_t *entry)
{
    if (entry->reserved_count && !S_ISREG(entry->mode))
        return "only a regular file has reserved runs";
    const rmt_extent_t whole = {0, entry->size};
    const rmt_extent_t *data = entry->sparse ? entry->extents : &whole;
    const size_t data_count = entry->sparse ? entry->extent_count : entry->size > 0;
    uint64_t end = 0;
    for (size_t i = 0, j = 0; i < entry->reserved_count; i++) {
        const rmt_extent_t *run = &entry->reserved[i];
        if (run->size == 0)
            return "a reserved run is empty";
        if (run->offset < end || (i > 0 && run->offset == end))
            return "the reserved runs touch or are not sorted";
        if (run->offset > INT64_MAX || run->size > INT64_MAX - run->offset)
            return "a reserved run ends after 2^63 - 1";
        end = run->offset + run->size;
        while (j < data_count && data[j].offset + data[j].size <= run->offset)
            j++;
        if (j < data_count && data[j].offset < end)
            return "a reserved run contains data";
    }
    return NULL;
}

// Sum of the data runs; they rise, do not touch, and lie within the file.
static const char *
s_check_extents(const rmt_entry_t *entry, uint64_t *data_size_out)
{
    if (!entry->sparse) {
        *data_size_out = entry->size;
        return entry->extent_count ? "only a sparse file has data runs" : NULL;
    }
    uint64_t end = 0, sum = 0;
    for (size_t i = 0; i < entry->extent_count; i++) {
        const rmt_extent_t *extent = &entry->extents[i];
        if (extent->size == 0)
            return "a data run is empty";
        if (extent->offset < end || (i > 0 && extent->offset == end))
            return "the data runs touch or are not sorted";
        if (extent->offset > entry->size || extent->size > entry->size - extent->offset)
            return "a data run ends after the file";
        end = extent->offset + extent->size;
        sum += extent->size; // At most the file's size, as runs do not overlap
    }
    *data_size_out = sum;
    return NULL;
}

static const char *
s_check_contents(const rmt_entry_t *entry)
{
    if (entry->link_group && !entry->link_first) {
        const bool has_more = entry->chunk_count || entry->sparse || entry->xattr_count ||
                              entry->reserved_count;
        return has_more ? "a further hard link has contents of its own" : NULL;
    }
    uint64_t data_size = 0, sum = 0;
    const char *wrong = s_check_extents(entry, &data_size);
    if (wrong)
        return wrong;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        const uint32_t size = entry->chunk_sizes[i];
        if (size == 0 || size > RMT_CHUNK_PLAIN_MAX)
            return "a chunk's size is out of range";
        if (entry->chunks[i].bytes[0] != RMT_ID_SHA256)
            return "a chunk's id has an unknown algorithm";
        sum += size; // 2^32 chunks of 1 MiB would not overflow it
    }
    if (entry->unreadable)
        return entry->chunk_count ? "an unreadable file has chunks" : NULL;
    return sum == data_size ? NULL : "the sizes of the chunks do not add up";
}

int
rmt_entry_check(const rmt_entry_t *entry, rmt_error_t *error)
{
    if (entry->path_size > RMT_PATH_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the path has %zu bytes, which is too many",
                        entry->path_size);
    if (entry->xattr_count > RMT_XATTR_COUNT_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "the entry has %zu attributes, which is too many",
                        entry->xattr_count);
    if (entry->target &&
        strnlen(entry->target, RMT_PATH_SIZE_MAX + 1) > RMT_PATH_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the symlink has more than %zu bytes",
                        RMT_PATH_SIZE_MAX);
    static const char *(*const checks[])(const rmt_entry_t *) = {
        s_check_path,   s_check_type,     s_check_numbers,  s_check_target,
        s_check_xattrs, s_check_contents, s_check_reserved,
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const char *wrong = checks[i](entry);
        if (wrong)
            return rmt_fail(error, RMT_E_CORRUPT, "entry: %s", wrong);
    }
    return 0;
}

// ---- Encoding

// Put tag and size before the extra that begins at start.
static void
s_close_extra(rmt_buffer_t *out, size_t start, unsigned number)
{
    const size_t size = out->used - start;
    uint8_t head_bytes[2 * RMT_VARINT_SIZE_MAX];
    rmt_buffer_t head = {head_bytes, 0, sizeof head_bytes};
    rmt_buffer_add_varint(&head, number * 2 + 1);
    rmt_buffer_add_varint(&head, size);
    rmt_buffer_reserve(out, head.used);
    memmove(out->data + start + head.used, out->data + start, size);
    memcpy(out->data + start, head_bytes, head.used);
    out->used += head.used;
}

static void
s_add_number(rmt_buffer_t *out, unsigned number, uint64_t value)
{
    if (value == 0)
        return;
    const size_t start = out->used;
    rmt_buffer_add_varint(out, value);
    s_close_extra(out, start, number);
}

static void
s_add_pair(rmt_buffer_t *out, unsigned number, uint64_t first, uint64_t second)
{
    if (first == 0 && second == 0)
        return;
    const size_t start = out->used;
    rmt_buffer_add_varint(out, first);
    rmt_buffer_add_varint(out, second);
    s_close_extra(out, start, number);
}

static void
s_add_chunks(rmt_buffer_t *out, const rmt_entry_t *entry)
{
    if (entry->chunk_count == 0)
        return;
    const size_t start = out->used;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        rmt_buffer_add_varint(out, entry->chunk_sizes[i]);
        rmt_buffer_add(out, entry->chunks[i].bytes, RMT_ID_SIZE);
    }
    s_close_extra(out, start, RMT_EXTRA_CHUNKS);
}

static void
s_add_runs(rmt_buffer_t *out, unsigned number, const rmt_extent_t *runs, size_t count)
{
    const size_t start = out->used;
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        rmt_buffer_add_varint(out, runs[i].offset - end);
        rmt_buffer_add_varint(out, runs[i].size);
        end = runs[i].offset + runs[i].size;
    }
    s_close_extra(out, start, number);
}

static void
s_add_hints(rmt_buffer_t *out, const rmt_entry_t *entry)
{
    if (!entry->hints)
        return;
    const size_t start = out->used;
    rmt_buffer_add_varint(out, entry->hints);
    rmt_buffer_add_varint(out, entry->extent_size);
    rmt_buffer_add_varint(out, entry->cow_extent_size);
    s_close_extra(out, start, RMT_EXTRA_HINTS);
}

static void
s_add_target(rmt_buffer_t *out, const rmt_entry_t *entry)
{
    if (!entry->target)
        return;
    const size_t start = out->used;
    rmt_buffer_add(out, entry->target, strlen(entry->target));
    s_close_extra(out, start, RMT_EXTRA_TARGET);
}

static void
s_add_xattrs(rmt_buffer_t *out, const rmt_entry_t *entry)
{
    if (entry->xattr_count == 0)
        return;
    const size_t start = out->used;
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const rmt_xattr_t *xattr = &entry->xattrs[i];
        const size_t name_size = strlen(xattr->name);
        rmt_buffer_add_varint(out, name_size);
        rmt_buffer_add(out, xattr->name, name_size);
        rmt_buffer_add_varint(out, xattr->value_size);
        rmt_buffer_add(out, xattr->value, xattr->value_size);
    }
    s_close_extra(out, start, RMT_EXTRA_XATTRS);
}

void
rmt_entry_encode_after(const rmt_entry_t *entry, size_t shared, rmt_buffer_t *out)
{
    assert(shared <= entry->path_size);
    rmt_buffer_add_varint(out, shared);
    rmt_buffer_add_varint(out, entry->path_size - shared);
    rmt_buffer_add(out, entry->path + shared, entry->path_size - shared);
    rmt_buffer_add_varint(out, entry->mode);
    rmt_buffer_add_varint(out, entry->uid);
    rmt_buffer_add_varint(out, entry->gid);
    // Zigzag, so that times before 1970 are short as well.
    const uint64_t sign = entry->mtime_s < 0 ? UINT64_MAX : 0;
    rmt_buffer_add_varint(out, ((uint64_t) entry->mtime_s << 1) ^ sign);
    rmt_buffer_add_varint(out, entry->mtime_ns);

    s_add_number(out, RMT_EXTRA_SIZE, entry->size);
    s_add_chunks(out, entry);
    if (entry->sparse)
        s_add_runs(out, RMT_EXTRA_EXTENTS, entry->extents, entry->extent_count);
    s_add_target(out, entry);
    s_add_pair(out, RMT_EXTRA_DEVICE, entry->rdev_major, entry->rdev_minor);
    s_add_pair(out, RMT_EXTRA_LINK, entry->link_group, entry->link_first);
    s_add_xattrs(out, entry);
    s_add_number(out, RMT_EXTRA_FLAGS, entry->flags);
    s_add_number(out, RMT_EXTRA_PROJECT, entry->project);
    s_add_number(out, RMT_EXTRA_MARKS,
                 (entry->fuzzy ? RMT_MARK_FUZZY : 0u) |
                     (entry->unreadable ? RMT_MARK_UNREADABLE : 0u));
    if (entry->reserved_count)
        s_add_runs(out, RMT_EXTRA_RESERVED, entry->reserved, entry->reserved_count);
    s_add_hints(out, entry);
}

void
rmt_entry_encode(const rmt_entry_t *entry, uint8_t **data_p, size_t *used_p,
                 size_t *room_p)
{
    rmt_buffer_t out = {*data_p, *used_p, *room_p};
    rmt_entry_encode_after(entry, 0, &out);
    *data_p = out.data;
    *used_p = out.used;
    *room_p = out.room;
}
