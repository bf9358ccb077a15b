#include "installer/facts.h"
#include "installer/sound.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "exchange/rmt_fetch.h"
#include "store/rmt_store.h"
#include "wire/rmt_codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_SIZE_MAX ((size_t) 64 * 1024)
#define CHUNKS_MAX 512 // Of one file, as an outline is cut (5-image.md)
#define FILE_SIZE_MAX ((size_t) 32 * 1024 * 1024)

typedef struct {
    rmt_task_t *task;
    const rmt_holder_t *holder;
    rmt_store_t *store;
} work_t;

int
installer_facts_records(rmt_task_t *task, rmt_records_t **records_out, rmt_error_t *error)
{
    size_t size;
    const void *packed = rmt_record_get(rmt_task_body(task), "kernel", &size);
    *records_out =
        packed ? rmt_codec_unpack_records(packed, size, RECORDS_SIZE_MAX, error) : NULL;
    return packed && !*records_out ? -1 : 0;
}

static int
s_keep(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    work_t *self = context;
    return rmt_store_put_again(self->store, chunk, error);
}

// Get chunks into this store.
static int
s_fetch(work_t *self, const rmt_id_t *ids, size_t count, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(self->task);
    rmt_id_t image;
    if (rmt_id_parse(&image, rmt_record_text(body, "image", ""), error) == -1)
        return rmt_wrap(error, "image");
    rmt_auto(rmt_record) ask = rmt_record_new();
    rmt_record_set(ask, "place", rmt_record_text(body, "place", ""));
    rmt_record_set(ask, "service", "package");
    rmt_record_set(ask, "image", rmt_record_text(body, "image", ""));
    rmt_auto(rmt_msg) reply = rmt_task_request(self->task, "holders", ask, NULL, error);
    if (!reply)
        return -1;
    rmt_auto(rmt_fetch) fetch =
        rmt_fetch_new(reply->items, rmt_task_host(self->task),
                      rmt_holder_key(self->holder), &image, error);
    if (!fetch)
        return -1;
    rmt_fetch_set_alive(fetch, rmt_task_go_on, self->task);
    if (rmt_fetch_get(fetch, ids, count, s_keep, self, error) == -1)
        return -1;
    return rmt_store_commit(self->store, error);
}

static int
s_parse_ids(const char *text, rmt_id_t ids[CHUNKS_MAX], size_t *count_out,
            rmt_error_t *error)
{
    rmt_auto_str words = rmt_text("%s", text);
    char *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(words, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        if (count == CHUNKS_MAX)
            return rmt_fail(error, RMT_E_PROTOCOL, "a file of over %d chunks",
                            CHUNKS_MAX);
        if (rmt_id_parse(&ids[count++], word, error) == -1)
            return -1;
    }
    *count_out = count;
    return 0;
}

static int
s_load(work_t *self, const rmt_record_t *file, void **data_out, size_t *size_out,
       rmt_error_t *error)
{
    rmt_id_t ids[CHUNKS_MAX];
    rmt_id_t lacking[CHUNKS_MAX];
    size_t count = 0, lacking_count = 0, used = 0;
    if (s_parse_ids(rmt_record_text(file, "facts", ""), ids, &count, error) == -1)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!installer_is_sound(self->store, rmt_holder_place(self->holder), &ids[i]))
            lacking[lacking_count++] = ids[i];
    }
    if (lacking_count && s_fetch(self, lacking, lacking_count, error) == -1)
        return rmt_wrap(error, "fetch");
    rmt_auto_ptr data = malloc(1);
    for (size_t i = 0; i < count && used <= FILE_SIZE_MAX; i++) {
        size_t size;
        data = realloc(data, used + RMT_CHUNK_PLAIN_MAX + 1);
        assert(data);
        if (rmt_store_read(self->store, &ids[i], (char *) data + used, &size, error) ==
            -1)
            return -1;
        used += size;
    }
    if (used > FILE_SIZE_MAX)
        return rmt_fail(error, RMT_E_PROTOCOL, "a file of over %zu MiB",
                        FILE_SIZE_MAX >> 20);
    *size_out = used;
    *data_out = rmt_take(&data);
    return 0;
}

int
installer_facts_load(rmt_task_t *task, const rmt_holder_t *holder,
                     const rmt_record_t *file, void **data_out, size_t *size_out,
                     rmt_error_t *error)
{
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(holder), false, error);
    work_t work = {task, holder, store};
    if (!store || s_load(&work, file, data_out, size_out, error) == -1)
        return rmt_wrap(
            error, "%s",
            rmt_record_text(file, "name", rmt_record_text(file, "class", "")));
    return 0;
}
