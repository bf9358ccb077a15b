#include "tree/rmt_cache.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_grow.h"
#include "store/rmt_chunk.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

// The file is a preamble, written last, and a row of blocks, each a head and the stored
// form of a chunk. Their plain bytes, one after the other, are the records. Only the
// machine that wrote it reads it, so numbers are in that machine's own order; another
// order is another version.
#define MAGIC "ramet-sc"
#define VERSION 2u
#define BLOCK_SIZE ((size_t) 256 * 1024)
#define LINEAGE_MAX 256
#define XFS_MAGIC 0x58465342
#define EXT_MAGIC 0xef53
#define BTRFS_MAGIC 0x9123683e
#define F2FS_MAGIC 0xf2f52010u

typedef struct {
    uint8_t id[RMT_ID_SIZE], codec, zero[2];
    uint32_t plain_size, size;
} s_block_t;

typedef struct {
    char magic[8];
    uint32_t version, zero;
    char lineage[LINEAGE_MAX];
    uint8_t root[RMT_ID_SIZE], digest[RMT_ID_SIZE]; // digest: of all before it
    uint8_t zeros[6];
} s_preamble_t;

// All that is compared; without padding, so that bytes can be.
typedef struct {
    uint64_t inode, size;
    int64_t mtime_s, ctime_s;
    uint32_t mtime_ns, ctime_ns;
    uint32_t mode, uid, gid, links;
} s_key_t;

// Then the path, then the entry.
typedef struct {
    uint32_t path_size, entry_size;
    s_key_t key;
} s_record_t;

_Static_assert(sizeof(s_block_t) == 44, "no padding on disk");
_Static_assert(sizeof(s_preamble_t) == 344, "no padding on disk");
_Static_assert(sizeof(s_key_t) == 56, "no padding on disk");
_Static_assert(sizeof(s_record_t) == 64, "no padding on disk");

static s_key_t
s_key(const struct stat *status)
{
    return (s_key_t){.inode = status->st_ino,
                     .size = (uint64_t) status->st_size,
                     .mtime_s = status->st_mtim.tv_sec,
                     .ctime_s = status->st_ctim.tv_sec,
                     .mtime_ns = (uint32_t) status->st_mtim.tv_nsec,
                     .ctime_ns = (uint32_t) status->st_ctim.tv_nsec,
                     .mode = status->st_mode,
                     .uid = status->st_uid,
                     .gid = status->st_gid,
                     .links = (uint32_t) status->st_nlink};
}

char *
rmt_cache_lineage(int root_fd)
{
    // Local ones, where each change of data or attributes shows in the ctime; memory that
    // is mapped and written shows with a delay, which is what the margin is for.
    static const uint64_t known[] = {EXT_MAGIC, XFS_MAGIC, BTRFS_MAGIC, F2FS_MAGIC};
    struct statfs space;
    struct stat root;
    if (fstatfs(root_fd, &space) == -1 || fstat(root_fd, &root) == -1)
        return NULL;
    const uint64_t type = (uint64_t) space.f_type & UINT32_MAX;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (type == known[i])
            return rmt_text("%" PRIx64 " %08x%08x %" PRIu64, type,
                            (unsigned) space.f_fsid.__val[0],
                            (unsigned) space.f_fsid.__val[1], (uint64_t) root.st_ino);
    return NULL;
}

// ---- Reading

struct rmt_cache_reader {
    int fd;
    bool is_over;
    char trouble[160]; // Why, if not for the end
    rmt_id_t root;     // Valid with has_root
    bool has_root;
    uint8_t *data; // Plain bytes from the current record on
    size_t used, at, room;
    uint8_t *stored, *plain;
    bool has_record; // At data + at
    s_record_t record;
    rmt_id_t *distrusted; // Sorted
    size_t distrusted_count, distrusted_room;
    rmt_entry_buffer_t *entry_room;
};

static void
s_end(rmt_cache_reader_t *self, const char *why)
{
    self->is_over = true;
    self->has_record = false;
    if (why)
        snprintf(self->trouble, sizeof self->trouble, "%s", why);
}

// Load one more block behind what is there.
static bool
s_load_block(rmt_cache_reader_t *self)
{
    s_block_t head;
    const ssize_t got = read(self->fd, &head, sizeof head);
    if (got == 0) {
        s_end(self, self->used > self->at ? "the cache ends within an entry" : NULL);
        return false;
    }
    rmt_error_t error = {0};
    rmt_chunk_t chunk = {.codec = head.codec,
                         .plain_size = head.plain_size,
                         .size = head.size,
                         .data = self->stored};
    memcpy(chunk.id.bytes, head.id, RMT_ID_SIZE);
    if (got != (ssize_t) sizeof head || head.size > RMT_CHUNK_STORED_MAX ||
        rmt_io_read(self->fd, self->stored, head.size, &error) == -1 ||
        rmt_chunk_open(&chunk, self->plain, &error) == -1) {
        s_end(self, error.code ? error.text : "a block is cut short");
        return false;
    }
    memmove(self->data, self->data + self->at, self->used - self->at);
    self->used -= self->at;
    self->at = 0;
    rmt_grow(&self->data, &self->room, self->used + head.plain_size);
    memcpy(self->data + self->used, self->plain, head.plain_size);
    self->used += head.plain_size;
    return true;
}

static bool
s_reach(rmt_cache_reader_t *self, size_t size)
{
    while (self->used - self->at < size)
        if (!s_load_block(self))
            return false;
    return true;
}

static size_t
s_record_size(const s_record_t *record)
{
    return sizeof *record + record->path_size + record->entry_size;
}

static void
s_next(rmt_cache_reader_t *self)
{
    if (self->has_record)
        self->at += s_record_size(&self->record);
    self->has_record = false;
    if (self->is_over || !s_reach(self, sizeof self->record))
        return;
    memcpy(&self->record, self->data + self->at, sizeof self->record);
    if (self->record.path_size > RMT_PATH_SIZE_MAX ||
        self->record.entry_size > RMT_CACHE_ENTRY_MAX) {
        s_end(self, "an entry is too long");
        return;
    }
    self->has_record = s_reach(self, s_record_size(&self->record));
}

static s_preamble_t
s_preamble(const char *lineage, const uint8_t root[RMT_ID_SIZE])
{
    s_preamble_t preamble = {.magic = MAGIC, .version = VERSION};
    snprintf(preamble.lineage, sizeof preamble.lineage, "%s", lineage);
    memcpy(preamble.root, root, RMT_ID_SIZE);
    rmt_id_t digest;
    rmt_id_compute(&digest, &preamble, offsetof(s_preamble_t, digest));
    memcpy(preamble.digest, digest.bytes, RMT_ID_SIZE);
    return preamble;
}

static void
s_begin(rmt_cache_reader_t *self, const char *lineage)
{
    rmt_error_t error = {0};
    s_preamble_t found;
    if (rmt_io_read(self->fd, &found, sizeof found, &error) == -1 ||
        memcmp(found.magic, MAGIC, sizeof found.magic) != 0) {
        s_end(self, "the file is not a stat cache");
        return;
    }
    // Of another version or tree: no trouble, and no use.
    const s_preamble_t wanted = s_preamble(lineage, found.root);
    if (memcmp(&found, &wanted, sizeof found) != 0) {
        s_end(self, NULL);
        return;
    }
    memcpy(self->root.bytes, found.root, RMT_ID_SIZE);
    self->has_root = true;
    s_next(self);
}

const rmt_id_t *
rmt_cache_reader_root(const rmt_cache_reader_t *self)
{
    return self->has_root ? &self->root : NULL;
}

rmt_cache_reader_t *
rmt_cache_reader_new(const char *path, const char *lineage)
{
    rmt_cache_reader_t *self = calloc(1, sizeof *self);
    assert(self);
    self->stored = malloc(RMT_CHUNK_STORED_MAX);
    self->plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(self->stored && self->plain);
    self->entry_room = rmt_entry_buffer_new();
    rmt_grow(&self->data, &self->room, 2 * BLOCK_SIZE);
    self->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    if (self->fd == -1 || fstat(self->fd, &status) == -1)
        s_end(self, errno == ENOENT ? NULL : strerror(errno));
    else if (!S_ISREG(status.st_mode) || status.st_uid != geteuid())
        s_end(self, "it is not a plain file of this user");
    else
        s_begin(self, lineage);
    return self;
}

void
rmt_cache_reader_destroy(rmt_cache_reader_t **self_p)
{
    rmt_cache_reader_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1)
        close(self->fd);
    rmt_entry_buffer_destroy(&self->entry_room);
    free(self->distrusted);
    free(self->stored);
    free(self->plain);
    free(self->data);
    free(self);
    *self_p = NULL;
}

static int
s_compare_ids(const void *a, const void *b)
{
    return rmt_id_compare(a, b);
}

void
rmt_cache_reader_distrust(rmt_cache_reader_t *self, const rmt_id_t *ids, size_t count)
{
    const size_t total = self->distrusted_count + count;
    rmt_grow(&self->distrusted, &self->distrusted_room, total + 1);
    if (count)
        memcpy(self->distrusted + self->distrusted_count, ids, count * sizeof *ids);
    self->distrusted_count = total;
    qsort(self->distrusted, total, sizeof *ids, s_compare_ids);
}

static bool
s_is_trusted(rmt_cache_reader_t *self, const void *data)
{
    if (self->distrusted_count == 0)
        return true;
    rmt_entry_t entry;
    rmt_error_t ignored;
    if (rmt_entry_decode(data, self->record.entry_size, self->entry_room, &entry,
                         &ignored) == -1)
        return false;
    for (size_t i = 0; i < entry.chunk_count; i++)
        if (bsearch(&entry.chunks[i], self->distrusted, self->distrusted_count,
                    sizeof *self->distrusted, s_compare_ids))
            return false;
    return true;
}

const void *
rmt_cache_reader_find(rmt_cache_reader_t *self, const char *path, size_t path_size,
                      const struct stat *status, size_t *size_out)
{
    while (self->has_record) {
        const char *found = (const char *) self->data + self->at + sizeof self->record;
        const int order =
            rmt_path_compare(found, self->record.path_size, path, path_size);
        if (order > 0)
            return NULL;
        if (order == 0) {
            const s_key_t key = s_key(status);
            const void *entry = found + path_size;
            if (memcmp(&key, &self->record.key, sizeof key) != 0 ||
                !s_is_trusted(self, entry))
                return NULL;
            *size_out = self->record.entry_size;
            return entry;
        }
        s_next(self);
    }
    return NULL;
}

const char *
rmt_cache_reader_trouble(const rmt_cache_reader_t *self)
{
    return *self->trouble ? self->trouble : NULL;
}

// ---- Writing

struct rmt_cache_writer {
    int fd;
    char *path, *temp, *lineage;
    struct timespec limit; // What is as young as this is not noted
    uint8_t *data;         // Not written yet
    size_t used, room;
    uint8_t *entry;
    size_t entry_room;
    void *stored;
    bool failed, saved;
    rmt_error_t error;
};

static void
s_write_block(rmt_cache_writer_t *self, const uint8_t *data, size_t size)
{
    rmt_chunk_t chunk;
    rmt_chunk_make(&chunk, data, size, self->stored);
    s_block_t head = {.codec = chunk.codec, .plain_size = chunk.plain_size};
    head.size = chunk.size;
    memcpy(head.id, chunk.id.bytes, RMT_ID_SIZE);
    if (rmt_io_write(self->fd, &head, sizeof head, &self->error) == -1 ||
        rmt_io_write(self->fd, chunk.data, chunk.size, &self->error) == -1)
        self->failed = true;
}

static void
s_flush(rmt_cache_writer_t *self, bool is_end)
{
    size_t at = 0;
    while (!self->failed &&
           (self->used - at >= BLOCK_SIZE || (is_end && at < self->used))) {
        const size_t left = self->used - at;
        const size_t size = left < BLOCK_SIZE ? left : BLOCK_SIZE;
        s_write_block(self, self->data + at, size);
        at += size;
    }
    self->used -= at;
    if (at > 0)
        memmove(self->data, self->data + at, self->used);
}

static void
s_append(rmt_cache_writer_t *self, const void *data, size_t size)
{
    rmt_grow(&self->data, &self->room, self->used + size);
    memcpy(self->data + self->used, data, size);
    self->used += size;
}

rmt_cache_writer_t *
rmt_cache_writer_new(const char *path, const char *lineage, uint32_t margin_s,
                     rmt_error_t *error)
{
    rmt_auto(rmt_cache_writer) self = calloc(1, sizeof *self);
    assert(self);
    clock_gettime(CLOCK_REALTIME, &self->limit);
    self->limit.tv_sec -= margin_s;
    self->path = rmt_text("%s", path);
    self->temp = rmt_text("%s.new", path);
    self->stored = malloc(RMT_CHUNK_STORED_MAX);
    assert(self->stored);
    (void) unlink(self->temp); // Of a capture that was cut short
    self->fd = open(self->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (self->fd == -1) {
        rmt_fail_errno(error, "create %s", self->temp);
        return NULL;
    }
    self->lineage = rmt_text("%s", lineage);
    if (lseek(self->fd, sizeof(s_preamble_t), SEEK_SET) == -1) {
        rmt_fail_errno(error, "seek in %s", self->temp);
        return NULL;
    }
    return rmt_take(&self);
}

void
rmt_cache_writer_destroy(rmt_cache_writer_t **self_p)
{
    rmt_cache_writer_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1)
        close(self->fd);
    if (self->fd != -1 && !self->saved)
        (void) unlink(self->temp);
    free(self->path);
    free(self->temp);
    free(self->lineage);
    free(self->data);
    free(self->entry);
    free(self->stored);
    free(self);
    *self_p = NULL;
}

static bool
s_is_older(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

void
rmt_cache_writer_add_again(rmt_cache_writer_t *self, const struct stat *status,
                           const char *path, size_t path_size, const void *entry,
                           size_t entry_size)
{
    if (self->failed || entry_size > RMT_CACHE_ENTRY_MAX ||
        !s_is_older(&status->st_mtim, &self->limit) ||
        !s_is_older(&status->st_ctim, &self->limit))
        return;
    const s_record_t record = {.path_size = (uint32_t) path_size,
                               .entry_size = (uint32_t) entry_size,
                               .key = s_key(status)};
    s_append(self, &record, sizeof record);
    s_append(self, path, path_size);
    s_append(self, entry, entry_size);
    if (self->used >= BLOCK_SIZE)
        s_flush(self, false);
}

void
rmt_cache_writer_add(rmt_cache_writer_t *self, const struct stat *status,
                     const rmt_entry_t *entry)
{
    size_t used = 0;
    rmt_entry_encode(entry, &self->entry, &used, &self->entry_room);
    rmt_cache_writer_add_again(self, status, entry->path, entry->path_size, self->entry,
                               used);
}

int
rmt_cache_writer_save(rmt_cache_writer_t *self, const rmt_id_t *root, rmt_error_t *error)
{
    s_flush(self, true);
    const s_preamble_t preamble = s_preamble(self->lineage, root->bytes);
    if (!self->failed &&
        pwrite(self->fd, &preamble, sizeof preamble, 0) != (ssize_t) sizeof preamble) {
        rmt_fail_errno(&self->error, "write the head");
        self->failed = true;
    }
    if (self->failed) {
        *error = self->error;
        return rmt_wrap(error, "write %s", self->temp);
    }
    // Lost blocks would be noticed; the sync is for the name not to come before them.
    if (RMT_FAILPOINT("cache.save.sync") == -1 || fdatasync(self->fd) == -1 ||
        RMT_FAILPOINT("cache.save.rename") == -1 || rename(self->temp, self->path) == -1)
        return rmt_fail_errno(error, "save %s", self->path);
    self->saved = true;
    return rmt_io_sync_parent(self->path, error);
}
