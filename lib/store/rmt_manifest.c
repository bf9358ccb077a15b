#include "store/rmt_manifest.h"
#include "base/rmt_auto.h"
#include "store/rmt_chunker.h"
#include "store/rmt_entry.h"
#include "store/rmt_list.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

// What the writer gathers before it cuts, so that it seldom moves what remains.
#define GATHER_SIZE ((size_t) 256 * 1024)

static void *
s_alloc(size_t size)
{
    void *data = calloc(1, size);
    if (!data)
        abort();
    return data;
}

static int
s_fail_at(rmt_error_t *error, rmt_code_t code, const rmt_entry_t *entry, const char *why)
{
    char shown[256];
    return rmt_fail(error, code, "entry %s: %s",
                    rmt_log_escape(shown, sizeof shown, entry->path), why);
}

// The last entry's path, which the next one builds on.
typedef struct {
    rmt_buffer_t path;
    bool is_folder, is_any;
} s_last_t;

// NULL and *shared_out when entry may come next, else why not.
static const char *
s_refusal(const s_last_t *last, const rmt_entry_t *entry, size_t *shared_out)
{
    *shared_out = 0;
    if (!last->is_any)
        return entry->path_size == 0 ? NULL : "the first entry is not the root";
    const char *path = (const char *) last->path.data;
    *shared_out = rmt_path_shared(path, last->path.used, entry->path, entry->path_size);
    return rmt_path_refusal(path, last->path.used, last->is_folder, entry->path,
                            entry->path_size, *shared_out);
}

static void
s_remember(s_last_t *last, const rmt_entry_t *entry, size_t shared)
{
    last->path.used = shared;
    rmt_buffer_reserve(&last->path, 1);
    rmt_buffer_add(&last->path, entry->path + shared, entry->path_size - shared);
    last->is_folder = S_ISDIR(entry->mode);
    last->is_any = true;
}

// ---- Writing

struct rmt_manifest_writer {
    rmt_chunk_sink_fn *sink;
    void *context;
    s_last_t last;
    rmt_buffer_t body;   // Of one entry
    rmt_buffer_t stream; // Not cut yet
    rmt_list_t list;
    void *room;
};

rmt_manifest_writer_t *
rmt_manifest_writer_new(rmt_chunk_sink_fn *sink, void *context)
{
    rmt_manifest_writer_t *self = s_alloc(sizeof *self);
    self->sink = sink;
    self->context = context;
    self->room = s_alloc(RMT_CHUNK_STORED_MAX);
    return self;
}

void
rmt_manifest_writer_destroy(rmt_manifest_writer_t **self_p)
{
    rmt_manifest_writer_t *self = *self_p;
    if (!self)
        return;
    rmt_buffer_clear(&self->last.path);
    rmt_buffer_clear(&self->body);
    rmt_buffer_clear(&self->stream);
    rmt_buffer_clear(&self->list.ids);
    free(self->room);
    free(self);
    *self_p = NULL;
}

// Cut chunks off the stream until at most keep bytes are left.
static int
s_cut(rmt_manifest_writer_t *self, size_t keep, rmt_error_t *error)
{
    size_t at = 0;
    int result = 0;
    while (result == 0 && self->stream.used - at > keep) {
        const size_t size = rmt_chunker_cut(&RMT_CUT_MANIFEST, self->stream.data + at,
                                            self->stream.used - at);
        rmt_chunk_t chunk;
        rmt_chunk_make(&chunk, self->stream.data + at, size, self->room);
        result = self->sink(self->context, &chunk, error);
        rmt_buffer_add(&self->list.ids, chunk.id.bytes, RMT_ID_SIZE);
        at += size;
    }
    if (at > 0) {
        self->stream.used -= at;
        memmove(self->stream.data, self->stream.data + at, self->stream.used);
    }
    return result;
}

int
rmt_manifest_writer_add(rmt_manifest_writer_t *self, const rmt_entry_t *entry,
                        rmt_error_t *error)
{
    if (rmt_entry_check(entry, error) == -1) {
        char shown[256];
        return rmt_wrap(error, "%s", rmt_log_escape(shown, sizeof shown, entry->path));
    }
    size_t shared = 0;
    const char *refusal = s_refusal(&self->last, entry, &shared);
    if (refusal)
        return s_fail_at(error, RMT_E_USAGE, entry, refusal);
    self->body.used = 0;
    rmt_entry_encode_after(entry, shared, &self->body);
    if (self->body.used > RMT_ENTRY_SIZE_MAX)
        return s_fail_at(error, RMT_E_TOO_BIG, entry, "too many chunks");

    const size_t before = self->stream.used;
    rmt_buffer_add_varint(&self->stream, self->body.used);
    rmt_buffer_add(&self->stream, self->body.data, self->body.used);
    self->list.size += self->stream.used - before;
    self->list.entries++;
    s_remember(&self->last, entry, shared);
    if (self->stream.used < GATHER_SIZE)
        return 0;
    // Below the largest chunk's size a cut would need to know where the stream ends.
    return s_cut(self, RMT_CUT_MANIFEST.max, error);
}

int
rmt_manifest_writer_finish(rmt_manifest_writer_t *self, rmt_id_t *root_out,
                           rmt_error_t *error)
{
    if (s_cut(self, 0, error) == -1)
        return -1;
    return rmt_list_write(&self->list, self->room, self->sink, self->context, root_out,
                          error);
}

// ---- Reading

struct rmt_manifest_reader {
    rmt_chunk_source_fn *source;
    void *context;
    rmt_list_t list;
    size_t next;         // Index in list.ids of the chunk to load next
    rmt_buffer_t stream; // Loaded; read up to at
    size_t at;
    uint64_t entries, size; // Read so far
    s_last_t last;
    rmt_entry_buffer_t *room;
};

rmt_manifest_reader_t *
rmt_manifest_reader_new(const rmt_id_t *root, rmt_chunk_source_fn *source, void *context,
                        rmt_error_t *error)
{
    rmt_auto(rmt_manifest_reader) self = s_alloc(sizeof *self);
    self->source = source;
    self->context = context;
    self->room = rmt_entry_buffer_new();
    uint8_t *plain = rmt_buffer_reserve(&self->stream, RMT_CHUNK_PLAIN_MAX);
    if (rmt_list_read(&self->list, root, plain, source, context, error) == -1)
        return NULL;
    self->next = self->list.list_count;
    return rmt_take(&self);
}

void
rmt_manifest_reader_destroy(rmt_manifest_reader_t **self_p)
{
    rmt_manifest_reader_t *self = *self_p;
    if (!self)
        return;
    rmt_buffer_clear(&self->list.ids);
    rmt_buffer_clear(&self->stream);
    rmt_buffer_clear(&self->last.path);
    rmt_entry_buffer_destroy(&self->room);
    free(self);
    *self_p = NULL;
}

// Load one more chunk behind what is left of the stream. 1, 0 when there is none, -1.
static int
s_load(rmt_manifest_reader_t *self, rmt_error_t *error)
{
    if (self->next == self->list.ids.used / RMT_ID_SIZE)
        return 0;
    self->stream.used -= self->at;
    memmove(self->stream.data, self->stream.data + self->at, self->stream.used);
    self->at = 0;
    rmt_id_t id;
    memcpy(id.bytes, self->list.ids.data + self->next * RMT_ID_SIZE, RMT_ID_SIZE);
    size_t size = 0;
    uint8_t *plain = rmt_buffer_reserve(&self->stream, RMT_CHUNK_PLAIN_MAX);
    if (self->source(self->context, &id, plain, &size, error) == -1)
        return rmt_wrap(error, "manifest's chunk %zu", self->next);
    if (size > RMT_CUT_MANIFEST.max)
        return rmt_fail(error, RMT_E_CORRUPT, "manifest's chunk %zu has %zu bytes",
                        self->next, size);
    self->stream.used += size;
    self->next++;
    return 1;
}

// The next entry's bytes. 1, 0 at the end, -1.
static int
s_next_body(rmt_manifest_reader_t *self, rmt_view_t *body_out, rmt_error_t *error)
{
    for (;;) {
        rmt_view_t view = {self->stream.data + self->at,
                           self->stream.data + self->stream.used};
        const size_t left = rmt_view_left(&view);
        uint64_t size = 0;
        if (rmt_view_varint(&view, &size)) {
            if (size > RMT_ENTRY_SIZE_MAX)
                return rmt_fail(error, RMT_E_TOO_BIG, "entry of %llu bytes",
                                (unsigned long long) size);
            const uint8_t *body = rmt_view_bytes(&view, size);
            if (body) {
                *body_out = (rmt_view_t){body, body + size};
                self->size += left - rmt_view_left(&view);
                self->at = (size_t) (view.at - self->stream.data);
                return 1;
            }
        } else if (left >= RMT_VARINT_SIZE_MAX) {
            return rmt_fail(error, RMT_E_CORRUPT, "size of an entry");
        }
        const int loaded = s_load(self, error);
        if (loaded == -1)
            return -1;
        if (loaded == 0 && left == 0)
            return 0;
        if (loaded == 0)
            return rmt_fail(error, RMT_E_CORRUPT, "the manifest ends within an entry");
    }
}

int
rmt_manifest_reader_next(rmt_manifest_reader_t *self, rmt_entry_t *entry_out,
                         rmt_error_t *error)
{
    rmt_view_t body = {NULL, NULL};
    const int found = s_next_body(self, &body, error);
    if (found == -1)
        return rmt_wrap(error, "entry %llu", (unsigned long long) self->entries);
    if (found == 0) {
        if (self->entries != self->list.entries || self->size != self->list.size)
            return rmt_fail(error, RMT_E_CORRUPT,
                            "the manifest ends after %llu entries of %llu",
                            (unsigned long long) self->entries,
                            (unsigned long long) self->list.entries);
        return 0;
    }
    rmt_entry_t entry;
    if (rmt_entry_decode_after(body.at, rmt_view_left(&body),
                               (const char *) self->last.path.data, self->last.path.used,
                               self->room, &entry, error) == -1)
        return rmt_wrap(error, "entry %llu", (unsigned long long) self->entries);
    size_t shared = 0;
    const char *refusal = s_refusal(&self->last, &entry, &shared);
    if (refusal)
        return s_fail_at(error, RMT_E_CORRUPT, &entry, refusal);
    s_remember(&self->last, &entry, shared);
    self->entries++;
    *entry_out = entry;
    return 1;
}

const rmt_id_t *
rmt_manifest_reader_chunks(rmt_manifest_reader_t *self, size_t *count_out)
{
    *count_out = self->list.ids.used / RMT_ID_SIZE;
    return (const rmt_id_t *) (const void *) self->list.ids.data;
}
