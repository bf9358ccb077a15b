#include "store/rmt_list.h"

#include <assert.h>

static const uint8_t s_root_magic[8] = "ramet-mf";
static const uint8_t s_list_magic[8] = "ramet-ml";
#define ROOT_VERSION 1
#define ROOT_HEAD_SIZE 40
#define LIST_HEAD_SIZE 16

_Static_assert(sizeof(rmt_id_t) == RMT_ID_SIZE, "arrays of ids are packed");
_Static_assert(ROOT_HEAD_SIZE + (size_t) RMT_LIST_IDS_MAX * RMT_ID_SIZE <=
                   (size_t) 1024 * 1024,
               "a full root fits in a chunk");

// ---- Writing

static int
s_emit(const rmt_buffer_t *plain, void *room, rmt_chunk_sink_fn *sink, void *context,
       rmt_id_t *id_out, rmt_error_t *error)
{
    rmt_chunk_t chunk;
    rmt_chunk_make(&chunk, plain->data, plain->used, room);
    if (sink(context, &chunk, error) == -1)
        return -1;
    *id_out = chunk.id;
    return 0;
}

// Replace ids by the ids of lists of them.
static int
s_write_lists(const rmt_buffer_t *ids, rmt_buffer_t *lists, void *room,
              rmt_chunk_sink_fn *sink, void *context, rmt_error_t *error)
{
    rmt_buffer_t plain = {0};
    int result = 0;
    const size_t full = (size_t) RMT_LIST_IDS_MAX * RMT_ID_SIZE;
    for (size_t at = 0; at < ids->used && result == 0; at += full) {
        const size_t size = ids->used - at < full ? ids->used - at : full;
        uint8_t head[LIST_HEAD_SIZE] = {0};
        memcpy(head, s_list_magic, sizeof s_list_magic);
        rmt_put32(head + 8, (uint32_t) (size / RMT_ID_SIZE));
        plain.used = 0;
        rmt_buffer_add(&plain, head, sizeof head);
        rmt_buffer_add(&plain, ids->data + at, size);
        rmt_id_t id;
        result = s_emit(&plain, room, sink, context, &id, error);
        rmt_buffer_add(lists, id.bytes, RMT_ID_SIZE);
    }
    rmt_buffer_clear(&plain);
    return result;
}

int
rmt_list_write(const rmt_list_t *self, void *room, rmt_chunk_sink_fn *sink, void *context,
               rmt_id_t *root_out, rmt_error_t *error)
{
    assert(self->list_count == 0);
    const size_t count = self->ids.used / RMT_ID_SIZE;
    if (count > RMT_MANIFEST_IDS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "manifest of %zu chunks, limit %d", count,
                        RMT_MANIFEST_IDS_MAX);
    rmt_buffer_t lists = {0}, plain = {0};
    const bool deep = count > RMT_LIST_IDS_MAX;
    int result = 0;
    if (deep)
        result = s_write_lists(&self->ids, &lists, room, sink, context, error);
    if (result == 0) {
        const rmt_buffer_t *ids = deep ? &lists : &self->ids;
        uint8_t head[ROOT_HEAD_SIZE] = {0};
        memcpy(head, s_root_magic, sizeof s_root_magic);
        rmt_put32(head + 8, ROOT_VERSION);
        rmt_put32(head + 16, deep ? 2 : 1);
        rmt_put32(head + 20, (uint32_t) (ids->used / RMT_ID_SIZE));
        rmt_put64(head + 24, self->entries);
        rmt_put64(head + 32, self->size);
        rmt_buffer_add(&plain, head, sizeof head);
        rmt_buffer_add(&plain, ids->data, ids->used);
        result = s_emit(&plain, room, sink, context, root_out, error);
    }
    rmt_buffer_clear(&lists);
    rmt_buffer_clear(&plain);
    return result;
}

// ---- Reading

static int
s_add_ids(rmt_buffer_t *ids, const uint8_t *data, size_t size, size_t count,
          rmt_error_t *error)
{
    if (count > RMT_LIST_IDS_MAX || size != count * RMT_ID_SIZE)
        return rmt_fail(error, RMT_E_CORRUPT, "the list has %zu ids in %zu bytes", count,
                        size);
    for (size_t i = 0; i < count; i++)
        if (data[i * RMT_ID_SIZE] != RMT_ID_SHA256)
            return rmt_fail(error, RMT_E_CORRUPT, "id %zu has an unknown algorithm", i);
    if (ids->used / RMT_ID_SIZE + count > RMT_MANIFEST_IDS_MAX)
        return rmt_fail(error, RMT_E_CORRUPT, "the manifest has more than %d chunks",
                        RMT_MANIFEST_IDS_MAX);
    rmt_buffer_add(ids, data, size);
    return 0;
}

static int
s_read_lists(rmt_list_t *self, uint8_t *plain, rmt_chunk_source_fn *source, void *context,
             rmt_error_t *error)
{
    self->list_count = self->ids.used / RMT_ID_SIZE;
    for (size_t i = 0; i < self->list_count; i++) {
        rmt_id_t id;
        memcpy(id.bytes, self->ids.data + i * RMT_ID_SIZE, RMT_ID_SIZE);
        size_t size = 0;
        if (source(context, &id, plain, &size, error) == -1)
            return -1;
        if (size < LIST_HEAD_SIZE || memcmp(plain, s_list_magic, 8) != 0 ||
            rmt_get32(plain + 12) != 0)
            return rmt_fail(error, RMT_E_CORRUPT, "list %zu has a wrong head", i);
        if (s_add_ids(&self->ids, plain + LIST_HEAD_SIZE, size - LIST_HEAD_SIZE,
                      rmt_get32(plain + 8), error) == -1)
            return rmt_wrap(error, "list %zu", i);
    }
    return 0;
}

int
rmt_list_read(rmt_list_t *self_out, const rmt_id_t *root, void *plain,
              rmt_chunk_source_fn *source, void *context, rmt_error_t *error)
{
    char text[RMT_ID_TEXT_SIZE];
    rmt_id_text(root, text);
    uint8_t *data = plain;
    size_t size = 0;
    if (source(context, root, plain, &size, error) == -1)
        return rmt_wrap(error, "manifest %s", text);
    if (size < ROOT_HEAD_SIZE || memcmp(data, s_root_magic, 8) != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "chunk %s is not the root of a manifest",
                        text);
    const uint32_t version = rmt_get32(data + 8), features = rmt_get32(data + 12);
    const uint32_t depth = rmt_get32(data + 16);
    if (version != ROOT_VERSION || features != 0)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "manifest %s: version %u, critical features %08x", text, version,
                        features);
    if (depth != 1 && depth != 2)
        return rmt_fail(error, RMT_E_CORRUPT, "manifest %s: depth %u", text, depth);
    self_out->entries = rmt_get64(data + 24);
    self_out->size = rmt_get64(data + 32);
    if (s_add_ids(&self_out->ids, data + ROOT_HEAD_SIZE, size - ROOT_HEAD_SIZE,
                  rmt_get32(data + 20), error) == -1)
        return rmt_wrap(error, "manifest %s", text);
    if (depth == 2 && s_read_lists(self_out, data, source, context, error) == -1)
        return rmt_wrap(error, "manifest %s", text);
    return 0;
}
