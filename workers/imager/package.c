#include "imager/imager.h"
#include "base/rmt_auto.h"
#include "exchange/rmt_closure.h"
#include "wire/rmt_codec.h"
#include "place/holder.h"
#include "store/rmt_store.h"

#include <stdlib.h>

typedef struct {
    rmt_task_t *task;
    rmt_store_t *store;
    uint64_t chunks, bytes;
} package_t;

static int
s_count_files(rmt_store_t *store, const rmt_id_t *image, uint64_t *files_out,
              rmt_error_t *error)
{
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    size_t size;
    if (rmt_closure_from_store(store, image, plain, &size, error) == -1)
        return -1;
    rmt_auto(rmt_records) descriptor =
        rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
    if (!descriptor)
        return -1;
    const rmt_record_t *record = rmt_records_find(descriptor, "class", "image");
    *files_out = record ? rmt_record_u64(record, "files", 0) : 0;
    return 0;
}

static int
s_check(void *visitor, const rmt_id_t *id, uint32_t plain_size, rmt_error_t *error)
{
    package_t *self = visitor;
    char text[RMT_ID_TEXT_SIZE];
    // The first is the descriptor, which has been read already.
    if (self->chunks > 0 && !rmt_store_has(self->store, id))
        return rmt_fail(error, RMT_E_CORRUPT,
                        "chunk %s is not in the store; image the source again",
                        rmt_id_text(id, text));
    if (rmt_task_cancelled(self->task))
        return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
    self->chunks++;
    self->bytes += plain_size;
    if (self->chunks % 4096 == 0)
        rmt_task_progress(self->task, "package", self->bytes, 0, NULL);
    return 0;
}

int
imager_package(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    rmt_id_t image;
    if (rmt_id_parse(&image, rmt_record_text(rmt_task_body(task), "image", ""), error) ==
        -1)
        return rmt_wrap(error, "image");
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(holder), false, error);
    if (!store)
        return -1;
    rmt_task_progress(task, "package", 0, 0, NULL);
    package_t self = {.task = task, .store = store};
    const rmt_closure_walk_t walk = {.source = rmt_closure_from_store,
                                     .context = store,
                                     .visit = s_check,
                                     .visitor = &self};
    if (rmt_closure_walk(&walk, &image, error) == -1)
        return rmt_wrap(error, "check that place %s has the whole image",
                        rmt_holder_place(holder));
    uint64_t files = 0;
    if (s_count_files(store, &image, &files, error) == -1)
        return -1;
    rmt_record_set_u64(rmt_task_outputs(task), "files", files);
    rmt_record_set_u64(rmt_task_outputs(task), "chunks", self.chunks);
    rmt_record_set_u64(rmt_task_outputs(task), "bytes", self.bytes);
    return 0;
}
