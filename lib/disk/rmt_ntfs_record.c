#include "disk/rmt_ntfs_record.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE_MASK (((uint64_t) 1 << 48) - 1) // The rest counts how often it was used
#define ATTRIBUTE_MIN 24
#define RESIDENT_HEAD 24
#define RUNS_HEAD 64
#define LIST_HEAD 26
#define LIST_BYTES_MAX ((uint64_t) 1024 * 1024)
#define RUNS_MAX ((size_t) 4 * 1024 * 1024)
#define END 0xffffffffu

int
rmt_ntfs_damaged(const char *what, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_CORRUPT,
                    "the NTFS is damaged: %s; check it in Windows: chkdsk /f", what);
}

bool
rmt_ntfs_mend(uint8_t *data, size_t size, const char *magic)
{
    const size_t blocks = size / RMT_NTFS_BLOCK;
    const size_t at = rmt_get16(data + 4), count = rmt_get16(data + 6);
    if (memcmp(data, magic, 4) != 0 || count != blocks + 1 || at < 8 ||
        at + 2 * count > RMT_NTFS_BLOCK - 2)
        return false;
    for (size_t i = 0; i < blocks; i++) {
        uint8_t *end = data + (i + 1) * RMT_NTFS_BLOCK - 2;
        if (memcmp(end, data + at, 2) != 0)
            return false;
        memcpy(end, data + at + 2 * (i + 1), 2);
    }
    return true;
}

int
rmt_ntfs_read(const rmt_ntfs_volume_t *self, const rmt_ntfs_runs_t *runs, uint64_t at,
              void *data, size_t size, rmt_error_t *error)
{
    uint8_t *out = data;
    for (size_t i = 0; i < runs->count && size; i++) {
        const rmt_ntfs_run_t *run = &runs->items[i];
        const uint64_t begin = run->first * self->cluster;
        const uint64_t end = begin + run->count * self->cluster;
        if (at < begin || at >= end)
            continue;
        const size_t piece = end - at < size ? (size_t) (end - at) : size;
        if (run->is_hole)
            memset(out, 0, piece);
        else if (rmt_io_pread(
                     self->fd, out, piece,
                     (off_t) (self->offset + run->at * self->cluster + at - begin),
                     error) == -1)
            return rmt_wrap(error, "NTFS");
        at += piece;
        out += piece;
        size -= piece;
    }
    return size ? rmt_ntfs_damaged("a file ends before its size", error) : 0;
}

int
rmt_ntfs_read_record(const rmt_ntfs_volume_t *self, uint64_t number, uint8_t *data,
                     rmt_error_t *error)
{
    if (number > self->mft.clusters * self->cluster / self->record)
        return rmt_ntfs_damaged("a record lies behind the master file table", error);
    if (rmt_ntfs_read(self, &self->mft, number * self->record, data,
                      (size_t) self->record, error) == -1)
        return -1;
    return rmt_ntfs_mend(data, (size_t) self->record, "FILE")
               ? 0
               : rmt_ntfs_damaged("a record of the master file table is torn", error);
}

// ---- Attributes

static bool
s_has_name(const uint8_t *name, size_t count, const char *wanted)
{
    if (count != strlen(wanted))
        return false;
    for (size_t i = 0; i < count; i++)
        if (rmt_get16(name + 2 * i) != (uint8_t) wanted[i])
            return false;
    return true;
}

// Its parts lie inside of it.
static bool
s_is_sound(rmt_ntfs_attribute_t *attribute)
{
    const uint8_t *data = attribute->data;
    const size_t name_end = rmt_get16(data + 10) + (size_t) data[9] * 2;
    attribute->is_resident = data[8] == 0;
    if (data[9] && name_end > attribute->size)
        return false;
    if (!attribute->is_resident)
        return attribute->size >= RUNS_HEAD && rmt_get16(data + 32) < attribute->size;
    const size_t at = rmt_get16(data + 20);
    attribute->value_size = rmt_get32(data + 16);
    attribute->value = attribute->data + at;
    return at >= ATTRIBUTE_MIN - 8 && at <= attribute->size &&
           attribute->value_size <= attribute->size - at;
}

// The attribute at an offset of a record; false at the end of all.
static bool
s_at(const rmt_ntfs_volume_t *self, uint8_t *record, size_t at,
     rmt_ntfs_attribute_t *attribute_out)
{
    const size_t used = rmt_get32(record + 24);
    const size_t end = used < self->record ? used : (size_t) self->record;
    if (at + ATTRIBUTE_MIN > end || rmt_get32(record + at) == END)
        return false;
    const size_t size = rmt_get32(record + at + 4);
    if (size < ATTRIBUTE_MIN || size > end - at)
        return false;
    *attribute_out = (rmt_ntfs_attribute_t){.data = record + at, .size = size};
    return s_is_sound(attribute_out);
}

bool
rmt_ntfs_find(const rmt_ntfs_volume_t *self, uint8_t *record, uint32_t type,
              const char *name, rmt_ntfs_attribute_t *attribute_out)
{
    rmt_ntfs_attribute_t one;
    for (size_t at = rmt_get16(record + 20); s_at(self, record, at, &one);
         at += one.size) {
        if (rmt_get32(one.data) != type ||
            !s_has_name(one.data + (one.data[9] ? rmt_get16(one.data + 10) : 0),
                        one.data[9], name))
            continue;
        *attribute_out = one;
        return true;
    }
    return false;
}

// ---- Runs

static int
s_add_run(rmt_ntfs_runs_t *runs, const rmt_ntfs_run_t *run, rmt_error_t *error)
{
    if (runs->count == RUNS_MAX)
        return rmt_ntfs_damaged("a file lies in too many pieces", error);
    rmt_grow_one(&runs->items, runs->count);
    runs->items[runs->count++] = *run;
    runs->clusters += run->count;
    return 0;
}

static int64_t
s_signed(const uint8_t *data, size_t size)
{
    const uint64_t number = rmt_get_le(data, size);
    const unsigned spare = (unsigned) (64 - 8 * size);
    return (int64_t) (number << spare) >> spare;
}

// One number of a byte says how long the next two are: a count, and the distance from
// where the run before it lies; without a distance it is a hole.
static int
s_decode(const rmt_ntfs_volume_t *self, const rmt_ntfs_attribute_t *attribute,
         rmt_ntfs_runs_t *runs, rmt_error_t *error)
{
    const uint8_t *data = attribute->data;
    uint64_t at = 0;
    for (size_t i = rmt_get16(data + 32); i < attribute->size && data[i];) {
        const size_t count_size = data[i] & 15, move_size = data[i] >> 4;
        i++;
        if (count_size == 0 || count_size > 8 || move_size > 8 ||
            count_size + move_size > attribute->size - i)
            return rmt_ntfs_damaged("a list of runs is torn", error);
        const rmt_ntfs_run_t run = {
            .first = runs->clusters,
            .count = rmt_get_le(data + i, count_size),
            .is_hole = move_size == 0,
            .at = at + (move_size ? (uint64_t) s_signed(data + i + count_size, move_size)
                                  : 0)};
        if (run.count == 0 || run.count > self->clusters ||
            runs->clusters > UINT32_MAX * (uint64_t) 16 ||
            (!run.is_hole &&
             (run.at >= self->clusters || run.count > self->clusters - run.at)))
            return rmt_ntfs_damaged("a run lies outside of the volume", error);
        if (s_add_run(runs, &run, error) == -1)
            return -1;
        at = run.at;
        i += count_size + move_size;
    }
    return 0;
}

// A part of an attribute: of the first one the size counts.
static int
s_take(const rmt_ntfs_volume_t *self, const rmt_ntfs_attribute_t *attribute,
       rmt_ntfs_runs_t *runs, rmt_error_t *error)
{
    const uint64_t first = rmt_get64(attribute->data + 16);
    if (attribute->is_resident)
        return 0;
    if (first != runs->clusters)
        return rmt_ntfs_damaged("the pieces of a file are not in order", error);
    if (first == 0)
        runs->bytes = rmt_get64(attribute->data + 48);
    return s_decode(self, attribute, runs, error);
}

// The list of a file whose attributes do not fit into one record. Caller owns *data_out
// (free), NULL for none.
static int
s_read_list(const rmt_ntfs_volume_t *self, uint8_t *record, uint8_t **data_out,
            size_t *size_out, rmt_error_t *error)
{
    rmt_ntfs_attribute_t list;
    rmt_ntfs_runs_t runs = {.items = NULL};
    *data_out = NULL;
    if (!rmt_ntfs_find(self, record, RMT_NTFS_LIST, "", &list))
        return 0;
    int rc = s_take(self, &list, &runs, error);
    const uint64_t size = list.is_resident ? list.value_size : runs.bytes;
    if (rc == 0 && size > LIST_BYTES_MAX)
        rc = rmt_ntfs_damaged("a list of attributes is too long", error);
    uint8_t *data = rc == 0 ? malloc((size_t) size + 1) : NULL;
    assert(rc == -1 || data);
    if (rc == 0 && list.is_resident)
        memcpy(data, list.value, (size_t) size);
    else if (rc == 0)
        rc = rmt_ntfs_read(self, &runs, 0, data, (size_t) size, error);
    free(runs.items);
    *size_out = (size_t) size;
    *data_out = rc == 0 ? data : NULL;
    if (rc == -1)
        free(data);
    return rc;
}

typedef struct {
    uint64_t base; // Number of the file's first record
    uint32_t type;
    const char *name;
} wanted_t;

// The part of an attribute that an entry of a list names, when it is not in the first
// record.
static int
s_take_entry(rmt_ntfs_volume_t *self, const wanted_t *wanted, const uint8_t *entry,
             rmt_ntfs_runs_t *runs, rmt_error_t *error)
{
    rmt_ntfs_attribute_t part;
    const uint64_t number = rmt_get64(entry + 16) & REFERENCE_MASK;
    if (rmt_get32(entry) != wanted->type || number == wanted->base ||
        rmt_get64(entry + 8) < runs->clusters)
        return 0;
    rmt_auto_ptr record = malloc((size_t) self->record);
    assert(record);
    if (rmt_ntfs_read_record(self, number, record, error) == -1)
        return -1;
    return rmt_ntfs_find(self, record, wanted->type, wanted->name, &part)
               ? s_take(self, &part, runs, error)
               : 0;
}

static int
s_follow(rmt_ntfs_volume_t *self, const wanted_t *wanted, const uint8_t *list,
         size_t size, rmt_ntfs_runs_t *runs, rmt_error_t *error)
{
    for (size_t at = 0; at + LIST_HEAD <= size;) {
        const size_t length = rmt_get16(list + at + 4);
        if (length < LIST_HEAD || length > size - at)
            return rmt_ntfs_damaged("a list of attributes is torn", error);
        if (s_take_entry(self, wanted, list + at, runs, error) == -1)
            return -1;
        at += length;
    }
    return 0;
}

int
rmt_ntfs_runs(rmt_ntfs_volume_t *self, uint64_t number, uint32_t type, const char *name,
              rmt_ntfs_runs_t *runs, rmt_error_t *error)
{
    const wanted_t wanted = {.base = number, .type = type, .name = name};
    rmt_ntfs_attribute_t own;
    rmt_auto_ptr record = malloc((size_t) self->record);
    rmt_auto_ptr list = NULL;
    size_t size = 0;
    uint8_t *data = NULL;
    assert(record);
    if (rmt_ntfs_read_record(self, number, record, error) == -1)
        return -1;
    // Of the table itself the first run is known before any is read.
    if (runs->count && runs == &self->mft)
        runs->count = runs->clusters = 0;
    if (rmt_ntfs_find(self, record, type, name, &own) &&
        s_take(self, &own, runs, error) == -1)
        return -1;
    if (s_read_list(self, record, &data, &size, error) == -1)
        return -1;
    list = data;
    return data ? s_follow(self, &wanted, data, size, runs, error) : 0;
}
