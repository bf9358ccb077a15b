#include "console/image.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "wire/rmt_codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTOR_SIZE_MAX RMT_CHUNK_PLAIN_MAX

void
image_destroy(image_t **self_p)
{
    image_t *self = *self_p;
    if (!self)
        return;
    rmt_fetch_destroy(&self->fetch);
    rmt_fetch_destroy(&self->data);
    rmt_records_destroy(&self->descriptor);
    free(self->signatures);
    free(self);
    *self_p = NULL;
}

image_t *
image_open(call_t *call, const char *name, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "image", name);
    rmt_auto(rmt_msg) reply = call_request(call, "image.grant", body, NULL, error);
    if (!reply)
        return NULL;
    rmt_auto(image) self = calloc(1, sizeof *self);
    assert(self);
    self->call = call;
    self->signatures = rmt_text("%s", rmt_record_text(reply->body, "signatures", ""));
    if (rmt_id_parse(&self->id, rmt_record_text(reply->body, "image", ""), error) == -1)
        return NULL;
    self->fetch =
        rmt_fetch_new(reply->items, call->broker_host, &call->own, &self->id, error);
    self->data = self->fetch ? rmt_fetch_new(reply->items, call->broker_host, &call->own,
                                             &self->id, error)
                             : NULL;
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    size_t size;
    if (!self->data || rmt_fetch_read(self->fetch, &self->id, plain, &size, error) == -1)
        return NULL;
    self->descriptor = rmt_codec_unpack_records(plain, size, DESCRIPTOR_SIZE_MAX, error);
    return self->descriptor ? rmt_take(&self) : NULL;
}

int
image_renew(image_t *self, bool anew, rmt_error_t *error)
{
    char id[RMT_ID_TEXT_SIZE];
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "image", rmt_id_text(&self->id, id));
    rmt_auto(rmt_msg) reply = call_request(self->call, "image.grant", body, NULL, error);
    if (!reply || !anew)
        return reply ? 0 : -1;
    rmt_fetch_t *fetch = rmt_fetch_new(reply->items, self->call->broker_host,
                                       &self->call->own, &self->id, error);
    if (!fetch)
        return -1;
    rmt_fetch_destroy(&self->fetch);
    self->fetch = fetch;
    return 0;
}

const rmt_record_t *
image_volume(const image_t *self, size_t index)
{
    for (size_t i = 0; i < rmt_records_count(self->descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(self->descriptor, i);
        if (rmt_record_is(record, "class", "volume") && rmt_record_has(record, "root") &&
            *rmt_record_text(record, "mount", "") && index-- == 0)
            return record;
    }
    return NULL;
}

const char *
image_mount(const rmt_record_t *volume)
{
    const char *mount = rmt_record_text(volume, "mount", "/");
    return strcmp(mount, "/") == 0 ? "" : mount;
}

int
image_each_entry(image_t *self, const rmt_record_t *volume, image_entry_fn *act,
                 void *context, rmt_error_t *error)
{
    rmt_id_t root;
    if (rmt_id_parse(&root, rmt_record_text(volume, "root", ""), error) == -1)
        return -1;
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, rmt_fetch_read, self->fetch, error);
    if (!reader)
        return -1;
    size_t count;
    const rmt_id_t *chunks = rmt_manifest_reader_chunks(reader, &count);
    rmt_fetch_expect(self->fetch, chunks, count);
    rmt_entry_t entry;
    int rc;
    while ((rc = rmt_manifest_reader_next(reader, &entry, error)) == 1)
        if (act(context, volume, &entry, error) == -1)
            return -1;
    return rc;
}

// The ids of all contents of a volume, in the order in which they are written.
typedef struct {
    rmt_id_t *ids;
    size_t count, room;
} ids_t;

static int
s_collect(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
          rmt_error_t *error)
{
    (void) volume;
    (void) error;
    ids_t *all = context;
    rmt_grow(&all->ids, &all->room, all->count + entry->chunk_count);
    if (entry->chunk_count)
        memcpy(all->ids + all->count, entry->chunks,
               entry->chunk_count * sizeof *all->ids);
    all->count += entry->chunk_count;
    return 0;
}

int
image_expect_contents(image_t *self, const rmt_record_t *volume, rmt_error_t *error)
{
    ids_t all = {0};
    const int rc = image_each_entry(self, volume, s_collect, &all, error);
    if (rc == 0)
        rmt_fetch_expect(self->data, all.ids, all.count);
    free(all.ids);
    return rc;
}
