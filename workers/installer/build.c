#include "installer.h"
#include "rmt_auto.h"
#include "rmt_closure.h"
#include "rmt_fetch.h"
#include "rmt_holder.h"
#include "rmt_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// Ids that are asked for in one call; the fetch keeps its window full by itself.
#define BATCH 8192

typedef struct {
    rmt_task_t *task;
    rmt_store_t *store;
    rmt_fetch_t *fetch;
    rmt_id_t *lacking; // [BATCH]
    size_t lacking_count;
    uint64_t chunks, had, fetched, bytes_fetched, bytes_plain;
} build_t;

static bool
s_is_alive(void *context)
{
    build_t *self = context;
    rmt_task_tick(self->task);
    return !rmt_task_cancelled(self->task);
}

static int
s_store_chunk(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    build_t *self = context;
    self->fetched++;
    self->bytes_fetched += chunk->size;
    self->bytes_plain += chunk->plain_size;
    rmt_task_progress(self->task, "fetch", self->bytes_plain, 0, NULL);
    return rmt_store_put(self->store, chunk, error);
}

static int
s_get_lacking(build_t *self, rmt_error_t *error)
{
    const size_t count = self->lacking_count;
    self->lacking_count = 0;
    return count ? rmt_fetch_get(self->fetch, self->lacking, count, s_store_chunk, self, error)
                 : 0;
}

static int
s_visit(void *visitor, const rmt_id_t *id, uint32_t plain_size, rmt_error_t *error)
{
    (void) plain_size;
    build_t *self = visitor;
    self->chunks++;
    if (rmt_store_has(self->store, id)) {
        self->had++;
        return 0;
    }
    self->lacking[self->lacking_count++] = *id;
    return self->lacking_count < BATCH ? 0 : s_get_lacking(self, error);
}

// Manifest chunks come from this store where it has them, and are kept when they do not.
static int
s_source(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
         rmt_error_t *error)
{
    build_t *self = context;
    if (!rmt_store_has(self->store, id)
        && rmt_fetch_get(self->fetch, id, 1, s_store_chunk, self, error) == -1)
        return -1;
    return rmt_store_read(self->store, id, plain_out, size_out, error);
}

// The manifest's chunks, many at once, before the reader asks for them one by one.
static void
s_expect(void *visitor, const rmt_id_t *ids, size_t count)
{
    build_t *self = visitor;
    rmt_error_t ignored = { 0 }; // The reader meets the same failure and tells it
    for (size_t i = 0; i < count; i++) {
        if (!rmt_store_has(self->store, &ids[i]))
            self->lacking[self->lacking_count++] = ids[i];
        if (self->lacking_count == BATCH)
            (void) s_get_lacking(self, &ignored);
    }
    (void) s_get_lacking(self, &ignored);
}

static rmt_fetch_t *
s_connect(rmt_task_t *task, const rmt_holder_t *holder, const rmt_id_t *image,
          rmt_error_t *error)
{
    rmt_auto(rmt_record) ask = rmt_record_new();
    rmt_record_set(ask, "place", rmt_record_text(rmt_task_body(task), "place", ""));
    rmt_record_set(ask, "service", "package");
    rmt_record_set(ask, "image", rmt_record_text(rmt_task_body(task), "image", ""));
    rmt_auto(rmt_msg) reply = rmt_task_request(task, "holders", ask, NULL, error);
    if (!reply)
        return NULL;
    return rmt_fetch_new(reply->items, rmt_task_host(task), rmt_holder_key(holder), image,
                         error);
}

static int
s_commit(build_t *self, const rmt_id_t *image, rmt_error_t *error)
{
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    size_t size;
    rmt_id_t committed;
    rmt_task_progress(self->task, "commit", self->bytes_plain, 0, NULL);
    if (s_source(self, image, plain, &size, error) == -1
        || rmt_store_image_put(self->store, plain, size, &committed, error) == -1)
        return rmt_wrap(error, "commit image");
    assert(rmt_id_equal(image, &committed));
    rmt_record_t *outputs = rmt_task_outputs(self->task);
    rmt_record_set_u64(outputs, "chunks", self->chunks);
    rmt_record_set_u64(outputs, "had", self->had);
    rmt_record_set_u64(outputs, "fetched", self->fetched);
    rmt_record_set_u64(outputs, "bytes-fetched", self->bytes_fetched);
    return 0;
}

int
installer_build(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    rmt_id_t image;
    if (rmt_id_parse(&image, rmt_record_text(rmt_task_body(task), "image", ""), error) == -1)
        return rmt_wrap(error, "image");
    rmt_task_progress(task, "fetch", 0, 0, NULL);
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(holder), false, error);
    rmt_auto(rmt_fetch) fetch = store ? s_connect(task, holder, &image, error) : NULL;
    if (!fetch)
        return -1;
    rmt_auto_ptr lacking = calloc(BATCH, sizeof(rmt_id_t));
    build_t self = { .task = task, .store = store, .fetch = fetch, .lacking = lacking };
    rmt_fetch_set_alive(fetch, s_is_alive, &self);
    const rmt_walk_t walk = { .source = s_source,
                              .context = &self,
                              .expect = s_expect,
                              .visit = s_visit,
                              .visitor = &self };
    if (rmt_closure_walk(&walk, &image, error) == -1 || s_get_lacking(&self, error) == -1) {
        rmt_store_rollback(store);
        return rmt_wrap(error, "build at %s", rmt_holder_place(holder));
    }
    return s_commit(&self, &image, error);
}
