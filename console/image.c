#include "console/image.h"
#include "base/rmt_auto.h"
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
    rmt_records_destroy(&self->engines);
    free(self->name);
    free(self->place);
    free(self->signatures);
    free(self);
    *self_p = NULL;
}

// Get the right to fetch at a place; NULL: the image's own. Caller owns the answer.
static rmt_msg_t *
s_grant(image_t *self, const char *place, rmt_error_t *error)
{
    char id[RMT_ID_TEXT_SIZE];
    rmt_auto(rmt_record) body = rmt_record_new();
    // The name may be another one's later.
    rmt_record_set(body, "image",
                   self->signatures ? rmt_id_text(&self->id, id) : self->name);
    if (place)
        rmt_record_set(body, "place", place);
    return call_request(self->call, "image.grant", body, NULL, error);
}

int
image_renew(image_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = s_grant(self, self->place, error);
    return reply ? 0 : -1;
}

// Connect to the holders in the answer and read the descriptor, which shows that they
// have the image.
static int
s_connect(image_t *self, const rmt_msg_t *reply, rmt_error_t *error)
{
    const char *host = self->call->broker_host;
    const rmt_key_t *own = &self->call->own;
    rmt_auto(rmt_fetch) fetch = rmt_fetch_new(reply->items, host, own, &self->id, error);
    rmt_auto(rmt_fetch) data =
        fetch ? rmt_fetch_new(reply->items, host, own, &self->id, error) : NULL;
    if (!data)
        return -1;
    rmt_fetch_set_alive(fetch, self->alive, self->context);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    size_t size;
    if (rmt_fetch_read(fetch, &self->id, plain, &size, error) == -1)
        return -1;
    rmt_auto(rmt_records) descriptor =
        rmt_codec_unpack_records(plain, size, DESCRIPTOR_SIZE_MAX, error);
    if (!descriptor)
        return -1;
    rmt_fetch_destroy(&self->fetch);
    rmt_fetch_destroy(&self->data);
    rmt_records_destroy(&self->descriptor);
    self->fetch = rmt_take(&fetch);
    self->data = rmt_take(&data);
    self->descriptor = rmt_take(&descriptor);
    return 0;
}

// The name of the store at index: the one that the call names, or the image's own (NULL)
// and then each engine's. 1, 0 behind the last, or -1.
static int
s_store_at(image_t *self, size_t index, const char **place_out, rmt_error_t *error)
{
    const char *told = rmt_record_text(self->call->options, "place", NULL);
    *place_out = told;
    if (index == 0 || told)
        return index == 0;
    if (!self->engines)
        self->engines = call_list(self->call, "engine.list", NULL, error);
    if (!self->engines)
        return -1;
    if (index > rmt_records_count(self->engines))
        return 0;
    *place_out = rmt_record_text(rmt_records_at(self->engines, index - 1), "name", "");
    return 1;
}

int
image_reach(image_t *self, size_t index, rmt_error_t *error)
{
    const char *place;
    const int found = s_store_at(self, index, &place, error);
    if (found != 1)
        return found;
    rmt_auto(rmt_msg) reply = s_grant(self, place, error);
    if (!reply)
        return -1;
    if (!self->signatures) {
        if (rmt_id_parse(&self->id, rmt_record_text(reply->body, "image", ""), error) ==
            -1)
            return -1;
        self->signatures = rmt_text("%s", rmt_record_text(reply->body, "signatures", ""));
    }
    if (s_connect(self, reply, error) == -1)
        return -1;
    free(self->place);
    self->place = place ? rmt_text("%s", place) : NULL;
    return 1;
}

image_t *
image_open(call_t *call, const char *name, rmt_error_t *error)
{
    rmt_auto(image) self = calloc(1, sizeof *self);
    assert(self);
    self->call = call;
    self->name = rmt_text("%s", name);
    int reached = image_reach(self, 0, error);
    // What its own place cannot give now an engine may have.
    rmt_error_t ignored = {0};
    int more = reached == -1 && error->code == RMT_E_UNAVAILABLE && call->client ? -1 : 0;
    for (size_t i = 1; more == -1; i++) {
        more = image_reach(self, i, &ignored);
        reached = more == 1 ? 1 : reached;
        if (!self->engines)
            break;
    }
    return reached == 1 ? rmt_take(&self) : NULL;
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

static int
s_expect(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
         rmt_error_t *error)
{
    (void) volume;
    (void) error;
    rmt_fetch_expect_more(context, entry->chunks, entry->chunk_count);
    return 0;
}

int
image_expect_contents(image_t *self, const rmt_record_t *volume, rmt_error_t *error)
{
    rmt_fetch_expect(self->data, NULL, 0);
    return image_each_entry(self, volume, s_expect, self->data, error);
}
