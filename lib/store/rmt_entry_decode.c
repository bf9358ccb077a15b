#include "store/rmt_entry.h"

#include <assert.h>
#include <stdlib.h>

// Strings and arrays of one decoded entry.
struct rmt_entry_buffer {
    rmt_buffer_t path, target, text, xattrs, extents, reserved, chunks, sizes;
};

rmt_entry_buffer_t *
rmt_entry_buffer_new(void)
{
    rmt_entry_buffer_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

void
rmt_entry_buffer_destroy(rmt_entry_buffer_t **self_p)
{
    rmt_entry_buffer_t *self = *self_p;
    if (!self)
        return;
    rmt_buffer_clear(&self->path);
    rmt_buffer_clear(&self->target);
    rmt_buffer_clear(&self->text);
    rmt_buffer_clear(&self->xattrs);
    rmt_buffer_clear(&self->extents);
    rmt_buffer_clear(&self->reserved);
    rmt_buffer_clear(&self->chunks);
    rmt_buffer_clear(&self->sizes);
    free(self);
    *self_p = NULL;
}

// ---- Extras: each reader takes all of the view, or says false

typedef bool(s_extra_fn)(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry);

static bool
s_read_size(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    (void) room;
    return rmt_view_varint(view, &entry->size) && entry->size > 0;
}

static bool
s_read_chunks(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    // Each takes at least 34 bytes, so foreign counts cannot ask for more than they
    // bring.
    const size_t most = rmt_view_left(view) / (RMT_ID_SIZE + 1);
    room->chunks.used = room->sizes.used = 0;
    rmt_id_t *chunks = (void *) rmt_buffer_reserve(&room->chunks, most * RMT_ID_SIZE);
    uint32_t *sizes = (void *) rmt_buffer_reserve(&room->sizes, most * sizeof *sizes);
    size_t count = 0;
    while (rmt_view_left(view)) {
        uint64_t size = 0;
        if (!rmt_view_varint_to(view, RMT_CHUNK_PLAIN_MAX, &size))
            return false;
        const uint8_t *id = rmt_view_bytes(view, RMT_ID_SIZE);
        if (!id)
            return false;
        memcpy(chunks[count].bytes, id, RMT_ID_SIZE);
        sizes[count++] = (uint32_t) size;
    }
    entry->chunks = chunks;
    entry->chunk_sizes = sizes;
    entry->chunk_count = count;
    return count > 0;
}

static bool
s_read_runs(rmt_view_t *view, rmt_buffer_t *room, const rmt_extent_t **runs_out,
            size_t *count_out)
{
    const size_t most = rmt_view_left(view) / 2;
    room->used = 0;
    rmt_extent_t *runs = (void *) rmt_buffer_reserve(room, most * sizeof *runs);
    size_t count = 0;
    uint64_t end = 0;
    while (rmt_view_left(view)) {
        uint64_t gap = 0, size = 0;
        if (!rmt_view_varint_to(view, UINT64_MAX - end, &gap) ||
            !rmt_view_varint_to(view, UINT64_MAX - end - gap, &size))
            return false;
        runs[count++] = (rmt_extent_t){end + gap, size};
        end += gap + size;
    }
    *runs_out = runs;
    *count_out = count;
    return true;
}

static bool
s_read_extents(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    entry->sparse = true;
    return s_read_runs(view, &room->extents, &entry->extents, &entry->extent_count);
}

static bool
s_read_reserved(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    return s_read_runs(view, &room->reserved, &entry->reserved, &entry->reserved_count) &&
           entry->reserved_count > 0;
}

static bool
s_read_target(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    const size_t size = rmt_view_left(view);
    const uint8_t *text = rmt_view_bytes(view, size);
    if (size == 0 || size > RMT_PATH_SIZE_MAX || memchr(text, '\0', size))
        return false;
    room->target.used = 0;
    rmt_buffer_add(&room->target, text, size);
    rmt_buffer_add(&room->target, "", 1);
    entry->target = (const char *) room->target.data;
    return true;
}

static bool
s_read_device(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    (void) room;
    uint64_t major = 0, minor = 0;
    if (!rmt_view_varint_to(view, UINT32_MAX, &major) ||
        !rmt_view_varint_to(view, UINT32_MAX, &minor))
        return false;
    entry->rdev_major = (uint32_t) major;
    entry->rdev_minor = (uint32_t) minor;
    return major || minor;
}

static bool
s_read_link(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    (void) room;
    uint64_t first = 0;
    if (!rmt_view_varint(view, &entry->link_group) || entry->link_group == 0 ||
        !rmt_view_varint_to(view, 1, &first))
        return false;
    entry->link_first = first;
    return true;
}

// One attribute; name (with a NUL) and value are appended to room->text, which has the
// room already, so that pointers into it stay.
static bool
s_read_xattr(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_xattr_t *xattr_out)
{
    uint64_t name_size = 0, value_size = 0;
    if (!rmt_view_varint_to(view, RMT_NAME_SIZE_MAX, &name_size))
        return false;
    const uint8_t *name = rmt_view_bytes(view, name_size);
    if (!name || memchr(name, '\0', name_size) ||
        !rmt_view_varint_to(view, RMT_XATTR_SIZE_MAX, &value_size))
        return false;
    const uint8_t *value = rmt_view_bytes(view, value_size);
    if (!value)
        return false;
    xattr_out->name = (const char *) room->text.data + room->text.used;
    rmt_buffer_add(&room->text, name, name_size);
    rmt_buffer_add(&room->text, "", 1);
    xattr_out->value = room->text.data + room->text.used;
    xattr_out->value_size = (uint32_t) value_size;
    rmt_buffer_add(&room->text, value, value_size);
    return true;
}

static bool
s_read_xattrs(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    // A NUL is added to each name, and its size byte is left out.
    room->text.used = 0;
    rmt_buffer_reserve(&room->text, rmt_view_left(view) + 1);
    room->xattrs.used = 0;
    rmt_xattr_t *xattrs =
        (void *) rmt_buffer_reserve(&room->xattrs, RMT_XATTR_COUNT_MAX * sizeof *xattrs);
    size_t count = 0;
    while (rmt_view_left(view)) {
        if (count == RMT_XATTR_COUNT_MAX || !s_read_xattr(view, room, &xattrs[count]))
            return false;
        count++;
    }
    entry->xattrs = xattrs;
    entry->xattr_count = count;
    return count > 0;
}

static bool
s_read_u32(rmt_view_t *view, uint32_t *number_out)
{
    uint64_t number = 0;
    if (!rmt_view_varint_to(view, UINT32_MAX, &number) || number == 0)
        return false;
    *number_out = (uint32_t) number;
    return true;
}

static bool
s_read_flags(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    (void) room;
    return s_read_u32(view, &entry->flags);
}

static bool
s_read_project(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    (void) room;
    return s_read_u32(view, &entry->project);
}

static bool
s_read_hints(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    (void) room;
    uint64_t size = 0, cow_size = 0;
    if (!s_read_u32(view, &entry->hints) ||
        !rmt_view_varint_to(view, UINT32_MAX, &size) ||
        !rmt_view_varint_to(view, UINT32_MAX, &cow_size))
        return false;
    entry->extent_size = (uint32_t) size;
    entry->cow_extent_size = (uint32_t) cow_size;
    return true;
}

static bool
s_read_marks(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    (void) room;
    uint64_t marks = 0;
    if (!rmt_view_varint_to(view, RMT_MARK_FUZZY | RMT_MARK_UNREADABLE, &marks))
        return false;
    entry->fuzzy = marks & RMT_MARK_FUZZY;
    entry->unreadable = marks & RMT_MARK_UNREADABLE;
    return marks > 0;
}

static s_extra_fn *const s_extras[RMT_EXTRA_COUNT] = {
    [RMT_EXTRA_SIZE] = s_read_size,         [RMT_EXTRA_CHUNKS] = s_read_chunks,
    [RMT_EXTRA_EXTENTS] = s_read_extents,   [RMT_EXTRA_TARGET] = s_read_target,
    [RMT_EXTRA_DEVICE] = s_read_device,     [RMT_EXTRA_LINK] = s_read_link,
    [RMT_EXTRA_XATTRS] = s_read_xattrs,     [RMT_EXTRA_FLAGS] = s_read_flags,
    [RMT_EXTRA_PROJECT] = s_read_project,   [RMT_EXTRA_MARKS] = s_read_marks,
    [RMT_EXTRA_RESERVED] = s_read_reserved, [RMT_EXTRA_HINTS] = s_read_hints,
};

static int
s_decode_extras(rmt_view_t *view, rmt_entry_buffer_t *room, rmt_entry_t *entry,
                rmt_error_t *error)
{
    uint64_t previous = 0;
    while (rmt_view_left(view)) {
        uint64_t tag = 0, size = 0;
        if (!rmt_view_varint(view, &tag) || !rmt_view_varint(view, &size))
            return rmt_fail(error, RMT_E_CORRUPT, "entry: head of an extra");
        const uint8_t *data = rmt_view_bytes(view, size);
        const uint64_t number = tag >> 1;
        if (!data || number <= previous)
            return rmt_fail(error, RMT_E_CORRUPT, "entry: order or size of extra %llu",
                            (unsigned long long) number);
        previous = number;
        if (number >= RMT_EXTRA_COUNT) {
            if (tag & 1)
                return rmt_fail(error, RMT_E_UNSUPPORTED, "entry: critical extra %llu",
                                (unsigned long long) number);
            continue;
        }
        rmt_view_t inside = {data, data + size};
        if (!(tag & 1) || !s_extras[number](&inside, room, entry) ||
            rmt_view_left(&inside))
            return rmt_fail(error, RMT_E_CORRUPT, "entry: extra %llu",
                            (unsigned long long) number);
    }
    return 0;
}

static bool
s_decode_path(rmt_view_t *view, const char *previous, size_t previous_size,
              rmt_entry_buffer_t *room, rmt_entry_t *entry)
{
    uint64_t shared = 0, rest = 0;
    if (!rmt_view_varint_to(view, previous_size, &shared) ||
        !rmt_view_varint_to(view, RMT_PATH_SIZE_MAX - shared, &rest))
        return false;
    const uint8_t *text = rmt_view_bytes(view, rest);
    if (!text)
        return false;
    room->path.used = 0;
    rmt_buffer_add(&room->path, previous, shared);
    rmt_buffer_add(&room->path, text, rest);
    rmt_buffer_add(&room->path, "", 1);
    entry->path = (const char *) room->path.data;
    entry->path_size = room->path.used - 1;
    return true;
}

static bool
s_decode_head(rmt_view_t *view, rmt_entry_t *entry)
{
    uint64_t mode = 0, uid = 0, gid = 0, seconds = 0, ns = 0;
    if (!rmt_view_varint_to(view, UINT32_MAX, &mode) ||
        !rmt_view_varint_to(view, UINT32_MAX, &uid) ||
        !rmt_view_varint_to(view, UINT32_MAX, &gid) || !rmt_view_varint(view, &seconds) ||
        !rmt_view_varint_to(view, UINT32_MAX, &ns))
        return false;
    entry->mode = (uint32_t) mode;
    entry->uid = (uint32_t) uid;
    entry->gid = (uint32_t) gid;
    entry->mtime_s = (int64_t) ((seconds >> 1) ^ (seconds & 1 ? UINT64_MAX : 0));
    entry->mtime_ns = (uint32_t) ns;
    return true;
}

int
rmt_entry_decode_after(const void *data, size_t size, const char *previous,
                       size_t previous_size, rmt_entry_buffer_t *room,
                       rmt_entry_t *entry_out, rmt_error_t *error)
{
    assert(previous_size <= RMT_PATH_SIZE_MAX);
    if (size > RMT_ENTRY_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "entry of %zu bytes", size);
    rmt_view_t view = {data, (const uint8_t *) data + size};
    rmt_entry_t entry = {0};
    if (!s_decode_path(&view, previous, previous_size, room, &entry) ||
        !s_decode_head(&view, &entry))
        return rmt_fail(error, RMT_E_CORRUPT, "entry: path or attributes");
    if (s_decode_extras(&view, room, &entry, error) == -1 ||
        rmt_entry_check(&entry, error) == -1)
        return -1;
    *entry_out = entry;
    return 0;
}

int
rmt_entry_decode(const void *data, size_t size, rmt_entry_buffer_t *room,
                 rmt_entry_t *entry_out, rmt_error_t *error)
{
    return rmt_entry_decode_after(data, size, "", 0, room, entry_out, error);
}
