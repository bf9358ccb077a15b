// What the store decodes from foreign bytes: entries, manifests, indexes, packs. The
// first byte says which.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "fuzz/must.h"
#include "store/rmt_index.h"
#include "base/rmt_io.h"
#include "store/rmt_manifest.h"
#include "store/rmt_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// ---- The decoders

// What is accepted can be written and is then read as the same: its bytes, written a
// second time, do not change.
static void
s_check_entry(const rmt_entry_t *entry)
{
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    rmt_buffer_t once = {0}, twice = {0};
    rmt_entry_t back;
    rmt_error_t error;
    rmt_entry_encode(entry, &once.data, &once.used, &once.room);
    MUST(rmt_entry_decode(once.data, once.used, room, &back, &error) == 0);
    rmt_entry_encode(&back, &twice.data, &twice.used, &twice.room);
    MUST(once.used == twice.used && memcmp(once.data, twice.data, once.used) == 0);
    MUST(back.path_size == entry->path_size &&
         memcmp(back.path, entry->path, entry->path_size) == 0);
    MUST(back.chunk_count == entry->chunk_count);
    rmt_buffer_clear(&once);
    rmt_buffer_clear(&twice);
}

// No part of a path is empty, "." or "..", and none has a NUL.
static void
s_check_path(const rmt_entry_t *entry)
{
    const char *path = (const char *) entry->path;
    MUST(!memchr(path, '\0', entry->path_size));
    for (size_t at = 0; at < entry->path_size;) {
        const char *end = memchr(path + at, '/', entry->path_size - at);
        const size_t size = end ? (size_t) (end - path) - at : entry->path_size - at;
        MUST(size > 0 && !(size == 1 && path[at] == '.') &&
             !(size == 2 && memcmp(path + at, "..", 2) == 0));
        at += size + 1;
        MUST(!end || at < entry->path_size);
    }
}

static void
s_fuzz_entry(const uint8_t *data, size_t size)
{
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    rmt_entry_t entry;
    rmt_error_t error;
    if (rmt_entry_decode(data, size, room, &entry, &error) == -1)
        return;
    s_check_path(&entry);
    s_check_entry(&entry);
}

static void
s_fuzz_index(const uint8_t *data, size_t size)
{
    rmt_buffer_t bytes = {0};
    rmt_buffer_reserve(&bytes, 1);
    rmt_buffer_add(&bytes, data, size);
    // Nothing gets past the digest, so mend it: the fields behind it are what is tested.
    if (size >= 64)
        rmt_id_compute((rmt_id_t *) (void *) (bytes.data + size - 40), bytes.data,
                       size - 40);
    rmt_error_t error;
    rmt_auto(rmt_index) index = rmt_index_from(&bytes, &error);
    if (!index)
        return;
    // Each slot is found by its id, and no id has slots outside of the table.
    const uint64_t total = rmt_index_count(index);
    for (uint64_t at = 0; at < total; at++) {
        rmt_slot_t slot;
        uint64_t first = 0;
        if (!rmt_index_slot(index, at, &slot))
            continue;
        const uint64_t count = rmt_index_find(index, &slot.id, &first);
        MUST(first <= at && at < first + count && first + count <= total);
    }
    rmt_id_t id = {{RMT_ID_SHA256}};
    for (unsigned i = 0; i < 256; i += 5) {
        memset(id.bytes + 1, (int) i, RMT_ID_SIZE - 1);
        uint64_t first = 0;
        const uint64_t count = rmt_index_find(index, &id, &first);
        MUST(count == 0 || first + count <= total);
        rmt_slot_t slot;
        for (uint64_t at = first; at < first + count; at++)
            MUST(!rmt_index_slot(index, at, &slot) || rmt_id_equal(&slot.id, &id));
    }
}

#define PACK_HEAD_SIZE 32
#define PACK_FOOT_SIZE 64

// The digest of a trailer, so that the slots behind it are what is tested.
static void
s_mend_pack(uint8_t *pack, size_t size)
{
    uint8_t *foot = pack + size - PACK_FOOT_SIZE;
    const uint64_t begin = rmt_get64(foot + 8);
    if (begin < PACK_HEAD_SIZE || begin > size - PACK_FOOT_SIZE)
        return;
    rmt_id_t id;
    rmt_auto(rmt_digest) digest = rmt_digest_new();
    rmt_digest_update(digest, pack, PACK_HEAD_SIZE);
    rmt_digest_update(digest, pack + begin, size - PACK_FOOT_SIZE - (size_t) begin);
    rmt_digest_update(digest, foot, 24);
    rmt_digest_finish(digest, &id);
    memcpy(foot + 24, id.bytes, sizeof id);
}

// Records lie between head and foot, and none on another one.
static void
s_check_slots(const rmt_slot_t *slots, size_t count, size_t size)
{
    uint64_t at = PACK_HEAD_SIZE;
    for (size_t i = 0; i < count; i++) {
        MUST(slots[i].offset == at);
        at += RMT_RECORD_HEAD_SIZE + (uint64_t) slots[i].size;
    }
    MUST(at + count * RMT_SLOT_SIZE + PACK_FOOT_SIZE == size);
}

static void
s_fuzz_pack(const uint8_t *data, size_t size)
{
    static uint8_t room[RMT_RECORD_HEAD_SIZE + RMT_CHUNK_STORED_MAX];
    static uint8_t plain[RMT_CHUNK_PLAIN_MAX];
    rmt_auto_fd fd = memfd_create("pack", MFD_CLOEXEC);
    rmt_auto_ptr copy = malloc(size + 1);
    rmt_error_t error;
    MUST(fd != -1 && copy);
    if (size < 160)
        return;
    memcpy(copy, data, size);
    s_mend_pack(copy, size);
    MUST(rmt_io_write(fd, copy, size, &error) == 0);
    rmt_file_name_t name;
    memcpy(name.bytes, data + 16, sizeof name);
    rmt_slot_t *slots = NULL;
    size_t count = 0;
    uint64_t pack_size = 0;
    if (rmt_pack_load(fd, &name, &slots, &count, &pack_size, &error) == 0) {
        s_check_slots(slots, count, size);
    } else {
        // Behind the digest of the trailer, records are still foreign.
        slots = calloc(1, sizeof *slots);
        MUST(slots);
        rmt_slot_decode(slots, data + size - 64 - RMT_SLOT_SIZE);
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        rmt_chunk_t chunk;
        if (rmt_pack_read(fd, &slots[i], room, &chunk, &error) == 0)
            (void) rmt_chunk_open(&chunk, plain, &error);
    }
    free(slots);
}

typedef struct {
    const uint8_t *data;
    size_t size;
    unsigned calls;
} s_manifest_t;

// The first byte is the size of the root, which follows; each other chunk is the rest.
static int
s_source(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
         rmt_error_t *error)
{
    s_manifest_t *manifest = context;
    (void) id;
    const size_t left = manifest->size - 1;
    const size_t root = manifest->data[0] < left ? manifest->data[0] : left;
    const bool is_root = manifest->calls++ == 0;
    if (manifest->calls > 16)
        return rmt_fail(error, RMT_E_NOT_FOUND, "enough");
    const uint8_t *from = manifest->data + 1 + (is_root ? 0 : root);
    const size_t size = is_root ? root : left - root;
    memcpy(plain_out, from, size);
    *size_out = size;
    return 0;
}

static void
s_fuzz_manifest(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return;
    s_manifest_t manifest = {data, size, 0};
    const rmt_id_t root = {{RMT_ID_SHA256}};
    rmt_error_t error;
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, s_source, &manifest, &error);
    rmt_entry_t entry;
    while (reader && rmt_manifest_reader_next(reader, &entry, &error) == 1) {
        s_check_path(&entry);
        s_check_entry(&entry);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const decoders[])(const uint8_t *, size_t) = {
        s_fuzz_entry,
        s_fuzz_index,
        s_fuzz_pack,
        s_fuzz_manifest,
    };
    if (size > 0)
        decoders[data[0] % 4](data + 1, size - 1);
    return 0;
}
