#include "installer/installer.h"
#include "base/rmt_auto.h"
#include "exchange/rmt_closure.h"
#include "wire/rmt_codec.h"
#include "exchange/rmt_fetch.h"
#include "installer/sound.h"
#include "place/holder.h"
#include "place/space.h"
#include "base/rmt_log.h"
#include "store/rmt_idset.h"
#include "store/rmt_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Ids that are asked for in one call; the fetch keeps its window full by itself.
#define BATCH 4096
// What a crash may cost: fetched bytes that are not durable yet.
#define SAVE_SIZE ((uint64_t) 256 * 1024 * 1024)
// How often the broker is asked anew for holders before the build fails.
#define RENEW_MAX 3
// Chunks that are remembered as sound: about 100 MiB.
#define SOUND_MAX ((size_t) 2000000)

typedef struct {
    rmt_task_t *task;
    const rmt_holder_t *holder;
    rmt_id_t image;
    rmt_store_t *store;
    rmt_fetch_t *fetch;
    rmt_idset_t *sound;
    size_t sound_count;
    rmt_id_t *lacking; // [BATCH]
    size_t lacking_count;
    uint64_t chunks, fetched, mended, bytes_fetched, unsaved;
    uint64_t done, total; // Plain bytes, for people
} build_t;

// ---- Fetching

// What is read here is what the targets will be given. Chunks that many files share are
// read once.
static bool
s_is_sound(build_t *self, const rmt_id_t *id)
{
    if (rmt_idset_has(self->sound, id))
        return true;
    if (!installer_is_sound(self->store, rmt_holder_place(self->holder), id))
        return false;
    if (self->sound_count < SOUND_MAX)
        self->sound_count += rmt_idset_add(self->sound, id);
    return true;
}

// Ask the broker for holders of the image; it tells them that this key may fetch.
static int
s_connect(build_t *self, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(self->task);
    rmt_auto(rmt_record) ask = rmt_record_new();
    rmt_record_set(ask, "place", rmt_record_text(body, "place", ""));
    rmt_record_set(ask, "service", "package");
    rmt_record_set(ask, "image", rmt_record_text(body, "image", ""));
    rmt_auto(rmt_msg) reply = rmt_task_request(self->task, "holders", ask, NULL, error);
    if (!reply)
        return -1;
    rmt_fetch_destroy(&self->fetch);
    self->fetch = rmt_fetch_new(reply->items, rmt_task_host(self->task),
                                rmt_holder_key(self->holder), &self->image, error);
    if (!self->fetch)
        return -1;
    rmt_fetch_set_alive(self->fetch, rmt_task_go_on, self->task);
    return 0;
}

static void
s_progress(build_t *self, uint64_t plain_size)
{
    self->done += plain_size;
    // Manifests are fetched too, but are no part of what people count.
    const uint64_t done = self->done < self->total ? self->done : self->total;
    rmt_task_progress(self->task, self->fetched ? "fetch" : "check", done, self->total,
                      NULL);
}

static int
s_store_chunk(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    build_t *self = context;
    if (rmt_task_cancelled(self->task))
        return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
    // A second copy of what is damaged: the store gives the first one that is right.
    const bool is_mended = rmt_store_has(self->store, &chunk->id);
    if (rmt_store_put_again(self->store, chunk, error) == -1)
        return -1;
    self->fetched++;
    self->mended += is_mended;
    self->bytes_fetched += chunk->size;
    self->unsaved += chunk->size;
    s_progress(self, chunk->plain_size);
    if (self->unsaved < SAVE_SIZE)
        return 0;
    self->unsaved = 0;
    return rmt_store_commit(self->store, error);
}

static size_t
s_drop_present(build_t *self, rmt_id_t *ids, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!s_is_sound(self, &ids[i]))
            ids[kept++] = ids[i];
    return kept;
}

// The holders may change while a large image is on its way; without a chunk to fetch none
// is needed. Changes ids.
static int
s_get(build_t *self, rmt_id_t *ids, size_t count, rmt_error_t *error)
{
    if (count > 0 && !self->fetch && s_connect(self, error) == -1)
        return -1;
    for (int tries = 0; count > 0; tries++) {
        if (rmt_fetch_get(self->fetch, ids, count, s_store_chunk, self, error) == 0)
            return 0;
        const bool is_worth_it =
            error->code == RMT_E_UNAVAILABLE || error->code == RMT_E_NOT_ALLOWED;
        if (!is_worth_it || tries == RENEW_MAX || s_connect(self, error) == -1)
            return -1;
        count = s_drop_present(self, ids, count);
    }
    return 0;
}

static int
s_get_lacking(build_t *self, rmt_error_t *error)
{
    const size_t count = self->lacking_count;
    self->lacking_count = 0;
    return s_get(self, self->lacking, count, error);
}

// ---- Walking

static int
s_visit(void *visitor, const rmt_id_t *id, uint32_t plain_size, rmt_error_t *error)
{
    build_t *self = visitor;
    self->chunks++;
    if (rmt_task_cancelled(self->task))
        return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
    if (s_is_sound(self, id)) {
        s_progress(self, plain_size);
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
    rmt_id_t wanted = *id;
    if (!s_is_sound(self, id) && s_get(self, &wanted, 1, error) == -1)
        return -1;
    return rmt_store_read(self->store, id, plain_out, size_out, error);
}

// The manifest's chunks, many at once, before the reader asks for them one by one.
static void
s_expect(void *visitor, const rmt_id_t *ids, size_t count)
{
    build_t *self = visitor;
    rmt_error_t ignored = {0}; // The reader meets the same failure and tells it
    for (size_t i = 0; i < count; i++) {
        if (!s_is_sound(self, &ids[i]))
            self->lacking[self->lacking_count++] = ids[i];
        if (self->lacking_count == BATCH && s_get_lacking(self, &ignored) == -1)
            return;
    }
    (void) s_get_lacking(self, &ignored);
}

// ---- The task

static int
s_read_total(build_t *self, const void *plain, size_t size, rmt_error_t *error)
{
    rmt_auto(rmt_records) descriptor =
        rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
    if (!descriptor)
        return rmt_wrap(error, "descriptor");
    const rmt_record_t *image = rmt_records_find(descriptor, "class", "image");
    self->total = image ? rmt_record_u64(image, "bytes", 0) : 0;
    return 0;
}

static int
s_build(build_t *self, rmt_error_t *error)
{
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    size_t size;
    const rmt_closure_walk_t walk = {.source = s_source,
                                     .context = self,
                                     .expect = s_expect,
                                     .visit = s_visit,
                                     .visitor = self};
    if (s_source(self, &self->image, plain, &size, error) == -1 ||
        s_read_total(self, plain, size, error) == -1 ||
        rmt_closure_walk(&walk, &self->image, error) == -1 ||
        s_get_lacking(self, error) == -1)
        return -1;
    rmt_id_t committed;
    rmt_task_progress(self->task, "commit", self->total, self->total, NULL);
    if (rmt_store_image_put(self->store, plain, size, &committed, error) == -1)
        return rmt_wrap(error, "commit image");
    assert(rmt_id_equal(&self->image, &committed));
    return 0;
}

// What was fetched is right and stays, so that the next attempt goes on from there; only
// a store that fails is left as it was.
static void
s_keep(build_t *self, rmt_code_t why)
{
    rmt_error_t ignored = {0};
    if (why == RMT_E_IO || why == RMT_E_DISK || why == RMT_E_NO_SPACE ||
        rmt_store_commit(self->store, &ignored) == -1)
        rmt_store_rollback(self->store);
}

static int
s_try(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    build_t self = {.task = task, .holder = holder};
    const char *text = rmt_record_text(rmt_task_body(task), "image", "");
    if (rmt_id_parse(&self.image, text, error) == -1)
        return rmt_wrap(error, "image");
    rmt_task_progress(task, "check", 0, 0, NULL);
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(holder), false, error);
    if (!store)
        return -1;
    rmt_auto_ptr lacking = calloc(BATCH, sizeof(rmt_id_t));
    assert(lacking);
    self.store = store;
    self.lacking = lacking;
    self.sound = rmt_idset_new();
    const int rc = s_build(&self, error);
    rmt_idset_destroy(&self.sound);
    rmt_fetch_destroy(&self.fetch);
    if (rc == -1) {
        s_keep(&self, error->code);
        return rmt_wrap(error, "build at %s", rmt_holder_place(holder));
    }
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set_u64(outputs, "chunks", self.chunks);
    rmt_record_set_u64(outputs, "had",
                       self.chunks > self.fetched ? self.chunks - self.fetched : 0);
    rmt_record_set_u64(outputs, "fetched", self.fetched);
    rmt_record_set_u64(outputs, "bytes-fetched", self.bytes_fetched);
    rmt_record_set_u64(outputs, "mended", self.mended);
    rmt_log(RMT_INFO, "build.done",
            "image=%s chunks=%" PRIu64 " fetched=%" PRIu64 " mended=%" PRIu64
            " bytes=%" PRIu64,
            text, self.chunks, self.fetched, self.mended, self.bytes_fetched);
    return 0;
}

int
installer_build(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    return place_with_space(task, holder, s_try, error);
}
