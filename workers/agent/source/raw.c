#include "agent/source/raw.h"
#include "agent/source/source_reading.h"
#include "base/rmt_auto.h"
#include "disk/rmt_ntfs.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "store/rmt_chunker.h"
#include "store/rmt_manifest.h"
#include "tree/rmt_extents.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE_BYTES ((uint64_t) 64 * 1024 * 1024) // Of the partition; one file of it
#define BLOCK ((size_t) 4096)                     // All zeros or not
#define READ_BYTES ((size_t) 1024 * 1024)
#define ROOM (READ_BYTES + RMT_CHUNK_PLAIN_MAX)

struct rmt_source_raw {
    size_t volume; // Of the layout
    int fd;
    uint64_t offset, bytes;
    rmt_ntfs_t *ntfs; // NULL: all of it is in use
};

bool
rmt_raw_is(const rmt_layout_t *layout, size_t disk, uint64_t number)
{
    for (size_t i = 0; i < layout->volume_count; i++)
        if (layout->volumes[i].fs == RMT_FS_RAW && layout->volumes[i].disk == disk &&
            layout->volumes[i].partition == number)
            return true;
    return false;
}

// ---- Opening

static int
s_open_device(const char *device, bool is_running, rmt_error_t *error)
{
    // A device that is mounted, or under a mapping, belongs to what uses it.
    const int own = is_running ? O_EXCL : 0;
    const int fd = open(device, O_RDONLY | O_CLOEXEC | own);
    if (fd == -1 && errno == EBUSY)
        return rmt_fail(error, RMT_E_REFUSED,
                        "%s is in use, and its blocks change; unmount it, or close what "
                        "is mapped over it, such as: umount %s",
                        device, device);
    return fd == -1 ? rmt_fail_errno(error, "open %s", device) : fd;
}

int
rmt_raw_open(rmt_source_disk_t *self, const rmt_layout_partition_t *partition,
             const char *device, uint64_t offset, bool is_running, rmt_error_t *error)
{
    const uint64_t bytes = partition->size * self->layout->disks[partition->disk].sector;
    rmt_auto_fd fd = s_open_device(device, is_running, error);
    if (fd == -1)
        return -1;
    rmt_source_raw_t raw = {.fd = fd, .offset = offset, .bytes = bytes};
    while (self->layout->volumes[raw.volume].fs != RMT_FS_RAW ||
           self->layout->volumes[raw.volume].disk != partition->disk ||
           self->layout->volumes[raw.volume].partition != partition->number)
        raw.volume++;
    const rmt_record_t *format = self->layout->volumes[raw.volume].format;
    if (rmt_record_is(format, "content", "swsuspend"))
        return rmt_fail(
            error, RMT_E_REFUSED,
            "it holds the memory of a hibernated system, with which a copy would "
            "continue; start that machine and shut it down");
    if (rmt_record_is(format, "content", "ntfs")) {
        rmt_auto(rmt_ntfs) ntfs = rmt_ntfs_new(fd, offset, bytes, error);
        if (!ntfs || rmt_ntfs_check(ntfs, error) == -1)
            return -1;
        raw.ntfs = rmt_take(&ntfs);
    }
    raw.fd = rmt_take_fd(&fd);
    rmt_grow_one(&self->raws, self->raw_count);
    self->raws[self->raw_count++] = raw;
    return 0;
}

void
rmt_raw_close(rmt_source_disk_t *self)
{
    for (size_t i = 0; i < self->raw_count; i++) {
        rmt_ntfs_destroy(&self->raws[i].ntfs);
        close(self->raws[i].fd);
    }
    free(self->raws);
    self->raws = NULL;
    self->raw_count = 0;
}

// ---- One piece

typedef struct {
    const rmt_source_raw_t *raw;
    rmt_task_t *task;
    rmt_offer_t *offer;
    rmt_manifest_writer_t *manifest;
    rmt_extents_t data, zeros; // Of the piece
    rmt_id_t *chunks;
    uint32_t *sizes;
    size_t chunk_count, chunk_room, size_room;
    uint8_t *room; // Data that is not cut yet
    size_t used;
    uint8_t *stored; // Of one chunk
    uint64_t total, done;
    uint64_t files;
} raw_t;

static int
s_put(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    const raw_t *self = context;
    return rmt_offer_chunk(self->offer, chunk, error);
}

// Cut what is there into chunks; what may go on is left, unless it is the end.
static int
s_cut(raw_t *self, bool is_end, rmt_error_t *error)
{
    size_t at = 0;
    while (at < self->used && (is_end || self->used - at >= RMT_CUT_FILE.max)) {
        const size_t size =
            rmt_chunker_cut(&RMT_CUT_FILE, self->room + at, self->used - at);
        rmt_chunk_t chunk;
        rmt_chunk_make(&chunk, self->room + at, size, self->stored);
        if (s_put(self, &chunk, error) == -1)
            return -1;
        rmt_grow(&self->chunks, &self->chunk_room, self->chunk_count + 1);
        rmt_grow(&self->sizes, &self->size_room, self->chunk_count + 1);
        self->chunks[self->chunk_count] = chunk.id;
        self->sizes[self->chunk_count++] = (uint32_t) size;
        at += size;
    }
    self->used -= at;
    memmove(self->room, self->room + at, self->used);
    return 0;
}

// Blocks of zeros become runs that have no data.
static void
s_sort_out(raw_t *self, uint64_t at, size_t size)
{
    static const uint8_t zeros[BLOCK];
    const size_t begin = self->used;
    for (size_t done = 0; done < size;) {
        const size_t block = size - done < BLOCK ? size - done : BLOCK;
        const uint8_t *from = self->room + begin + done;
        const bool is_zero = memcmp(from, zeros, block) == 0;
        rmt_extents_add(is_zero ? &self->zeros : &self->data, at + done, block);
        if (!is_zero) {
            memmove(self->room + self->used, from, block);
            self->used += block;
        }
        done += block;
    }
}

// Read what is in use from one byte of the partition to another. Extents count from the
// start of the piece.
static int
s_read_run(raw_t *self, uint64_t piece, uint64_t begin, uint64_t end, rmt_error_t *error)
{
    while (begin < end) {
        const size_t size =
            end - begin < READ_BYTES ? (size_t) (end - begin) : READ_BYTES;
        if (rmt_io_pread(self->raw->fd, self->room + self->used, size,
                         (off_t) (self->raw->offset + begin), error) == -1)
            return rmt_wrap(error, "byte %" PRIu64, begin);
        s_sort_out(self, begin - piece, size);
        if (s_cut(self, false, error) == -1)
            return -1;
        begin += size;
        if (!rmt_task_go_on(self->task))
            return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
    }
    return 0;
}

static int
s_find_used(const raw_t *self, uint64_t at, uint64_t *begin_out, uint64_t *end_out,
            rmt_error_t *error)
{
    if (self->raw->ntfs)
        return rmt_ntfs_used(self->raw->ntfs, at, begin_out, end_out, error);
    *begin_out = at;
    *end_out = self->raw->bytes;
    return 0;
}

static int
s_add_file(raw_t *self, uint64_t piece, uint64_t size, rmt_error_t *error)
{
    char path[17];
    snprintf(path, sizeof path, "%016" PRIx64, piece);
    const rmt_entry_t entry = {.path = path,
                               .path_size = strlen(path),
                               .mode = S_IFREG | 0600,
                               .size = size,
                               .sparse = true,
                               .extents = self->data.items,
                               .extent_count = self->data.count,
                               .reserved = self->zeros.items,
                               .reserved_count = self->zeros.count,
                               .chunks = self->chunks,
                               .chunk_sizes = self->sizes,
                               .chunk_count = self->chunk_count};
    self->files++;
    return rmt_manifest_writer_add(self->manifest, &entry, error);
}

// A piece of which nothing is in use has no file.
static int
s_read_piece(raw_t *self, uint64_t piece, rmt_error_t *error)
{
    const uint64_t left = self->raw->bytes - piece;
    const uint64_t size = left < PIECE_BYTES ? left : PIECE_BYTES;
    uint64_t begin, end;
    for (uint64_t at = piece; at < piece + size; at = end) {
        if (s_find_used(self, at, &begin, &end, error) == -1)
            return -1;
        end = end < piece + size ? end : piece + size;
        if (begin < end && s_read_run(self, piece, begin, end, error) == -1)
            return -1;
    }
    if (s_cut(self, true, error) == -1)
        return -1;
    const int rc =
        self->data.count || self->zeros.count ? s_add_file(self, piece, size, error) : 0;
    self->done += rmt_extents_size(&self->data);
    rmt_extents_free(&self->data);
    rmt_extents_free(&self->zeros);
    self->chunk_count = 0;
    return rc;
}

// ---- One partition

static int
s_read(raw_t *self, rmt_id_t *root_out, rmt_error_t *error)
{
    const rmt_entry_t top = {.path = "", .mode = S_IFDIR | 0700};
    if (rmt_manifest_writer_add(self->manifest, &top, error) == -1)
        return -1;
    for (uint64_t piece = 0; piece < self->raw->bytes; piece += PIECE_BYTES) {
        if (s_read_piece(self, piece, error) == -1)
            return -1;
        rmt_task_progress(self->task, "capture", self->total + piece,
                          self->total + self->raw->bytes, NULL);
    }
    return rmt_manifest_writer_finish(self->manifest, root_out, error);
}

static int
s_capture(rmt_layout_volume_t *volume, raw_t *self, rmt_error_t *error)
{
    rmt_auto_ptr room = malloc(ROOM);
    rmt_auto_ptr stored = malloc(RMT_CHUNK_STORED_MAX);
    assert(room);
    assert(stored);
    self->room = room;
    self->stored = stored;
    rmt_auto(rmt_manifest_writer) manifest = rmt_manifest_writer_new(s_put, self);
    self->manifest = manifest;
    const int rc = s_read(self, &volume->root, error);
    rmt_extents_free(&self->data);
    rmt_extents_free(&self->zeros);
    free(self->chunks);
    free(self->sizes);
    if (rc == -1)
        return rmt_wrap(error, "partition %" PRIu64, volume->partition);
    volume->has_root = true;
    volume->files = self->files + 1;
    volume->bytes_tree = self->done;
    rmt_log(RMT_INFO, "volume.captured",
            "volume=%" PRIu64 " passes=1 files=%" PRIu64 " cached=0", volume->partition,
            volume->files);
    return 0;
}

int
rmt_raw_capture(rmt_source_disk_t *self, rmt_task_t *task, rmt_offer_t *offer,
                uint64_t *done_p, rmt_error_t *error)
{
    for (size_t i = 0; i < self->raw_count; i++) {
        raw_t raw = {
            .raw = &self->raws[i], .task = task, .offer = offer, .total = *done_p};
        if (s_capture(&self->layout->volumes[self->raws[i].volume], &raw, error) == -1)
            return -1;
        *done_p += raw.done;
    }
    return 0;
}
