#include "mount/rmt_image_read.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_grow.h"
#include "mount/rmt_chunk_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Read ahead so much of a file that is read from front to back, at first and at most;
// reads that come so near to each other are in order.
#define AHEAD_FIRST ((uint64_t) 256 * 1024)
#define AHEAD_MAX ((uint64_t) 8 * 1024 * 1024)
#define NEAR ((uint64_t) 1024 * 1024)
// An image may be of foreign hands, and cut into chunks of a byte.
#define PIECES_MAX 2048 // Of a read, which has at most 1 MiB
#define AHEAD_COUNT_MAX 2048

// ---- Open files

struct rmt_image_contents {
    rmt_image_contents_t **owner; // Where this is known
    size_t references;
    uint64_t size;
    rmt_extent_t *runs; // Of data
    size_t run_count;
    rmt_id_t *chunks;
    uint64_t *starts; // Of each chunk in the data of all runs; and the end
    size_t chunk_count;
};

struct rmt_image_file {
    rmt_image_contents_t *contents;
    uint64_t next;  // Where a read in order goes on
    uint64_t ahead; // So many bytes behind that are asked for
};

static rmt_image_contents_t *
s_contents_new(rmt_image_contents_t **owner, const rmt_entry_t *entry)
{
    rmt_image_contents_t *self = calloc(1, sizeof *self);
    assert(self);
    self->owner = owner;
    self->size = entry->size;
    const rmt_extent_t whole = {0, entry->size};
    const rmt_extent_t *runs = entry->sparse ? entry->extents : &whole;
    self->run_count = entry->sparse ? entry->extent_count : entry->size > 0;
    self->chunk_count = entry->chunk_count;
    self->runs = malloc((self->run_count + 1) * sizeof *self->runs);
    self->chunks = malloc((self->chunk_count + 1) * sizeof *self->chunks);
    self->starts = malloc((self->chunk_count + 1) * sizeof *self->starts);
    assert(self->runs && self->chunks && self->starts);
    if (self->run_count)
        memcpy(self->runs, runs, self->run_count * sizeof *runs);
    if (self->chunk_count)
        memcpy(self->chunks, entry->chunks, self->chunk_count * sizeof *self->chunks);
    uint64_t start = 0;
    for (size_t i = 0; i < self->chunk_count; i++) {
        self->starts[i] = start;
        start += entry->chunk_sizes[i];
    }
    self->starts[self->chunk_count] = start;
    return self;
}

static void
s_contents_drop(rmt_image_contents_t *self)
{
    if (--self->references > 0)
        return;
    *self->owner = NULL;
    free(self->runs);
    free(self->chunks);
    free(self->starts);
    free(self);
}

rmt_image_file_t *
rmt_image_file_new(rmt_image_contents_t **contents_p, const rmt_entry_t *entry)
{
    rmt_image_file_t *self = calloc(1, sizeof *self);
    assert(self);
    if (!*contents_p)
        *contents_p = s_contents_new(contents_p, entry);
    self->contents = *contents_p;
    self->contents->references++;
    return self;
}

void
rmt_image_file_destroy(rmt_image_file_t **self_p)
{
    rmt_image_file_t *self = rmt_take(self_p);
    if (!self)
        return;
    s_contents_drop(self->contents);
    free(self);
}

off_t
rmt_image_file_seek(const rmt_image_file_t *file, off_t from, bool for_data)
{
    const rmt_image_contents_t *self = file->contents;
    const uint64_t at = (uint64_t) from;
    if (at >= self->size)
        return -1;
    // The first run that ends behind it. A file may have many, and be asked for each.
    size_t low = 0, high = self->run_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (at >= self->runs[middle].offset + self->runs[middle].size)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == self->run_count)
        return for_data ? -1 : from;
    const rmt_extent_t *run = &self->runs[low];
    if (for_data)
        return (off_t) (at > run->offset ? at : run->offset);
    // Runs do not touch, so behind each is a hole.
    return (off_t) (at < run->offset ? at : run->offset + run->size);
}

// The chunk that has the byte at a place of the data.
static size_t
s_chunk_at(const rmt_image_contents_t *self, uint64_t place)
{
    size_t low = 0, high = self->chunk_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (self->starts[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// ---- Reads

// A part of a read that lies in one chunk.
typedef struct {
    rmt_id_t id;
    size_t chunk_size;
    size_t from, size; // In the chunk
    size_t to;         // In the answer
    bool is_there;
} piece_t;

typedef struct read read_t;
struct read {
    read_t *next;
    fuse_req_t request;
    int64_t deadline_ms;
    bool is_interrupted;
    uint8_t *answer;
    size_t size;
    piece_t *pieces;
    size_t piece_count, missing;
};

struct rmt_image_reads {
    void (*want)(void *context, const rmt_id_t *ids, size_t count);
    void *context;
    rmt_chunk_cache_t *cache;
    uint64_t ahead_max;
    read_t *reads;   // That wait
    rmt_id_t *asked; // Chunks that are awaited
    size_t asked_count, asked_room;
    rmt_id_t *needed; // Those to be asked for next
    size_t needed_count, needed_room;
    bool is_down; // The last that was awaited did not come
};

rmt_image_reads_t *
rmt_image_reads_new(const rmt_image_mount_setup_t *setup)
{
    rmt_image_reads_t *self = calloc(1, sizeof *self);
    assert(self);
    self->want = setup->want;
    self->context = setup->context;
    self->cache = rmt_chunk_cache_new(setup->cache_size);
    self->ahead_max =
        setup->cache_size / 4 < AHEAD_MAX ? setup->cache_size / 4 : AHEAD_MAX;
    return self;
}

// Answer a read with its bytes, or with an errno, and forget it.
static void
s_answer(read_t *read, int failure)
{
    if (failure)
        (void) fuse_reply_err(read->request, failure);
    else
        (void) fuse_reply_buf(read->request, (const char *) read->answer, read->size);
    free(read->answer);
    free(read->pieces);
    free(read);
}

void
rmt_image_reads_destroy(rmt_image_reads_t **self_p)
{
    rmt_image_reads_t *self = rmt_take(self_p);
    if (!self)
        return;
    while (self->reads) {
        read_t *read = self->reads;
        self->reads = read->next;
        s_answer(read, EIO);
    }
    rmt_chunk_cache_destroy(&self->cache);
    free(self->asked);
    free(self->needed);
    free(self);
}

// ---- What is asked for

static bool
s_is_in(const rmt_id_t *ids, size_t count, const rmt_id_t *id)
{
    for (size_t i = 0; i < count; i++)
        if (rmt_id_equal(&ids[i], id))
            return true;
    return false;
}

static void
s_need(rmt_image_reads_t *self, const rmt_id_t *id)
{
    if (s_is_in(self->asked, self->asked_count, id))
        return;
    rmt_grow(&self->asked, &self->asked_room, self->asked_count + 1);
    self->asked[self->asked_count++] = *id;
    rmt_grow(&self->needed, &self->needed_room, self->needed_count + 1);
    self->needed[self->needed_count++] = *id;
}

static void
s_ask(rmt_image_reads_t *self)
{
    const size_t count = self->needed_count;
    self->needed_count = 0;
    if (count)
        self->want(self->context, self->needed, count);
}

static void
s_forget(rmt_image_reads_t *self, const rmt_id_t *id)
{
    for (size_t i = 0; i < self->asked_count; i++)
        if (rmt_id_equal(&self->asked[i], id)) {
            self->asked[i] = self->asked[--self->asked_count];
            return;
        }
}

// Need what follows in a file that is read in order.
static void
s_read_ahead(rmt_image_reads_t *self, rmt_image_file_t *file, uint64_t at, uint64_t end,
             uint64_t place)
{
    const bool is_in_order = at + NEAR >= file->next && at <= file->next + NEAR;
    if (end > file->next || !is_in_order)
        file->next = end;
    if (!is_in_order) {
        file->ahead = 0;
        return;
    }
    // Not of a file's first read: many are looked at and no more.
    const uint64_t wanted = at == 0 ? 0 : file->ahead ? file->ahead * 2 : AHEAD_FIRST;
    file->ahead = wanted < self->ahead_max ? wanted : self->ahead_max;
    const rmt_image_contents_t *all = file->contents;
    const uint64_t end_of_data = all->starts[all->chunk_count];
    if (!file->ahead || place >= end_of_data)
        return;
    // Not a chunk at a time.
    const uint64_t middle = place + file->ahead / 2;
    const rmt_id_t *half =
        &all->chunks[s_chunk_at(all, middle < end_of_data ? middle : end_of_data - 1)];
    if (rmt_chunk_cache_has(self->cache, half) ||
        s_is_in(self->asked, self->asked_count, half))
        return;
    for (size_t i = s_chunk_at(all, place);
         i < all->chunk_count && all->starts[i] < place + file->ahead &&
         self->needed_count < AHEAD_COUNT_MAX;
         i++)
        if (!rmt_chunk_cache_has(self->cache, &all->chunks[i]))
            s_need(self, &all->chunks[i]);
}

// ---- The pieces of a read

// Bytes of a run, from a place in the data of all runs on, go to a place in the answer.
static void
s_cut(const rmt_image_contents_t *file, read_t *read, uint64_t place, uint64_t size,
      size_t to)
{
    for (size_t i = s_chunk_at(file, place);
         size && i < file->chunk_count && read->piece_count <= PIECES_MAX; i++) {
        const uint64_t from = place - file->starts[i];
        const uint64_t left = file->starts[i + 1] - place;
        const uint64_t part = left < size ? left : size;
        rmt_grow_one(&read->pieces, read->piece_count);
        read->pieces[read->piece_count++] =
            (piece_t){.id = file->chunks[i],
                      .chunk_size = (size_t) (file->starts[i + 1] - file->starts[i]),
                      .from = (size_t) from,
                      .size = (size_t) part,
                      .to = to};
        place += part;
        size -= part;
        to += (size_t) part;
    }
    read->missing = read->piece_count;
}

// The pieces of a range of a file; its place in the data behind them is the result.
static uint64_t
s_cut_runs(const rmt_image_contents_t *file, read_t *read, uint64_t at, uint64_t end)
{
    uint64_t place = 0;
    for (size_t i = 0; i < file->run_count; i++) {
        const rmt_extent_t *run = &file->runs[i];
        if (run->offset >= end)
            break;
        const uint64_t start = at > run->offset ? at : run->offset;
        const uint64_t run_end = run->offset + run->size;
        const uint64_t stop = end < run_end ? end : run_end;
        if (start < stop)
            s_cut(file, read, place + (start - run->offset), stop - start,
                  (size_t) (start - at));
        if (end < run_end)
            return place + (end - run->offset);
        place += run->size;
    }
    return place;
}

// Put the bytes of a chunk where the read misses them. False: it is not the chunk that
// the file says.
static bool
s_fill(read_t *read, const rmt_id_t *id, const uint8_t *plain, size_t size)
{
    for (size_t i = 0; i < read->piece_count; i++) {
        piece_t *piece = &read->pieces[i];
        if (piece->is_there || !rmt_id_equal(&piece->id, id))
            continue;
        if (piece->chunk_size != size)
            return false;
        memcpy(read->answer + piece->to, plain + piece->from, piece->size);
        piece->is_there = true;
        read->missing--;
    }
    return true;
}

static void
s_interrupt(fuse_req_t request, void *data)
{
    (void) request;
    read_t *read = data;
    read->is_interrupted = true; // It is answered by sweep, when libfuse has let it go
}

static void
s_wait(rmt_image_reads_t *self, read_t *read)
{
    read->deadline_ms = rmt_clock_ms() + (self->is_down ? RMT_IMAGE_MOUNT_DOWN_MS
                                                        : RMT_IMAGE_MOUNT_PATIENCE_MS);
    read->next = self->reads;
    self->reads = read;
    fuse_req_interrupt_func(read->request, s_interrupt, read);
}

void
rmt_image_reads_start(rmt_image_reads_t *self, fuse_req_t request, rmt_image_file_t *file,
                      size_t size, off_t offset)
{
    const uint64_t at = (uint64_t) offset;
    const uint64_t all = file->contents->size;
    const uint64_t left = at < all ? all - at : 0;
    read_t *read = calloc(1, sizeof *read);
    assert(read);
    read->request = request;
    read->size = left < size ? (size_t) left : size;
    read->answer = calloc(read->size + 1, 1); // Holes are zeros
    assert(read->answer);
    const uint64_t end = at + read->size;
    const uint64_t place = s_cut_runs(file->contents, read, at, end);
    if (read->piece_count > PIECES_MAX) {
        s_answer(read, EIO);
        return;
    }
    bool is_right = true;
    for (size_t i = 0; i < read->piece_count && is_right; i++) {
        size_t have;
        const void *plain = rmt_chunk_cache_get(self->cache, &read->pieces[i].id, &have);
        if (plain)
            is_right = s_fill(read, &read->pieces[i].id, plain, have);
        else
            s_need(self, &read->pieces[i].id);
    }
    s_read_ahead(self, file, at, end, place);
    if (!is_right || read->missing == 0)
        s_answer(read, is_right ? 0 : EIO);
    else
        s_wait(self, read);
    s_ask(self);
}

// ---- What comes, and what does not

void
rmt_image_reads_give(rmt_image_reads_t *self, const rmt_id_t *id, const void *plain,
                     size_t size)
{
    self->is_down = false;
    s_forget(self, id);
    rmt_chunk_cache_put(self->cache, id, plain, size);
    for (read_t **slot = &self->reads; *slot;) {
        read_t *read = *slot;
        const bool is_right = s_fill(read, id, plain, size);
        if (is_right && read->missing) {
            slot = &read->next;
            continue;
        }
        *slot = read->next;
        s_answer(read, is_right ? 0 : EIO);
    }
}

// Does the read miss one of these?
static bool
s_misses(const read_t *read, const rmt_id_t *ids, size_t count)
{
    for (size_t i = 0; i < read->piece_count; i++)
        if (!read->pieces[i].is_there && s_is_in(ids, count, &read->pieces[i].id))
            return true;
    return false;
}

void
rmt_image_reads_fail(rmt_image_reads_t *self, const rmt_id_t *ids, size_t count,
                     bool is_final)
{
    self->is_down |= !is_final;
    for (size_t i = 0; i < count; i++)
        s_forget(self, &ids[i]);
    for (read_t **slot = &self->reads; *slot;) {
        read_t *read = *slot;
        if (is_final && s_misses(read, ids, count)) {
            *slot = read->next;
            s_answer(read, EIO);
            continue;
        }
        for (size_t i = 0; i < read->piece_count; i++)
            if (!read->pieces[i].is_there)
                s_need(self, &read->pieces[i].id);
        slot = &read->next;
    }
    s_ask(self);
}

size_t
rmt_image_reads_expire(rmt_image_reads_t *self)
{
    const int64_t now = rmt_clock_ms();
    size_t count = 0;
    for (read_t **slot = &self->reads; *slot;) {
        read_t *read = *slot;
        if (read->deadline_ms > now) {
            slot = &read->next;
            continue;
        }
        *slot = read->next;
        s_answer(read, EIO);
        self->is_down = true;
        count++;
    }
    return count;
}

void
rmt_image_reads_sweep(rmt_image_reads_t *self)
{
    for (read_t **slot = &self->reads; *slot;) {
        read_t *read = *slot;
        if (!read->is_interrupted) {
            slot = &read->next;
            continue;
        }
        *slot = read->next;
        s_answer(read, EINTR);
    }
}
