#include "store/rmt_pack.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static const uint8_t s_head_magic[8] = "ramet-pk";
static const uint8_t s_foot_magic[8] = "ramet-pe";
#define PACK_VERSION 1
#define HEAD_SIZE 32
#define FOOT_SIZE 64
#define FLUSH_SIZE ((size_t) 512 * 1024)
// Chunks of this size are written from where they are.
#define DIRECT_SIZE ((uint32_t) 64 * 1024)
// The kernel is told to begin writing whenever so much is new.
#define WRITE_BACK_SIZE ((uint64_t) 8 * 1024 * 1024)

struct rmt_pack_writer {
    rmt_file_name_t name;
    int fd;
    rmt_buffer_t out;     // Not written yet
    uint64_t written;     // Bytes in the file
    uint64_t started;     // Of these, up to where write-back was started
    rmt_buffer_t trailer; // Slots
    uint8_t head[HEAD_SIZE];
};

// ---- Writing

rmt_pack_writer_t *
rmt_pack_writer_new(const char *folder, rmt_error_t *error)
{
    rmt_auto(rmt_pack_writer) self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->name = rmt_file_name_new();
    char text[RMT_FILE_TEXT_SIZE];
    rmt_auto_str path = rmt_text("%s/%s", folder, rmt_file_name_text(&self->name, text));
    self->fd = RMT_FAILPOINT("store.pack.create") == -1
                   ? -1
                   : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (self->fd == -1) {
        rmt_fail_errno(error, "create pack %s", path);
        return NULL;
    }
    memcpy(self->head, s_head_magic, sizeof s_head_magic);
    rmt_put32(self->head + 8, PACK_VERSION);
    memcpy(self->head + 16, self->name.bytes, RMT_FILE_NAME_SIZE);
    rmt_buffer_add(&self->out, self->head, HEAD_SIZE);
    return rmt_take(&self);
}

void
rmt_pack_writer_destroy(rmt_pack_writer_t **self_p)
{
    rmt_pack_writer_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1)
        close(self->fd);
    rmt_buffer_clear(&self->out);
    rmt_buffer_clear(&self->trailer);
    free(self);
    *self_p = NULL;
}

rmt_file_name_t
rmt_pack_writer_name(const rmt_pack_writer_t *self)
{
    return self->name;
}

uint64_t
rmt_pack_writer_size(const rmt_pack_writer_t *self)
{
    return self->written + self->out.used;
}

bool
rmt_pack_writer_fits(const rmt_pack_writer_t *self, uint32_t size)
{
    return rmt_pack_writer_size(self) + RMT_RECORD_HEAD_SIZE + size + self->trailer.used +
               RMT_SLOT_SIZE + FOOT_SIZE <=
           RMT_PACK_SIZE_MAX;
}

static int
s_write(rmt_pack_writer_t *self, const void *data, size_t size, rmt_error_t *error)
{
    if (RMT_FAILPOINT("store.pack.write") == -1)
        return rmt_fail_errno(error, "write pack");
    if (rmt_io_write(self->fd, data, size, error) == -1)
        return rmt_wrap(error, "pack");
    self->written += size;
    if (self->written - self->started >= WRITE_BACK_SIZE) {
        // Only a hint: where it is not known, fsync does all the work.
        (void) sync_file_range(self->fd, (off_t) self->started,
                               (off_t) (self->written - self->started),
                               SYNC_FILE_RANGE_WRITE);
        self->started = self->written;
    }
    return 0;
}

int
rmt_pack_writer_flush(rmt_pack_writer_t *self, rmt_error_t *error)
{
    const size_t size = self->out.used;
    self->out.used = 0;
    return s_write(self, self->out.data, size, error);
}

int
rmt_pack_writer_add(rmt_pack_writer_t *self, const rmt_chunk_t *chunk,
                    rmt_slot_t *slot_out, rmt_error_t *error)
{
    assert(rmt_pack_writer_fits(self, chunk->size));
    const rmt_slot_t slot = {
        .id = chunk->id,
        .codec = chunk->codec,
        .plain_size = chunk->plain_size,
        .size = chunk->size,
        .sum = rmt_slot_sum(chunk->data, chunk->size),
        .offset = (uint32_t) rmt_pack_writer_size(self),
    };
    assert(rmt_slot_is_known(&slot));
    uint8_t head[RMT_RECORD_HEAD_SIZE], entry[RMT_SLOT_SIZE];
    rmt_slot_encode_head(head, &slot);
    rmt_slot_encode(entry, &slot);
    rmt_buffer_add(&self->out, head, sizeof head);
    rmt_buffer_add(&self->trailer, entry, sizeof entry);
    *slot_out = slot;
    if (chunk->size >= DIRECT_SIZE)
        return rmt_pack_writer_flush(self, error) == -1
                   ? -1
                   : s_write(self, chunk->data, chunk->size, error);
    rmt_buffer_add(&self->out, chunk->data, chunk->size);
    return self->out.used < FLUSH_SIZE ? 0 : rmt_pack_writer_flush(self, error);
}

// Digest of all that no chunk's id covers: head, trailer, begin of the foot.
static void
s_digest(rmt_id_t *id_out, const uint8_t *head, const uint8_t *trailer, size_t size,
         const uint8_t *foot)
{
    rmt_digest_t *digest = rmt_digest_new();
    rmt_digest_update(digest, head, HEAD_SIZE);
    rmt_digest_update(digest, trailer, size);
    rmt_digest_update(digest, foot, 24);
    rmt_digest_finish(digest, id_out);
    rmt_digest_destroy(&digest);
}

int
rmt_pack_writer_finish(rmt_pack_writer_t *self, rmt_error_t *error)
{
    uint8_t foot[FOOT_SIZE] = {0};
    memcpy(foot, s_foot_magic, sizeof s_foot_magic);
    rmt_put64(foot + 8, rmt_pack_writer_size(self));
    rmt_put32(foot + 16, (uint32_t) (self->trailer.used / RMT_SLOT_SIZE));
    rmt_id_t id;
    s_digest(&id, self->head, self->trailer.data, self->trailer.used, foot);
    memcpy(foot + 24, id.bytes, RMT_ID_SIZE);
    rmt_buffer_add(&self->out, self->trailer.data, self->trailer.used);
    rmt_buffer_add(&self->out, foot, sizeof foot);
    rmt_buffer_clear(&self->trailer);
    if (rmt_pack_writer_flush(self, error) == -1)
        return -1;
    rmt_buffer_clear(&self->out);
    (void) sync_file_range(self->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return 0;
}

int
rmt_pack_writer_sync(rmt_pack_writer_t *self, rmt_error_t *error)
{
    if (RMT_FAILPOINT("store.pack.sync") == -1 || fsync(self->fd) == -1)
        return rmt_fail_errno(error, "sync pack");
    const int fd = rmt_take_fd(&self->fd);
    if (close(fd) == -1)
        return rmt_fail_errno(error, "close pack");
    return 0;
}

// ---- Reading

int
rmt_pack_read(int fd, const rmt_slot_t *slot, uint8_t *room, rmt_chunk_t *chunk_out,
              rmt_error_t *error)
{
    if (!rmt_slot_is_known(slot))
        return rmt_fail(error, slot->key ? RMT_E_UNSUPPORTED : RMT_E_CORRUPT,
                        "record with codec %u, key %u, sizes %u and %u", slot->codec,
                        slot->key, slot->plain_size, slot->size);
    if (rmt_io_pread(fd, room, RMT_RECORD_HEAD_SIZE + slot->size, slot->offset, error) ==
        -1)
        return -1;
    uint8_t head[RMT_RECORD_HEAD_SIZE];
    rmt_slot_encode_head(head, slot);
    if (memcmp(head, room, sizeof head) != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the record's head differs from the index");
    if (rmt_slot_sum(room + RMT_RECORD_HEAD_SIZE, slot->size) != slot->sum)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the stored bytes do not match the checksum");
    *chunk_out = (rmt_chunk_t){
        .id = slot->id,
        .codec = slot->codec,
        .plain_size = slot->plain_size,
        .size = slot->size,
        .data = room + RMT_RECORD_HEAD_SIZE,
    };
    return 0;
}

// Check head and foot of a file of size bytes; where the trailer begins.
static int
s_load_ends(int fd, const rmt_file_name_t *name, uint64_t size, uint8_t head[HEAD_SIZE],
            uint8_t foot[FOOT_SIZE], rmt_error_t *error)
{
    if (size < HEAD_SIZE + FOOT_SIZE || size > RMT_PACK_SIZE_MAX)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the pack has %llu bytes, which is out of range",
                        (unsigned long long) size);
    if (rmt_io_pread(fd, head, HEAD_SIZE, 0, error) == -1 ||
        rmt_io_pread(fd, foot, FOOT_SIZE, (off_t) (size - FOOT_SIZE), error) == -1)
        return -1;
    if (memcmp(head, s_head_magic, 8) != 0)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the file does not begin with the head of a pack");
    if (rmt_get32(head + 8) != PACK_VERSION || rmt_get32(head + 12) != 0)
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "this program does not know version %u with critical features %08x",
            rmt_get32(head + 8), rmt_get32(head + 12));
    if (memcmp(head + 16, name->bytes, RMT_FILE_NAME_SIZE) != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the head has the name of another pack");
    static const uint8_t zero[FOOT_SIZE - 57] = {0};
    if (memcmp(foot, s_foot_magic, 8) != 0 || memcmp(foot + 57, zero, sizeof zero) != 0)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the foot is missing: the pack was cut off or overwritten");
    const uint64_t begin = rmt_get64(foot + 8), count = rmt_get32(foot + 16);
    if (begin < HEAD_SIZE || begin > size ||
        size - begin != count * RMT_SLOT_SIZE + FOOT_SIZE)
        return rmt_fail(error, RMT_E_CORRUPT, "trailer of %llu records at %llu",
                        (unsigned long long) count, (unsigned long long) begin);
    return 0;
}

// Records lie one behind the other from the head to the trailer, so no byte is unchecked.
static int
s_decode_trailer(const uint8_t *trailer, size_t count, uint64_t begin, rmt_slot_t *slots,
                 rmt_error_t *error)
{
    uint64_t at = HEAD_SIZE;
    for (size_t i = 0; i < count; i++) {
        rmt_slot_decode(&slots[i], trailer + i * RMT_SLOT_SIZE);
        if (slots[i].offset != at || slots[i].pack != 0 ||
            slots[i].size > RMT_CHUNK_STORED_MAX)
            return rmt_fail(error, RMT_E_CORRUPT, "trailer's record %zu", i);
        at += RMT_RECORD_HEAD_SIZE + (uint64_t) slots[i].size;
    }
    if (at != begin)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the records end at %llu, and the trailer is at %llu",
                        (unsigned long long) at, (unsigned long long) begin);
    return 0;
}

int
rmt_pack_load(int fd, const rmt_file_name_t *name, rmt_slot_t **slots_out,
              size_t *count_out, uint64_t *size_out, rmt_error_t *error)
{
    struct stat status;
    if (fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "status");
    const uint64_t size = (uint64_t) status.st_size;
    uint8_t head[HEAD_SIZE], foot[FOOT_SIZE];
    if (s_load_ends(fd, name, size, head, foot, error) == -1)
        return -1;
    const uint64_t begin = rmt_get64(foot + 8);
    const size_t count = rmt_get32(foot + 16);
    rmt_auto_ptr trailer = malloc(count * RMT_SLOT_SIZE + 1);
    rmt_auto_ptr slots = malloc(count * sizeof(rmt_slot_t) + 1);
    if (!trailer || !slots)
        abort();
    if (rmt_io_pread(fd, trailer, count * RMT_SLOT_SIZE, (off_t) begin, error) == -1)
        return -1;
    rmt_id_t id;
    s_digest(&id, head, trailer, count * RMT_SLOT_SIZE, foot);
    if (memcmp(id.bytes, foot + 24, RMT_ID_SIZE) != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the trailer does not match its digest");
    if (s_decode_trailer(trailer, count, begin, slots, error) == -1)
        return -1;
    *slots_out = rmt_take(&slots);
    *count_out = count;
    *size_out = size;
    return 0;
}
