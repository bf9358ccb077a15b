#include "agent/source/descriptor.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <string.h>

#define LIST_BYTES_MAX ((size_t) 256 * 1024)

struct rmt_descriptor {
    char *source;
    rmt_records_t *records; // The first one is that of class image
    rmt_records_t *lists;   // Come last
    size_t list_bytes;
    uint64_t fuzzy, unreadable;
};

rmt_descriptor_t *
rmt_descriptor_new(const char *source)
{
    rmt_descriptor_t *self = calloc(1, sizeof *self);
    assert(self);
    self->source = rmt_text("%s", source);
    self->records = rmt_records_new();
    self->lists = rmt_records_new();
    (void) rmt_records_add(self->records);
    return self;
}

void
rmt_descriptor_destroy(rmt_descriptor_t **self_p)
{
    rmt_descriptor_t *self = *self_p;
    if (!self)
        return;
    free(self->source);
    rmt_records_destroy(&self->records);
    rmt_records_destroy(&self->lists);
    free(self);
    *self_p = NULL;
}

void
rmt_descriptor_add(rmt_descriptor_t *self, const char *part, const rmt_records_t *records)
{
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        rmt_auto(rmt_record) copy = rmt_record_new();
        rmt_record_set(copy, "part", part);
        rmt_record_merge(copy, rmt_records_at(records, i));
        rmt_record_set(copy, "part", part);
        rmt_records_append(self->records, &copy);
    }
}

// mount: of the volume that the paths are of; NULL: they are whole as they are.
static void
s_add_list(rmt_descriptor_t *self, const char *class, const char *mount,
           const rmt_records_t *list)
{
    for (size_t i = 0; list && i < rmt_records_count(list); i++) {
        const rmt_record_t *item = rmt_records_at(list, i);
        size_t size = 0;
        const char *path = rmt_record_get(item, "path", &size);
        const char *reason = rmt_record_text(item, "reason", "");
        if (!path || self->list_bytes + size + strlen(reason) > LIST_BYTES_MAX)
            continue;
        self->list_bytes += size + strlen(reason) + 64;
        rmt_record_t *record = rmt_records_add(self->lists);
        rmt_record_set(record, "part", "list");
        rmt_record_set(record, "class", class);
        rmt_auto_str full =
            rmt_text("%s%s%.*s", !mount || strcmp(mount, "/") == 0 ? "" : mount,
                     mount && size ? "/" : "", (int) size, path);
        rmt_record_set(record, "path", full);
        if (*reason)
            rmt_record_set(record, "reason", reason);
    }
}

void
rmt_descriptor_add_report(rmt_descriptor_t *self, const char *mount,
                          const rmt_capture_report_t *report)
{
    self->fuzzy += report->fuzzy_count;
    self->unreadable += report->unreadable_count;
    s_add_list(self, "unreadable", mount, report->unreadable);
    s_add_list(self, "fuzzy", mount, report->fuzzy);
}

void
rmt_descriptor_add_list(rmt_descriptor_t *self, const char *class,
                        const rmt_records_t *list)
{
    s_add_list(self, class, NULL, list);
}

const char *
rmt_descriptor_state(const rmt_descriptor_t *self)
{
    return self->unreadable ? "INCOMPLETE" : self->fuzzy ? "FUZZY" : "COMPLETE";
}

zchunk_t *
rmt_descriptor_pack(rmt_descriptor_t *self, const char *firmware,
                    const rmt_capture_report_t *totals, rmt_error_t *error)
{
    rmt_record_t *image = rmt_records_at(self->records, 0);
    rmt_record_set(image, "part", "image");
    rmt_record_set(image, "class", "image");
    rmt_record_set(image, "format", "1");
    rmt_record_set(image, "state", rmt_descriptor_state(self));
    rmt_record_set(image, "source", self->source);
    rmt_record_set(image, "firmware", firmware);
    rmt_record_set_u64(image, "files",
                       totals->files + totals->folders + totals->symlinks +
                           totals->others + totals->hard_links);
    rmt_record_set_u64(image, "bytes", totals->size);
    if (self->fuzzy)
        rmt_record_set_u64(image, "fuzzy", self->fuzzy);
    if (self->unreadable)
        rmt_record_set_u64(image, "unreadable", self->unreadable);
    for (size_t i = 0; i < rmt_records_count(self->lists); i++) {
        rmt_auto(rmt_record) copy = rmt_record_dup(rmt_records_at(self->lists, i));
        rmt_records_append(self->records, &copy);
    }
    rmt_auto(zchunk) packed = rmt_codec_pack_records(self->records);
    if (zchunk_size(packed) > RMT_CHUNK_PLAIN_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG,
                 "the description of the image has %zu bytes, limit %zu",
                 zchunk_size(packed), RMT_CHUNK_PLAIN_MAX);
        return NULL;
    }
    return rmt_take(&packed);
}
