#include "tools/ntfs_file.h"
#include "base/rmt_bytes.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORD NTFS_FILE_CLUSTER
#define MAP_AT 20
#define BLOCK_AT 24
#define SLEEP_AT 30
#define LOG_AT 36
#define LOG_CLUSTERS 16
#define SLEEP_RECORD 7
#define PART_RECORD 8 // Of the map, when it is listed
#define USED_AT 12    // Where the last record or block ends

static uint8_t s_disk[NTFS_FILE_BYTES];

static uint8_t *
s_record(unsigned number)
{
    return s_disk + (NTFS_FILE_MFT + number) * NTFS_FILE_CLUSTER;
}

static uint8_t *
s_begin(unsigned number)
{
    uint8_t *record = s_record(number);
    memcpy(record, "FILE", 4);
    rmt_put16(record + 4, 48);
    rmt_put16(record + 6, RECORD / 512 + 1);
    rmt_put16(record + 16, (uint16_t) (number + 1)); // How often it was used
    rmt_put16(record + 20, 56);
    rmt_put16(record + 22, 1);
    rmt_put32(record + 24, 56);
    return record;
}

// The last two bytes of each sector change places with a mark.
static void
s_guard(uint8_t *data, size_t at, size_t size)
{
    rmt_put16(data + at, 0x0101);
    for (size_t i = 1; i <= size / 512; i++) {
        memcpy(data + at + 2 * i, data + i * 512 - 2, 2);
        memcpy(data + i * 512 - 2, data + at, 2);
    }
}

// Add an attribute; value is resident, or a list of runs when bytes is not 0.
static void
s_add(uint8_t *record, uint32_t type, const char *name, const void *value, size_t size,
      uint64_t bytes)
{
    const uint32_t used = rmt_get32(record + 24);
    uint8_t *out = record + used;
    const size_t name_at = bytes ? 64 : 24;
    const size_t value_at = (name_at + 2 * strlen(name) + 7) / 8 * 8;
    const size_t all = (value_at + size + 1 + 7) / 8 * 8;
    assert(used + all + 8 <= RECORD);
    rmt_put32(out, type);
    rmt_put32(out + 4, (uint32_t) all);
    out[8] = bytes != 0;
    out[9] = (uint8_t) strlen(name);
    rmt_put16(out + 10, (uint16_t) name_at);
    for (size_t i = 0; name[i]; i++)
        rmt_put16(out + name_at + 2 * i, (uint8_t) name[i]);
    rmt_put16(out + (bytes ? 32 : 20), (uint16_t) value_at);
    if (bytes)
        rmt_put64(out + 48, bytes);
    else
        rmt_put32(out + 16, (uint32_t) size);
    memcpy(out + value_at, value, size);
    rmt_put32(record + 24, (uint32_t) (used + all));
    rmt_put32(record + used + all, 0xffffffff);
}

static void
s_add_run(uint8_t *record, uint32_t type, const char *name, uint8_t at, uint8_t count,
          uint64_t bytes)
{
    const uint8_t runs[] = {0x11, count, at, 0};
    s_add(record, type, name, runs, sizeof runs, bytes);
}

static void
s_make_boot(void)
{
    memcpy(s_disk + 3, "NTFS    ", 8);
    rmt_put16(s_disk + 11, 512);
    s_disk[13] = NTFS_FILE_CLUSTER / 512;
    rmt_put64(s_disk + 40, NTFS_FILE_BYTES / 512 - 1);
    rmt_put64(s_disk + 48, NTFS_FILE_MFT);
    s_disk[64] = 0xf6; // Records of 2^10 bytes
}

// An entry for hiberfil.sys, and the last one. Returns its size.
static size_t
s_put_entries(uint8_t *out, bool is_stale)
{
    static const char name[] = "hiberfil.sys";
    const size_t key = 66 + 2 * (sizeof name - 1), size = (16 + key + 7) / 8 * 8;
    const uint64_t count = is_stale ? 99 : SLEEP_RECORD + 1;
    rmt_put64(out, SLEEP_RECORD | count << 48);
    rmt_put16(out + 8, (uint16_t) size);
    rmt_put16(out + 10, (uint16_t) key);
    out[16 + 64] = sizeof name - 1;
    for (size_t i = 0; name[i]; i++)
        rmt_put16(out + 16 + 66 + 2 * i, (uint8_t) (i == 0 ? 'H' : name[i]));
    rmt_put16(out + size + 8, 16);
    out[size + 12] = 2;
    return size + 16;
}

static void
s_make_block(unsigned cluster, bool is_stale)
{
    uint8_t *block = s_disk + (size_t) cluster * NTFS_FILE_CLUSTER;
    memcpy(block, "INDX", 4);
    rmt_put16(block + 4, 40);
    rmt_put16(block + 6, NTFS_FILE_CLUSTER / 512 + 1);
    rmt_put32(block + 24, 40);
    rmt_put32(block + 28, (uint32_t) (40 + s_put_entries(block + 64, is_stale)));
    s_guard(block, 40, RECORD);
}

static void
s_make_root(const ntfs_file_t *self)
{
    uint8_t *record = s_begin(5), value[256] = {0x30};
    const bool has_entry = self->hibernation && !self->is_in_block;
    size_t size = 16;
    rmt_put32(value + 8, NTFS_FILE_CLUSTER);
    if (has_entry)
        size = s_put_entries(value + 32, self->is_stale);
    else
        memcpy(value + 32, (const uint8_t[16]){[8] = 16, [12] = 2}, 16);
    rmt_put32(value + 16, 16);
    rmt_put32(value + 20, (uint32_t) (16 + size));
    s_add(record, 0x90, "$I30", value, 32 + size, 0);
    if (!self->is_in_block)
        return;
    s_add_run(record, 0xa0, "$I30", BLOCK_AT, 2, 2 * NTFS_FILE_CLUSTER);
    // The first block is one that the index does not use.
    if (self->has_old_block)
        s_make_block(BLOCK_AT, true);
    s_make_block(BLOCK_AT + 1, self->is_stale);
}

static void
s_make_map(const ntfs_file_t *self)
{
    uint8_t *record = s_begin(6), *map = s_disk + MAP_AT * NTFS_FILE_CLUSTER;
    memcpy(map, self->map, sizeof self->map);
    if (!self->is_listed) {
        s_add_run(record, 0x80, "", MAP_AT, 1, sizeof self->map);
        return;
    }
    uint8_t entry[32] = {0x80};
    entry[4] = sizeof entry;
    rmt_put64(entry + 16, PART_RECORD | (uint64_t) (PART_RECORD + 1) << 48);
    s_add(record, 0x20, "", entry, sizeof entry, 0);
    s_add_run(s_begin(PART_RECORD), 0x80, "", MAP_AT, 1, sizeof self->map);
}

static void
s_make_log(const ntfs_file_t *self)
{
    uint8_t *log = s_disk + (size_t) LOG_AT * NTFS_FILE_CLUSTER;
    if (self->has_empty_log)
        memset(log, 0xff, (size_t) LOG_CLUSTERS * NTFS_FILE_CLUSTER);
    for (size_t i = 0; i < 2; i++) {
        const ntfs_file_log_t *from = &self->log[i];
        const bool is_checked = from->magic && strcmp(from->magic, "CHKD") == 0;
        uint8_t *page = log + i * from->size;
        if (!from->size)
            continue;
        memcpy(page, from->magic ? from->magic : "RSTR", 4);
        rmt_put16(page + 4, 30);
        rmt_put16(page + 6, (uint16_t) (from->size / 512 + 1));
        rmt_put32(page + 16, from->size);
        rmt_put32(page + 20, from->size);
        rmt_put16(page + 24, 48);
        rmt_put64(page + (is_checked ? 8 : 48), from->lsn);
        rmt_put16(page + 48 + 12, from->clients);
        rmt_put16(page + 48 + 14, from->flags);
        s_guard(page, 30, from->size);
        if (from->is_torn)
            page[from->size - 1] ^= 1;
    }
    s_add_run(s_begin(2), 0x80, "", LOG_AT, LOG_CLUSTERS,
              (uint64_t) LOG_CLUSTERS * NTFS_FILE_CLUSTER);
}

int
ntfs_file_make(const ntfs_file_t *self)
{
    uint8_t state[12] = {[8] = 3, [9] = 1};
    memset(s_disk, 0, sizeof s_disk);
    s_make_boot();
    for (unsigned i = 0; i < USED_AT; i++)
        (void) s_begin(i);
    // The table lies in two pieces, the second of which is told by its distance.
    const uint8_t runs[] = {0x11, 6, NTFS_FILE_MFT, 0x11, USED_AT - 6, 6, 0};
    s_add(s_begin(0), 0x80, "", runs, sizeof runs, USED_AT * RECORD);
    rmt_put16(state + 10, self->flags);
    s_add(s_begin(3), 0x70, "", state, sizeof state, 0);
    s_make_root(self);
    s_make_map(self);
    s_make_log(self);
    if (self->hibernation) {
        memcpy(s_disk + SLEEP_AT * NTFS_FILE_CLUSTER, self->hibernation, 4);
        s_add_run(s_begin(SLEEP_RECORD), 0x80, "", SLEEP_AT, 4, 4096);
    }
    for (unsigned i = 0; i < USED_AT; i++)
        s_guard(s_record(i), 48, RECORD);
    const int fd = memfd_create("ntfs", MFD_CLOEXEC);
    assert(fd != -1 && pwrite(fd, s_disk, sizeof s_disk, 0) == sizeof s_disk);
    return fd;
}
