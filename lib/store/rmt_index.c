#include "store/rmt_index.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

// A file is {head, slots, table of packs, foot}; counts are in the foot, so that it can
// be written in one pass.
static const uint8_t s_head_magic[8] = "ramet-ix";
static const uint8_t s_foot_magic[8] = "ramet-ie";
#define INDEX_VERSION 1
#define HEAD_SIZE 16
#define FOOT_SIZE 64
#define FOOT_DIGESTED 24
#define FLUSH_SIZE ((size_t) 256 * 1024)

struct rmt_index {
    const uint8_t *data;
    size_t size;
    bool is_mapped;
    const uint8_t *slots, *packs;
    uint64_t count;
    uint32_t pack_count;
    uint8_t *flags;
};

// ---- Reading

static int
s_parse(rmt_index_t *self, rmt_error_t *error)
{
    const uint8_t *data = self->data;
    if (self->size < HEAD_SIZE + FOOT_SIZE || memcmp(data, s_head_magic, 8) != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the file is not an index");
    if (rmt_get32(data + 8) != INDEX_VERSION || rmt_get32(data + 12) != 0)
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "this program does not know version %u with critical features %08x",
            rmt_get32(data + 8), rmt_get32(data + 12));
    const uint8_t *foot = data + self->size - FOOT_SIZE;
    static const uint8_t zero[FOOT_SIZE - FOOT_DIGESTED - RMT_ID_SIZE] = {0};
    if (memcmp(foot, s_foot_magic, 8) != 0 ||
        memcmp(foot + FOOT_DIGESTED + RMT_ID_SIZE, zero, sizeof zero) != 0)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the foot is missing: the file was cut off or overwritten");
    const uint64_t inside = self->size - HEAD_SIZE - FOOT_SIZE;
    self->count = rmt_get64(foot + 8);
    self->pack_count = rmt_get32(foot + 16);
    const uint64_t table = (uint64_t) self->pack_count * RMT_PACK_ENTRY_SIZE;
    if (table > inside || (inside - table) / RMT_SLOT_SIZE != self->count ||
        (inside - table) % RMT_SLOT_SIZE != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the counts do not match the file's size");
    rmt_id_t id;
    rmt_id_compute(&id, data, self->size - FOOT_SIZE + FOOT_DIGESTED);
    if (memcmp(id.bytes, foot + FOOT_DIGESTED, RMT_ID_SIZE) != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the bytes do not match the digest");
    self->slots = data + HEAD_SIZE;
    self->packs = self->slots + self->count * RMT_SLOT_SIZE;
    self->flags = calloc((size_t) self->pack_count + 1, 1);
    if (!self->flags)
        abort();
    return 0;
}

static rmt_index_t *
s_new(void)
{
    rmt_index_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

rmt_index_t *
rmt_index_open(const char *path, rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1) {
        rmt_fail_errno(error, "open index %s", path);
        return NULL;
    }
    if (status.st_size < HEAD_SIZE + FOOT_SIZE) {
        rmt_fail(error, RMT_E_CORRUPT, "index %s ends early", path);
        return NULL;
    }
    rmt_auto(rmt_index) self = s_new();
    const size_t size = (size_t) status.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
        rmt_fail_errno(error, "map index %s", path);
        return NULL;
    }
    self->data = data;
    self->size = size;
    self->is_mapped = true;
    if (s_parse(self, error) == -1) {
        rmt_wrap(error, "index %s", path);
        return NULL;
    }
    return rmt_take(&self);
}

rmt_index_t *
rmt_index_from(rmt_buffer_t *buffer, rmt_error_t *error)
{
    rmt_auto(rmt_index) self = s_new();
    self->data = buffer->data;
    self->size = buffer->used;
    *buffer = (rmt_buffer_t){0};
    return s_parse(self, error) == -1 ? NULL : rmt_take(&self);
}

void
rmt_index_destroy(rmt_index_t **self_p)
{
    rmt_index_t *self = *self_p;
    if (!self)
        return;
    void *data = (void *) (uintptr_t) self->data;
    if (self->is_mapped)
        munmap(data, self->size);
    else
        free(data);
    free(self->flags);
    free(self);
    *self_p = NULL;
}

uint64_t
rmt_index_count(const rmt_index_t *self)
{
    return self->count;
}

const uint8_t *
rmt_index_bytes(const rmt_index_t *self, uint64_t number)
{
    assert(number < self->count);
    return self->slots + number * RMT_SLOT_SIZE;
}

static int
s_compare(const rmt_index_t *self, uint64_t number, const rmt_id_t *id)
{
    return memcmp(self->slots + number * RMT_SLOT_SIZE, id->bytes, RMT_ID_SIZE);
}

// First slot that is not before id. Ids are evenly spread, so their first bits tell about
// where it is; from there the steps double, and the rest is a binary search.
static uint64_t
s_lower_bound(const rmt_index_t *self, const rmt_id_t *id)
{
    const uint8_t *d = id->bytes + 1;
    const uint64_t prefix =
        (uint64_t) d[0] << 24 | (uint64_t) d[1] << 16 | (uint64_t) d[2] << 8 | d[3];
    uint64_t low = 0, high = self->count, step = 16;
    uint64_t at = self->count <= UINT32_MAX ? prefix * self->count >> 32 : high / 2;
    if (high == 0)
        return 0;
    if (s_compare(self, at, id) < 0) {
        for (low = at + 1; step < high - at; step *= 2) {
            at += step;
            if (s_compare(self, at, id) >= 0) {
                high = at;
                break;
            }
            low = at + 1;
        }
    } else {
        for (high = at; at >= step; step *= 2) {
            at -= step;
            if (s_compare(self, at, id) < 0) {
                low = at + 1;
                break;
            }
            high = at;
        }
    }
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (s_compare(self, middle, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t
rmt_index_find(const rmt_index_t *self, const rmt_id_t *id, uint64_t *first_out)
{
    const uint64_t first = s_lower_bound(self, id);
    uint64_t end = first;
    while (end < self->count && s_compare(self, end, id) == 0)
        end++;
    *first_out = first;
    return end - first;
}

bool
rmt_index_slot(const rmt_index_t *self, uint64_t number, rmt_slot_t *slot_out)
{
    rmt_slot_decode(slot_out, rmt_index_bytes(self, number));
    return slot_out->pack < self->pack_count;
}

uint32_t
rmt_index_pack_count(const rmt_index_t *self)
{
    return self->pack_count;
}

rmt_file_name_t
rmt_index_pack_name(const rmt_index_t *self, uint32_t pack)
{
    assert(pack < self->pack_count);
    rmt_file_name_t name;
    memcpy(name.bytes, self->packs + (size_t) pack * RMT_PACK_ENTRY_SIZE, sizeof name);
    return name;
}

uint64_t
rmt_index_pack_size(const rmt_index_t *self, uint32_t pack)
{
    assert(pack < self->pack_count);
    return rmt_get64(self->packs + (size_t) pack * RMT_PACK_ENTRY_SIZE +
                     RMT_FILE_NAME_SIZE);
}

uint8_t *
rmt_index_flags(rmt_index_t *self)
{
    return self->flags;
}

// ---- Writing

struct rmt_index_writer {
    int fd;           // -1: to memory
    rmt_buffer_t out; // Not written yet; to memory: all
    rmt_digest_t *digest;
    uint64_t count;
};

static int
s_emit(rmt_index_writer_t *self, const void *data, size_t size, rmt_error_t *error)
{
    rmt_digest_update(self->digest, data, size);
    rmt_buffer_add(&self->out, data, size);
    if (self->fd == -1 || self->out.used < FLUSH_SIZE)
        return 0;
    if (rmt_io_write(self->fd, self->out.data, self->out.used, error) == -1)
        return rmt_wrap(error, "index");
    self->out.used = 0;
    return 0;
}

rmt_index_writer_t *
rmt_index_writer_new(const char *path, rmt_error_t *error)
{
    rmt_auto(rmt_index_writer) self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->fd = -1;
    self->digest = rmt_digest_new();
    if (path) {
        self->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (self->fd == -1) {
            rmt_fail_errno(error, "create index %s", path);
            return NULL;
        }
    }
    uint8_t head[HEAD_SIZE] = {0};
    memcpy(head, s_head_magic, sizeof s_head_magic);
    rmt_put32(head + 8, INDEX_VERSION);
    return s_emit(self, head, sizeof head, error) == -1 ? NULL : rmt_take(&self);
}

void
rmt_index_writer_destroy(rmt_index_writer_t **self_p)
{
    rmt_index_writer_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1)
        close(self->fd);
    rmt_buffer_clear(&self->out);
    rmt_digest_destroy(&self->digest);
    free(self);
    *self_p = NULL;
}

int
rmt_index_writer_add(rmt_index_writer_t *self, const uint8_t slot[RMT_SLOT_SIZE],
                     rmt_error_t *error)
{
    self->count++;
    return s_emit(self, slot, RMT_SLOT_SIZE, error);
}

int
rmt_index_writer_finish(rmt_index_writer_t *self, const uint8_t *packs,
                        uint32_t pack_count, rmt_error_t *error)
{
    uint8_t foot[FOOT_SIZE] = {0};
    memcpy(foot, s_foot_magic, sizeof s_foot_magic);
    rmt_put64(foot + 8, self->count);
    rmt_put32(foot + 16, pack_count);
    if (s_emit(self, packs, (size_t) pack_count * RMT_PACK_ENTRY_SIZE, error) == -1)
        return -1;
    rmt_digest_update(self->digest, foot, FOOT_DIGESTED);
    rmt_id_t id;
    rmt_digest_finish(self->digest, &id);
    memcpy(foot + FOOT_DIGESTED, id.bytes, RMT_ID_SIZE);
    rmt_buffer_add(&self->out, foot, sizeof foot);
    if (self->fd == -1)
        return 0;
    if (RMT_FAILPOINT("store.index.write") == -1)
        return rmt_fail_errno(error, "write index");
    if (rmt_io_write(self->fd, self->out.data, self->out.used, error) == -1)
        return rmt_wrap(error, "index");
    if (RMT_FAILPOINT("store.index.sync") == -1 || fsync(self->fd) == -1)
        return rmt_fail_errno(error, "sync index");
    const int fd = rmt_take_fd(&self->fd);
    return close(fd) == -1 ? rmt_fail_errno(error, "close index") : 0;
}

// The bytes of a writer to memory; the caller owns what buffer_out holds.
static void
s_take(rmt_index_writer_t *self, rmt_buffer_t *buffer_out)
{
    *buffer_out = self->out;
    self->out = (rmt_buffer_t){0};
}

static int
s_compare_slots(const void *a, const void *b)
{
    return memcmp(((const rmt_slot_t *) a)->id.bytes, ((const rmt_slot_t *) b)->id.bytes,
                  RMT_ID_SIZE);
}

int
rmt_index_save(const char *path, rmt_slot_t *slots, size_t count, const uint8_t *packs,
               uint32_t pack_count, rmt_buffer_t *buffer_out, rmt_error_t *error)
{
    if (count > 0)
        qsort(slots, count, sizeof *slots, s_compare_slots);
    rmt_auto(rmt_index_writer) writer = rmt_index_writer_new(path, error);
    if (!writer)
        return -1;
    for (size_t i = 0; i < count; i++) {
        uint8_t entry[RMT_SLOT_SIZE];
        rmt_slot_encode(entry, &slots[i]);
        if (rmt_index_writer_add(writer, entry, error) == -1)
            return -1;
    }
    if (rmt_index_writer_finish(writer, packs, pack_count, error) == -1)
        return -1;
    if (!path)
        s_take(writer, buffer_out);
    return 0;
}
