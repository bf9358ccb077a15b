#include "agent/diskw/parser_raw.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "store/rmt_manifest.h"
#include "tree/rmt_extents.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP ((size_t) 65536)
#define NAME_SIZE 16 // Of a piece: where it begins, in hexadecimal digits

static const uint8_t s_zeros[STEP];

// A piece on its way to or from the device.
typedef struct {
    rmt_extents_t data, zeros; // Counted from the start of the device
    rmt_runs_t runs;           // Over data
    uint64_t at, size;         // Bytes of data that are done, and all
    uint64_t bytes;            // Of the device
} piece_t;

static void
s_clear(piece_t *self)
{
    rmt_extents_free(&self->data);
    rmt_extents_free(&self->zeros);
}

static int
s_measure(const rmt_parse_t *self, piece_t *piece, rmt_error_t *error)
{
    const off_t end = lseek(self->device, 0, SEEK_END);
    if (end == -1)
        return rmt_fail_errno(error, "size of a partition");
    piece->bytes = (uint64_t) end;
    return 0;
}

static void
s_move(rmt_extents_t *out, const rmt_extent_t *runs, size_t count, uint64_t start)
{
    for (size_t i = 0; i < count; i++)
        rmt_extents_add(out, start + runs[i].offset, runs[i].size);
}

static bool
s_is_inside(const rmt_extents_t *runs, uint64_t bytes)
{
    const rmt_extent_t *last = runs->count ? &runs->items[runs->count - 1] : NULL;
    return !last || (last->offset <= bytes && last->size <= bytes - last->offset);
}

// Where the piece that an entry names lies. The folder around the pieces has none.
static int
s_open(piece_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const size_t digits = strspn(entry->path, "0123456789abcdef");
    s_clear(self);
    self->at = self->size = 0;
    self->runs = (rmt_runs_t){.items = NULL};
    if (S_ISDIR(entry->mode) && !*entry->path)
        return 0;
    if (!S_ISREG(entry->mode) || digits != NAME_SIZE || entry->path[digits] ||
        !entry->sparse)
        return rmt_fail(error, RMT_E_CORRUPT, "/%.60s is not a piece of a partition",
                        entry->path);
    const uint64_t start = strtoull(entry->path, NULL, 16);
    if (start > self->bytes || entry->size > self->bytes - start)
        return rmt_fail(error, RMT_E_NO_SPACE,
                        "the partition has %" PRIu64
                        " bytes, and /%.16s ends at %" PRIu64,
                        self->bytes, entry->path, start + entry->size);
    s_move(&self->data, entry->extents, entry->extent_count, start);
    s_move(&self->zeros, entry->reserved, entry->reserved_count, start);
    if (!s_is_inside(&self->data, self->bytes) || !s_is_inside(&self->zeros, self->bytes))
        return rmt_fail(error, RMT_E_CORRUPT, "/%.16s has blocks behind the partition",
                        entry->path);
    self->runs = (rmt_runs_t){.items = self->data.items, .count = self->data.count};
    self->size = rmt_extents_size(&self->data);
    return 0;
}

// ---- Writing

static int
s_write_zeros(int fd, const rmt_extent_t *run, rmt_error_t *error)
{
    // The device may do it without any data.
    if (fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t) run->offset,
                  (off_t) run->size) == 0)
        return 0;
    for (uint64_t done = 0; done < run->size;) {
        const uint64_t left = run->size - done;
        const size_t size = left < STEP ? (size_t) left : STEP;
        if (rmt_io_pwrite(fd, s_zeros, size, (off_t) (run->offset + done), error) == -1)
            return -1;
        done += size;
    }
    return 0;
}

static int
s_begin(rmt_parse_t *self, piece_t *piece, const rmt_frame_t *frame,
        rmt_entry_buffer_t *buffer, rmt_error_t *error)
{
    rmt_entry_t entry;
    if (piece->at != piece->size)
        return rmt_fail(error, RMT_E_PROTOCOL, "a piece of a partition ended early");
    if (rmt_entry_decode(frame->data, frame->size, buffer, &entry, error) == -1 ||
        s_open(piece, &entry, error) == -1)
        return -1;
    for (size_t i = 0; i < piece->zeros.count; i++)
        if (s_write_zeros(self->device, &piece->zeros.items[i], error) == -1)
            return -1;
    self->entries++;
    return 0;
}

static int
s_write(rmt_parse_t *self, piece_t *piece, const rmt_frame_t *frame, rmt_error_t *error)
{
    if (frame->size > piece->size - piece->at)
        return rmt_fail(error, RMT_E_PROTOCOL, "a piece of a partition is too long");
    if (rmt_runs_pwrite(&piece->runs, self->device, piece->at, frame->data, frame->size,
                        error) == -1)
        return -1;
    piece->at += frame->size;
    self->done += frame->size;
    return rmt_parse_tell(self, error);
}

static int
s_take(rmt_parse_t *self, piece_t *piece, rmt_error_t *error)
{
    rmt_auto(rmt_entry_buffer) buffer = rmt_entry_buffer_new();
    for (;;) {
        rmt_frame_t frame;
        if (rmt_pipe_recv(self->pipe, -1, &frame, error) == -1)
            return -1;
        if (frame.kind == RMT_PIPE_VOLUME_END)
            return piece->at == piece->size
                       ? 0
                       : rmt_fail(error, RMT_E_PROTOCOL,
                                  "a piece of a partition ended early");
        int rc;
        if (frame.kind == RMT_PIPE_ENTRY)
            rc = s_begin(self, piece, &frame, buffer, error);
        else if (frame.kind == RMT_PIPE_DATA)
            rc = s_write(self, piece, &frame, error);
        else
            rc = rmt_fail(error, RMT_E_PROTOCOL, "a frame of kind %d came within a tree",
                          (int) frame.kind);
        if (rc == -1)
            return -1;
    }
}

int
rmt_parse_raw_unpack(rmt_parse_t *self, rmt_error_t *error)
{
    piece_t piece = {.bytes = 0};
    const int rc =
        s_measure(self, &piece, error) == -1 ? -1 : s_take(self, &piece, error);
    s_clear(&piece);
    return rc;
}

// ---- Verifying

static int
s_differ(rmt_parse_t *self, const rmt_entry_t *entry, const char *text, rmt_code_t why,
         rmt_error_t *error)
{
    const rmt_compare_finding_t finding = {
        .path = entry->path, .what = "content", .text = text, .why = why};
    return rmt_parse_find(self, &finding, error);
}

// 1: it is as it should be, 0: it differs, which was told, -1.
static int
s_check_chunk(rmt_parse_t *self, piece_t *piece, const rmt_entry_t *entry, size_t index,
              uint8_t *room, rmt_error_t *error)
{
    rmt_id_t id;
    rmt_error_t why = {0};
    const size_t size = entry->chunk_sizes[index];
    const ssize_t got =
        rmt_runs_pread(&piece->runs, self->device, piece->at, room, size, &why);
    if (got == -1)
        return s_differ(self, entry, why.text, why.code, error);
    rmt_id_compute(&id, room, (size_t) got);
    if ((size_t) got != size || !rmt_id_equal(&id, &entry->chunks[index]))
        return s_differ(self, entry, "other bytes", RMT_E_OK, error);
    piece->at += size;
    return 1;
}

static int
s_check_zeros(rmt_parse_t *self, const piece_t *piece, const rmt_entry_t *entry,
              uint8_t *room, rmt_error_t *error)
{
    for (size_t i = 0; i < piece->zeros.count; i++) {
        const rmt_extent_t *run = &piece->zeros.items[i];
        for (uint64_t done = 0; done < run->size;) {
            rmt_error_t why = {0};
            const uint64_t left = run->size - done;
            const size_t size = left < STEP ? (size_t) left : STEP;
            if (rmt_io_pread(self->device, room, size, (off_t) (run->offset + done),
                             &why) == -1)
                return s_differ(self, entry, why.text, why.code, error);
            if (memcmp(room, s_zeros, size) != 0)
                return s_differ(self, entry, "other bytes than zeros", RMT_E_OK, error);
            done += size;
        }
    }
    return 0;
}

static int
s_check(rmt_parse_t *self, piece_t *piece, const rmt_entry_t *entry, uint8_t *room,
        rmt_error_t *error)
{
    int rc = s_open(piece, entry, error) == -1 ? -1 : 1;
    for (size_t i = 0; rc == 1 && i < entry->chunk_count; i++)
        rc = s_check_chunk(self, piece, entry, i, room, error);
    if (rc == 1)
        rc = s_check_zeros(self, piece, entry, room, error);
    self->done = ++self->entries;
    return rc == -1 ? -1 : rmt_parse_tell(self, error);
}

int
rmt_parse_raw_verify(rmt_parse_t *self, rmt_error_t *error)
{
    piece_t piece = {.bytes = 0};
    rmt_auto_ptr room = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(room);
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&self->manifest, rmt_parse_read_chunk, self, error);
    rmt_entry_t entry;
    int rc = reader ? s_measure(self, &piece, error) : -1;
    while (rc == 0 && (rc = rmt_manifest_reader_next(reader, &entry, error)) == 1)
        rc = s_check(self, &piece, &entry, room, error);
    s_clear(&piece);
    return rc == -1 ? -1 : rmt_parse_drain(self->pipe, error);
}
