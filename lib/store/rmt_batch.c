#include "store/rmt_batch.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_grow.h"
#include "store/rmt_index.h"
#include "base/rmt_io.h"
#include "store/rmt_pending.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

// So many slots in memory (64 MB) go to an index of their own, so that memory is bounded.
#define PENDING_MAX ((size_t) 1000000)

struct rmt_batch {
    char *root, *folder;
    int folder_fd;
    rmt_pack_writer_t *writer;
    rmt_pack_writer_t *previous; // Finished; on its way to the disk
    rmt_buffer_t packs;          // Table as in an index, of all packs that are finished
    rmt_pending_t *pending;
    rmt_index_t **indexes; // Of slots that are no longer pending
    rmt_file_name_t *index_names;
    size_t index_count;
    bool failed;
};

// ---- The folder

// A sweeper may remove the folder before it is locked, so look again afterwards.
static int
s_try_folder(rmt_batch_t *self, bool *done_out, rmt_error_t *error)
{
    const rmt_file_name_t name = rmt_file_name_new();
    char text[RMT_FILE_TEXT_SIZE];
    free(self->folder);
    self->folder = rmt_text("%s/tmp/%s", self->root, rmt_file_name_text(&name, text));
    if (RMT_FAILPOINT("store.batch.folder") == -1 || mkdir(self->folder, 0700) == -1)
        return rmt_fail_errno(error, "make folder %s", self->folder);
    (void) RMT_FAILPOINT("store.batch.open");
    rmt_auto_fd fd = open(self->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (fd == -1 && errno == ENOENT)
        return 0;
    (void) RMT_FAILPOINT("store.batch.lock");
    if (fd == -1 || flock(fd, LOCK_EX) == -1 || fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "lock folder %s", self->folder);
    if (status.st_nlink == 0)
        return 0;
    self->folder_fd = rmt_take_fd(&fd);
    *done_out = true;
    return 0;
}

rmt_batch_t *
rmt_batch_new(const char *root, rmt_error_t *error)
{
    rmt_auto(rmt_batch) self = calloc(1, sizeof *self);
    assert(self);
    self->folder_fd = -1;
    self->root = rmt_text("%s", root);
    self->pending = rmt_pending_new();
    bool done = false;
    while (!done)
        if (s_try_folder(self, &done, error) == -1)
            return NULL;
    return rmt_take(&self);
}

void
rmt_batch_destroy(rmt_batch_t **self_p)
{
    rmt_batch_t *self = *self_p;
    if (!self)
        return;
    rmt_pack_writer_destroy(&self->writer);
    rmt_pack_writer_destroy(&self->previous);
    rmt_pending_destroy(&self->pending);
    for (size_t i = 0; i < self->index_count; i++)
        rmt_index_destroy(&self->indexes[i]);
    free(self->indexes);
    free(self->index_names);
    rmt_buffer_clear(&self->packs);
    if (self->folder_fd != -1) {
        // What stays behind after an error here is swept by the next gc.
        rmt_error_t ignored;
        (void) rmt_io_remove_tree(self->folder, &ignored);
        close(self->folder_fd);
    }
    free(self->folder);
    free(self->root);
    free(self);
    *self_p = NULL;
}

const char *
rmt_batch_folder(const rmt_batch_t *self)
{
    return self->folder;
}

// ---- Looking up

static uint32_t
s_pack_count(const rmt_batch_t *self)
{
    return (uint32_t) (self->packs.used / RMT_PACK_ENTRY_SIZE);
}

bool
rmt_batch_find(rmt_batch_t *self, const rmt_id_t *id, rmt_slot_t *slot_out,
               rmt_file_name_t *pack_out)
{
    const rmt_slot_t *slot = rmt_pending_find(self->pending, id);
    if (slot) {
        *slot_out = *slot;
        if (slot->pack == s_pack_count(self))
            *pack_out = rmt_pack_writer_name(self->writer);
        else
            memcpy(pack_out->bytes,
                   self->packs.data + (size_t) slot->pack * RMT_PACK_ENTRY_SIZE,
                   sizeof *pack_out);
        return true;
    }
    for (size_t i = 0; i < self->index_count; i++) {
        uint64_t first = 0;
        if (rmt_index_find(self->indexes[i], id, &first) > 0 &&
            rmt_index_slot(self->indexes[i], first, slot_out)) {
            *pack_out = rmt_index_pack_name(self->indexes[i], slot_out->pack);
            return true;
        }
    }
    return false;
}

int
rmt_batch_flush(rmt_batch_t *self, rmt_error_t *error)
{
    if (self->writer && rmt_pack_writer_flush(self->writer, error) == -1) {
        self->failed = true;
        return -1;
    }
    return 0;
}

// ---- Putting

static int
s_sync_previous(rmt_batch_t *self, rmt_error_t *error)
{
    if (self->previous && rmt_pack_writer_sync(self->previous, error) == -1)
        return -1;
    rmt_pack_writer_destroy(&self->previous);
    return 0;
}

// Finish the open pack. Its fsync is left until the next one is full: by then the
// kernel has written most of it, and the caller need not wait.
static int
s_close_pack(rmt_batch_t *self, rmt_error_t *error)
{
    if (!self->writer)
        return 0;
    if (rmt_pack_writer_finish(self->writer, error) == -1 ||
        s_sync_previous(self, error) == -1)
        return -1;
    uint8_t entry[RMT_PACK_ENTRY_SIZE];
    const rmt_file_name_t name = rmt_pack_writer_name(self->writer);
    memcpy(entry, name.bytes, sizeof name);
    rmt_put64(entry + sizeof name, rmt_pack_writer_size(self->writer));
    rmt_buffer_add(&self->packs, entry, sizeof entry);
    self->previous = rmt_take(&self->writer);
    return 0;
}

// Move what is pending to an index in the folder. All packs are finished.
static int
s_spill(rmt_batch_t *self, rmt_error_t *error)
{
    assert(!self->writer);
    if (rmt_pending_count(self->pending) == 0)
        return 0;
    const rmt_file_name_t name = rmt_file_name_new();
    char text[RMT_FILE_TEXT_SIZE];
    rmt_auto_str path =
        rmt_text("%s/%s.index", self->folder, rmt_file_name_text(&name, text));
    if (rmt_index_save(path, rmt_pending_slots(self->pending),
                       rmt_pending_count(self->pending), self->packs.data,
                       s_pack_count(self), NULL, error) == -1)
        return -1;
    rmt_pending_clear(self->pending);
    rmt_index_t *index = rmt_index_open(path, error);
    if (!index)
        return -1;
    rmt_grow_one(&self->indexes, self->index_count);
    rmt_grow_one(&self->index_names, self->index_count);
    self->indexes[self->index_count] = index;
    self->index_names[self->index_count++] = name;
    return 0;
}

static int
s_put(rmt_batch_t *self, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    if (self->writer && !rmt_pack_writer_fits(self->writer, chunk->size)) {
        if (s_close_pack(self, error) == -1)
            return -1;
        if (rmt_pending_count(self->pending) >= PENDING_MAX && s_spill(self, error) == -1)
            return -1;
    }
    if (!self->writer) {
        self->writer = rmt_pack_writer_new(self->folder, error);
        if (!self->writer)
            return -1;
    }
    rmt_slot_t slot;
    if (rmt_pack_writer_add(self->writer, chunk, &slot, error) == -1)
        return -1;
    slot.pack = s_pack_count(self);
    rmt_pending_add(self->pending, &slot);
    return 0;
}

static int
s_refuse(const rmt_batch_t *self, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_IO,
                    "store %s: an earlier write of this batch failed; run the job again",
                    self->root);
}

int
rmt_batch_put(rmt_batch_t *self, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    if (self->failed)
        return s_refuse(self, error);
    if (s_put(self, chunk, error) == 0)
        return 0;
    self->failed = true;
    return rmt_wrap(error, "store %s", self->root);
}

// ---- Publishing

static int
s_move(const rmt_batch_t *self, const rmt_file_name_t *name, const char *suffix,
       const char *to, rmt_error_t *error)
{
    char text[RMT_FILE_TEXT_SIZE];
    rmt_file_name_text(name, text);
    rmt_auto_str old = rmt_text("%s/%s%s", self->folder, text, suffix);
    rmt_auto_str new = rmt_text("%s/%s/%s", self->root, to, text);
    if (RMT_FAILPOINT("store.commit.rename") == -1 || rename(old, new) == -1)
        return rmt_fail_errno(error, "publish %s", new);
    return 0;
}

static int
s_sync_folder(const rmt_batch_t *self, const char *folder, rmt_error_t *error)
{
    rmt_auto_str inside = rmt_text("%s/%s/.", self->root, folder);
    return rmt_io_sync_parent(inside, error);
}

static int
s_publish(rmt_batch_t *self, rmt_error_t *error)
{
    if (s_close_pack(self, error) == -1 || s_sync_previous(self, error) == -1 ||
        s_spill(self, error) == -1)
        return -1;
    for (uint32_t i = 0; i < s_pack_count(self); i++) {
        rmt_file_name_t name;
        memcpy(name.bytes, self->packs.data + (size_t) i * RMT_PACK_ENTRY_SIZE,
               sizeof name);
        if (s_move(self, &name, "", "packs", error) == -1)
            return -1;
    }
    if (s_sync_folder(self, "packs", error) == -1)
        return -1;
    (void) RMT_FAILPOINT("store.commit.packs-durable");
    for (size_t i = 0; i < self->index_count; i++)
        if (s_move(self, &self->index_names[i], ".index", "index", error) == -1)
            return -1;
    return s_sync_folder(self, "index", error);
}

int
rmt_batch_publish(rmt_batch_t *self, rmt_error_t *error)
{
    if (self->failed)
        return s_refuse(self, error);
    // It ends here in any case: a second try could call durable what was lost.
    self->failed = true;
    if (s_publish(self, error) == -1)
        return rmt_wrap(error, "commit to store %s", self->root);
    return 0;
}
