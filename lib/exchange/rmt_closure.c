#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "exchange/rmt_closure.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"
#include "store/rmt_store.h"

#define COUNT_MAX ((size_t) 64 * 1024 * 1024)

// Fields of any record that hold ids of single chunks.
static const char *const s_chunk_fields[] = {"chunks", "facts"};

static int
s_walk_manifest(const rmt_closure_walk_t *walk, const rmt_id_t *root, rmt_error_t *error)
{
    if (walk->visit(walk->visitor, root, 0, error) == -1)
        return -1;
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, walk->source, walk->context, error);
    if (!reader)
        return -1;
    size_t count;
    const rmt_id_t *chunks = rmt_manifest_reader_chunks(reader, &count);
    if (walk->expect)
        walk->expect(walk->visitor, chunks, count);
    for (size_t i = 0; i < count; i++)
        if (walk->visit(walk->visitor, &chunks[i], 0, error) == -1)
            return -1;
    rmt_entry_t entry;
    int rc;
    while ((rc = rmt_manifest_reader_next(reader, &entry, error)) == 1)
        for (size_t i = 0; i < entry.chunk_count; i++)
            if (walk->visit(walk->visitor, &entry.chunks[i], entry.chunk_sizes[i],
                            error) == -1)
                return -1;
    return rc;
}

static int
s_parse(rmt_id_t *id_out, const char *text, const char *field, rmt_error_t *error)
{
    if (rmt_id_parse(id_out, text, error) == 0)
        return 0;
    return rmt_fail(error, RMT_E_CORRUPT, "the descriptor's field %s is not an id",
                    field);
}

// Single chunks that a record names, with blanks between the ids.
static int
s_walk_list(const rmt_closure_walk_t *walk, const rmt_record_t *record, const char *field,
            rmt_error_t *error)
{
    rmt_auto_str list = rmt_text("%s", rmt_record_text(record, field, ""));
    char *rest = NULL;
    for (char *word = strtok_r(list, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        rmt_id_t id;
        if (s_parse(&id, word, field, error) == -1 ||
            walk->visit(walk->visitor, &id, 0, error) == -1)
            return -1;
    }
    return 0;
}

static int
s_walk_record(const rmt_closure_walk_t *walk, const rmt_record_t *record,
              rmt_error_t *error)
{
    for (size_t i = 0; i < sizeof s_chunk_fields / sizeof *s_chunk_fields; i++)
        if (s_walk_list(walk, record, s_chunk_fields[i], error) == -1)
            return -1;
    const char *hex = rmt_record_text(record, "root", NULL);
    rmt_id_t root;
    if (!hex)
        return 0;
    if (s_parse(&root, hex, "root", error) == -1)
        return -1;
    if (s_walk_manifest(walk, &root, error) == -1)
        return rmt_wrap(error, "manifest %s", hex);
    return 0;
}

int
rmt_closure_walk(const rmt_closure_walk_t *walk, const rmt_id_t *image,
                 rmt_error_t *error)
{
    char text[RMT_ID_TEXT_SIZE];
    size_t size = 0;
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    if (walk->source(walk->context, image, plain, &size, error) == -1)
        return rmt_wrap(error, "descriptor %s", rmt_id_text(image, text));
    rmt_auto(rmt_records) records =
        rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
    if (!records)
        return rmt_fail(error, RMT_E_CORRUPT, "%s is not the descriptor of an image",
                        rmt_id_text(image, text));
    if (walk->visit(walk->visitor, image, (uint32_t) size, error) == -1)
        return -1;
    for (size_t i = 0; i < rmt_records_count(records); i++)
        if (s_walk_record(walk, rmt_records_at(records, i), error) == -1)
            return rmt_wrap(error, "image %s", rmt_id_text(image, text));
    return 0;
}

int
rmt_closure_from_store(void *store, const rmt_id_t *id, void *plain_out, size_t *size_out,
                       rmt_error_t *error)
{
    rmt_error_t why = {0};
    if (rmt_store_read(store, id, plain_out, size_out, &why) == 0)
        return 0;
    // An engine may hold the descriptor as an image alone.
    rmt_error_t other = {0};
    rmt_auto_ptr data = NULL;
    size_t size;
    if (why.code != RMT_E_NOT_FOUND ||
        rmt_store_image_get(store, id, &data, &size, &other) == -1) {
        *error = why;
        return -1;
    }
    if (size > RMT_CHUNK_PLAIN_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the descriptor has %zu bytes, too many",
                        size);
    memcpy(plain_out, data, size);
    *size_out = size;
    return 0;
}

// ---- The set

struct rmt_closure {
    rmt_id_t *ids;
    size_t count, room;
};

static int
s_compare(const void *a, const void *b)
{
    return memcmp(a, b, RMT_ID_SIZE);
}

static void
s_compact(rmt_closure_t *self)
{
    if (self->count == 0)
        return;
    qsort(self->ids, self->count, sizeof(*self->ids), s_compare);
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++)
        if (kept == 0 || s_compare(&self->ids[kept - 1], &self->ids[i]) != 0)
            self->ids[kept++] = self->ids[i];
    self->count = kept;
}

static int
s_visit(void *visitor, const rmt_id_t *id, uint32_t plain_size, rmt_error_t *error)
{
    rmt_closure_t *self = visitor;
    (void) plain_size;
    if (self->count == self->room) {
        // Repeats are dropped before memory grows.
        s_compact(self);
        if (self->count > COUNT_MAX)
            return rmt_fail(error, RMT_E_TOO_BIG, "the image has more than %zu chunks",
                            COUNT_MAX);
        if (self->count >= self->room / 2)
            rmt_grow(&self->ids, &self->room, self->room + 1);
    }
    self->ids[self->count++] = *id;
    return 0;
}

rmt_closure_t *
rmt_closure_new(rmt_chunk_source_fn *source, void *context, const rmt_id_t *image,
                rmt_error_t *error)
{
    rmt_auto(rmt_closure) self = calloc(1, sizeof(*self));
    assert(self);
    const rmt_closure_walk_t walk = {
        .source = source, .context = context, .visit = s_visit, .visitor = self};
    if (rmt_closure_walk(&walk, image, error) == -1)
        return NULL;
    s_compact(self);
    return rmt_take(&self);
}

void
rmt_closure_destroy(rmt_closure_t **self_p)
{
    assert(self_p);
    rmt_closure_t *self = rmt_take(self_p);
    if (!self)
        return;
    free(self->ids);
    free(self);
}

bool
rmt_closure_has(const rmt_closure_t *self, const rmt_id_t *id)
{
    return bsearch(id, self->ids, self->count, sizeof(*self->ids), s_compare) != NULL;
}

size_t
rmt_closure_count(const rmt_closure_t *self)
{
    return self->count;
}

const rmt_id_t *
rmt_closure_at(const rmt_closure_t *self, size_t index)
{
    assert(index < self->count);
    return &self->ids[index];
}
