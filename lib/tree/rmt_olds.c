#include "tree/rmt_olds.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_map.h"
#include "store/rmt_chunker.h"
#include "tree/rmt_beneath.h"
#include "tree/rmt_extents.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NO_FILE UINT32_MAX

typedef struct {
    rmt_id_t id;
    uint32_t size;
    uint32_t file; // Its old file, or NO_FILE
    uint64_t offset;
} s_chunk_t;

typedef struct {
    char *path;
    bool is_replaced, is_searched;
} s_file_t;

struct rmt_olds {
    int tree_fd;
    s_chunk_t *chunks;
    size_t chunk_room;
    rmt_map_t map; // Of chunks by id
    s_file_t *files;
    size_t file_count, file_room;
    size_t lacking;
    uint64_t lacking_size;
    uint8_t *buffer; // RMT_CHUNK_PLAIN_MAX
    int fd;          // Of the file that was read last
    uint32_t fd_file;
};

rmt_olds_t *
rmt_olds_new(int tree_fd)
{
    rmt_olds_t *self = calloc(1, sizeof *self);
    assert(self);
    self->tree_fd = tree_fd;
    self->buffer = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(self->buffer);
    self->fd = -1;
    self->fd_file = NO_FILE;
    return self;
}

void
rmt_olds_destroy(rmt_olds_t **self_p)
{
    rmt_olds_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1)
        close(self->fd);
    for (size_t i = 0; i < self->file_count; i++)
        free(self->files[i].path);
    free(self->files);
    rmt_map_clear(&self->map);
    free(self->chunks);
    free(self->buffer);
    free(self);
    *self_p = NULL;
}

// ---- What is wanted

static bool
s_has_id(const void *chunks, size_t number, const void *id)
{
    return rmt_id_equal(&((const s_chunk_t *) chunks)[number].id, id);
}

static s_chunk_t *
s_find(const rmt_olds_t *self, const rmt_id_t *id)
{
    const size_t at =
        rmt_map_find(&self->map, rmt_id_hash(id), s_has_id, self->chunks, id);
    return at == RMT_MAP_NONE ? NULL : &self->chunks[at];
}

void
rmt_olds_want(rmt_olds_t *self, const rmt_entry_t *entry)
{
    for (size_t i = 0; i < entry->chunk_count; i++) {
        if (s_find(self, &entry->chunks[i]))
            continue;
        rmt_grow(&self->chunks, &self->chunk_room, self->map.count + 1);
        self->chunks[self->map.count] = (s_chunk_t){
            .id = entry->chunks[i], .size = entry->chunk_sizes[i], .file = NO_FILE};
        rmt_map_add(&self->map, rmt_id_hash(&entry->chunks[i]));
        self->lacking++;
        self->lacking_size += entry->chunk_sizes[i];
    }
}

size_t
rmt_olds_lacking(const rmt_olds_t *self)
{
    return self->lacking;
}

uint64_t
rmt_olds_lacking_size(const rmt_olds_t *self)
{
    return self->lacking_size;
}

rmt_id_t *
rmt_olds_missing(const rmt_olds_t *self, size_t *count_out)
{
    rmt_id_t *ids = calloc(self->lacking + 1, sizeof *ids);
    assert(ids);
    size_t count = 0;
    for (size_t i = 0; i < self->map.count; i++)
        if (self->chunks[i].file == NO_FILE)
            ids[count++] = self->chunks[i].id;
    *count_out = count;
    return ids;
}

// ---- Where it lies

static uint32_t
s_add_file(rmt_olds_t *self, const char *path, bool is_replaced, bool is_searched)
{
    assert(self->file_count < NO_FILE);
    rmt_grow(&self->files, &self->file_room, self->file_count + 1);
    s_file_t *file = &self->files[self->file_count];
    *file = (s_file_t){strdup(path), is_replaced, is_searched};
    assert(file->path);
    return (uint32_t) self->file_count++;
}

void
rmt_olds_add(rmt_olds_t *self, const char *path, bool is_replaced)
{
    s_add_file(self, path, is_replaced, false);
}

// Place in the file of size bytes at a position in its runs, which must be one piece.
// False when a hole lies between.
static bool
s_place(const rmt_extent_t *runs, size_t count, uint64_t position, size_t size,
        uint64_t *offset_out)
{
    for (size_t i = 0; i < count; i++) {
        if (position >= runs[i].size) {
            position -= runs[i].size;
            continue;
        }
        *offset_out = runs[i].offset + position;
        return runs[i].size - position >= size;
    }
    return false;
}

static void
s_found(rmt_olds_t *self, s_chunk_t *chunk, uint32_t file, uint64_t offset)
{
    chunk->file = file;
    chunk->offset = offset;
    self->lacking--;
    self->lacking_size -= chunk->size;
}

void
rmt_olds_note(rmt_olds_t *self, const rmt_entry_t *entry)
{
    const rmt_extent_t whole = {0, entry->size};
    uint32_t file = NO_FILE;
    uint64_t position = 0, offset;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        s_chunk_t *chunk = s_find(self, &entry->chunks[i]);
        const uint32_t size = entry->chunk_sizes[i];
        const bool is_placed =
            chunk && chunk->file == NO_FILE &&
            s_place(entry->sparse ? entry->extents : &whole,
                    entry->sparse ? entry->extent_count : 1, position, size, &offset);
        if (is_placed) {
            if (file == NO_FILE)
                file = s_add_file(self, entry->path, false, true);
            s_found(self, chunk, file, offset);
        }
        position += size;
    }
}

static int
s_open(const rmt_olds_t *self, const char *path)
{
    return rmt_beneath_open(self->tree_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
}

// Cut contents as a capture would. Returns the bytes read.
static uint64_t
s_search_runs(rmt_olds_t *self, uint32_t number, int fd, const rmt_extents_t *data,
              uint64_t limit)
{
    rmt_runs_t runs = {.items = data->items, .count = data->count};
    const uint64_t end = rmt_extents_size(data);
    uint64_t position = 0;
    while (position < end && position < limit && self->lacking) {
        const uint64_t left = end - position;
        const size_t piece =
            left < RMT_CHUNK_PLAIN_MAX ? (size_t) left : RMT_CHUNK_PLAIN_MAX;
        rmt_error_t ignored = {0};
        if (rmt_runs_pread(&runs, fd, position, self->buffer, piece, &ignored) !=
            (ssize_t) piece)
            break;
        const size_t size = rmt_chunker_cut(&RMT_CUT_FILE, self->buffer, piece);
        rmt_id_t id;
        rmt_id_compute(&id, self->buffer, size);
        s_chunk_t *chunk = s_find(self, &id);
        uint64_t offset;
        if (chunk && chunk->file == NO_FILE &&
            s_place(data->items, data->count, position, size, &offset))
            s_found(self, chunk, number, offset);
        position += size;
    }
    return position;
}

static uint64_t
s_search_file(rmt_olds_t *self, uint32_t number, uint64_t limit)
{
    rmt_error_t ignored = {0};
    rmt_auto_fd fd = s_open(self, self->files[number].path);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1 || !S_ISREG(status.st_mode))
        return 0;
    rmt_extents_t data = {0}, reserved = {0};
    uint64_t done = 0;
    if (rmt_extents_read(&data, &reserved, fd, &status, &ignored) == 0)
        done = s_search_runs(self, number, fd, &data, limit);
    rmt_extents_free(&data);
    rmt_extents_free(&reserved);
    return done;
}

void
rmt_olds_search(rmt_olds_t *self, bool replaced)
{
    uint64_t limit = replaced ? UINT64_MAX : 2 * self->lacking_size;
    for (size_t i = 0; i < self->file_count && self->lacking && limit; i++) {
        s_file_t *file = &self->files[i];
        if (file->is_searched || file->is_replaced != replaced)
            continue;
        file->is_searched = true;
        const uint64_t done = s_search_file(self, (uint32_t) i, limit);
        limit -= done < limit ? done : limit;
    }
}

int
rmt_olds_read(rmt_olds_t *self, const rmt_id_t *id, void *plain_out, size_t *size_out)
{
    const s_chunk_t *chunk = s_find(self, id);
    if (!chunk || chunk->file == NO_FILE)
        return 0;
    if (self->fd_file != chunk->file) {
        if (self->fd != -1)
            close(self->fd);
        self->fd = s_open(self, self->files[chunk->file].path);
        self->fd_file = chunk->file;
    }
    const rmt_extent_t run = {chunk->offset, chunk->size};
    rmt_runs_t runs = {.items = &run, .count = 1};
    rmt_error_t ignored = {0};
    if (self->fd == -1 || rmt_runs_pread(&runs, self->fd, 0, plain_out, chunk->size,
                                         &ignored) != (ssize_t) chunk->size)
        return 0;
    // By now another file may have the name.
    rmt_id_t found;
    rmt_id_compute(&found, plain_out, chunk->size);
    *size_out = chunk->size;
    return rmt_id_equal(&found, id);
}
