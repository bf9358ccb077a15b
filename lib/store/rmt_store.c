#include "store/rmt_store.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "store/rmt_batch.h"
#include "store/rmt_pool.h"
#include "store/rmt_tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct rmt_store {
    char *root, *packs; // Folders
    rmt_tables_t *tables;
    rmt_batch_t *batch; // Put and not committed; NULL when there is nothing
    rmt_pool_t *pool;
    uint8_t *room;  // Record of the last get
    uint8_t *plain; // To verify in
};

static const char s_format[] = "ramet-store 1 0\n";
static const char *const s_folders[] = {"packs", "index", "images", "trash", "tmp"};

// ---- Opening

static int
s_create(const char *root, rmt_error_t *error)
{
    for (size_t i = 0; i < sizeof s_folders / sizeof s_folders[0]; i++) {
        rmt_auto_str path = rmt_text("%s/%s", root, s_folders[i]);
        if (rmt_io_mkdirs(path, 0700, error) == -1)
            return -1;
    }
    // Last, so that a folder with this file has all the others.
    rmt_auto_str path = rmt_text("%s/format", root);
    if (rmt_io_save(path, s_format, sizeof s_format - 1, 0600, error) == -1)
        return -1;
    return rmt_io_sync_parent(root, error);
}

static int
s_check_format(const char *root, bool create, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/format", root);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    rmt_error_t why;
    if (rmt_io_load(path, 4096, &data, &size, &why) == -1) {
        if (why.code != RMT_E_NOT_FOUND) {
            *error = why;
            return -1;
        }
        if (!create)
            return rmt_fail(error, RMT_E_NOT_FOUND, "the folder %s has no store", root);
        return s_create(root, error);
    }
    if (size != sizeof s_format - 1 || memcmp(data, s_format, size) != 0)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "store %s: format is not \"%.*s\"",
                        root, (int) sizeof s_format - 2, s_format);
    return 0;
}

rmt_store_t *
rmt_store_new(const char *root, bool create, rmt_error_t *error)
{
    assert(root);
    if (s_check_format(root, create, error) == -1)
        return NULL;
    rmt_auto(rmt_store) self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->root = rmt_text("%s", root);
    self->packs = rmt_text("%s/packs", root);
    self->tables = rmt_tables_new(root);
    self->pool = rmt_pool_new();
    self->room = malloc(RMT_RECORD_HEAD_SIZE + RMT_CHUNK_STORED_MAX);
    self->plain = malloc(RMT_CHUNK_PLAIN_MAX);
    if (!self->room || !self->plain)
        abort();
    if (rmt_store_refresh(self, error) == -1)
        return NULL;
    return rmt_take(&self);
}

void
rmt_store_destroy(rmt_store_t **self_p)
{
    rmt_store_t *self = *self_p;
    if (!self)
        return;
    rmt_batch_destroy(&self->batch);
    rmt_tables_destroy(&self->tables);
    rmt_pool_destroy(&self->pool);
    free(self->room);
    free(self->plain);
    free(self->root);
    free(self->packs);
    free(self);
    *self_p = NULL;
}

const char *
rmt_store_root(const rmt_store_t *self)
{
    return self->root;
}

rmt_tables_t *
rmt_store_tables(const rmt_store_t *self)
{
    return self->tables;
}

bool
rmt_store_is_open(const rmt_store_t *self)
{
    return self->batch != NULL;
}

int
rmt_store_refresh(rmt_store_t *self, rmt_error_t *error)
{
    return rmt_tables_refresh(self->tables, error);
}

// ---- Looking up

// That of the batch comes first, and has no flags. All zero to begin with.
typedef struct {
    bool is_begun;
    rmt_copies_t listed;
} s_copies_t;

static bool
s_batch_copy(rmt_store_t *self, const rmt_id_t *id, rmt_copy_t *copy_out)
{
    copy_out->flags = NULL;
    return self->batch &&
           rmt_batch_find(self->batch, id, &copy_out->slot, &copy_out->pack);
}

static bool
s_next_copy(rmt_store_t *self, const rmt_id_t *id, s_copies_t *copies,
            rmt_copy_t *copy_out)
{
    const bool is_first = !copies->is_begun;
    copies->is_begun = true;
    return (is_first && s_batch_copy(self, id, copy_out)) ||
           rmt_tables_next_copy(self->tables, id, &copies->listed, copy_out);
}

static bool
s_is_present(const rmt_copy_t *copy)
{
    return !copy->flags || *copy->flags & RMT_PACK_PRESENT;
}

// What is marked for removal is no base to build on: it is stored again.
static bool
s_is_kept(const rmt_copy_t *copy)
{
    return s_is_present(copy) && !(copy->flags && *copy->flags & RMT_PACK_TRASHED);
}

bool
rmt_store_has(rmt_store_t *self, const rmt_id_t *id)
{
    s_copies_t copies = {0};
    rmt_copy_t copy;
    while (s_next_copy(self, id, &copies, &copy))
        if (s_is_kept(&copy))
            return true;
    return false;
}

bool
rmt_store_has_beside(rmt_store_t *self, const rmt_id_t *id, const rmt_file_name_t *pack)
{
    s_copies_t copies = {0};
    rmt_copy_t copy;
    while (s_next_copy(self, id, &copies, &copy))
        if (s_is_kept(&copy) && rmt_file_name_compare(&copy.pack, pack) != 0)
            return true;
    return false;
}

bool
rmt_store_can_read(rmt_store_t *self, const rmt_id_t *id)
{
    s_copies_t copies = {0};
    rmt_copy_t copy;
    while (s_next_copy(self, id, &copies, &copy))
        if (s_is_present(&copy))
            return true;
    return false;
}

// ---- Reading

static int
s_read_copy(rmt_store_t *self, const rmt_copy_t *copy, void *plain_out,
            rmt_chunk_t *chunk_out, rmt_error_t *error)
{
    if (!copy->flags && rmt_batch_flush(self->batch, error) == -1)
        return -1;
    const char *second = self->batch ? rmt_batch_folder(self->batch) : NULL;
    const int fd = rmt_pool_get(self->pool, &copy->pack, self->packs, second, error);
    if (fd == -1 || rmt_pack_read(fd, &copy->slot, self->room, chunk_out, error) == -1 ||
        (plain_out && rmt_chunk_open(chunk_out, plain_out, error) == -1)) {
        char pack[RMT_FILE_TEXT_SIZE], id[RMT_ID_TEXT_SIZE];
        return rmt_wrap(error, "chunk %s in pack %s at %u",
                        rmt_id_text(&copy->slot.id, id),
                        rmt_file_name_text(&copy->pack, pack), copy->slot.offset);
    }
    return 0;
}

// The first copy that is right, unpacked when plain_out is not NULL.
static int
s_read(rmt_store_t *self, const rmt_id_t *id, void *plain_out, rmt_chunk_t *chunk_out,
       rmt_error_t *error)
{
    s_copies_t copies = {0};
    rmt_copy_t copy;
    rmt_chunk_t chunk;
    rmt_error_t why; // Of the last copy; of no interest when another one is right
    bool is_any = false;
    while (s_next_copy(self, id, &copies, &copy)) {
        if (!s_is_present(&copy))
            continue;
        is_any = true;
        if (s_read_copy(self, &copy, plain_out, &chunk, &why) == 0) {
            *chunk_out = chunk;
            return 0;
        }
    }
    char text[RMT_ID_TEXT_SIZE];
    if (!is_any)
        return rmt_fail(error, RMT_E_NOT_FOUND, "chunk %s is missing from store %s",
                        rmt_id_text(id, text), self->root);
    *error = why;
    return -1;
}

int
rmt_store_get_slot(rmt_store_t *self, int fd, const rmt_slot_t *slot, bool verify,
                   rmt_chunk_t *chunk_out, rmt_error_t *error)
{
    if (rmt_pack_read(fd, slot, self->room, chunk_out, error) == -1)
        return -1;
    return verify ? rmt_chunk_open(chunk_out, self->plain, error) : 0;
}

int
rmt_store_get(rmt_store_t *self, const rmt_id_t *id, bool verify, rmt_chunk_t *chunk_out,
              rmt_error_t *error)
{
    return s_read(self, id, verify ? self->plain : NULL, chunk_out, error);
}

int
rmt_store_read(void *store, const rmt_id_t *id, void *plain_out, size_t *size_out,
               rmt_error_t *error)
{
    rmt_chunk_t chunk;
    if (s_read(store, id, plain_out, &chunk, error) == -1)
        return -1;
    *size_out = chunk.plain_size;
    return 0;
}

// ---- Writing

int
rmt_store_put(rmt_store_t *self, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    assert(chunk->size >= 1 && chunk->size <= RMT_CHUNK_STORED_MAX);
    return rmt_store_has(self, &chunk->id) ? 0 : rmt_store_put_again(self, chunk, error);
}

int
rmt_store_put_again(rmt_store_t *self, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    rmt_copy_t copy;
    if (s_batch_copy(self, &chunk->id, &copy))
        return 0;
    if (!self->batch)
        self->batch = rmt_batch_new(self->root, error);
    if (!self->batch)
        return -1;
    return rmt_batch_put(self->batch, chunk, error);
}

int
rmt_store_commit(rmt_store_t *self, rmt_error_t *error)
{
    if (!self->batch)
        return 0;
    if (rmt_batch_publish(self->batch, error) == -1)
        return -1;
    rmt_batch_destroy(&self->batch);
    if (rmt_store_refresh(self, error) == -1)
        return -1;
    // All is durable and visible by now; a merge that fails is tried again another time.
    rmt_error_t ignored;
    (void) rmt_tables_tidy(self->tables, &ignored);
    return 0;
}

void
rmt_store_rollback(rmt_store_t *self)
{
    rmt_batch_destroy(&self->batch);
}
