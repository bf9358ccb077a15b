#include "disk/rmt_pv.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR ((size_t) 512)
#define LABEL_SECTORS 4
#define LABEL_AT 1 // Sector where it is written
#define LABEL_ID "LABELONE"
#define LABEL_TYPE "LVM2 001"
#define LABEL_HEAD 32
#define UUID_BYTES 32
#define AREA_SIZE 16 // Offset and size

#define TEXT_MAGIC " LVM2 x[5A%r0N*>"
#define TEXT_AREA_AT ((uint64_t) 4096)
#define TEXT_HEAD SECTOR
#define TEXT_MAX ((uint64_t) 8 * 1024 * 1024)
#define SUM_START 0xf597a6cfu
#define IS_IGNORED 1u
#define EXTENSION_VERSION 2
#define IS_USED 1u

void
rmt_pv_clear(rmt_pv_t *self)
{
    free(self->text);
    *self = (rmt_pv_t){.text = NULL};
}

// CRC-32 with LVM's start and without a final turn.
static uint32_t
s_sum(uint32_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
    }
    return sum;
}

// ---- The uuid: 32 letters on the disk, groups of 6-4-4-4-4-4-6 in text

static bool
s_is_dash(size_t at)
{
    return at == 6 || at == 11 || at == 16 || at == 21 || at == 26 || at == 31;
}

static void
s_show_uuid(const uint8_t *bytes, char uuid[RMT_PV_UUID_SIZE])
{
    size_t to = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (s_is_dash(to))
            uuid[to++] = '-';
        uuid[to++] = bytes[i] ? (char) bytes[i] : '?';
    }
    uuid[to] = '\0';
}

static void
s_put_uuid(uint8_t *bytes, const char *uuid)
{
    size_t to = 0;
    for (; *uuid && to < UUID_BYTES; uuid++)
        if (*uuid != '-')
            bytes[to++] = (uint8_t) *uuid;
}

// ---- Reading

static int
s_refuse(rmt_error_t *error, const char *what)
{
    return rmt_fail(error, RMT_E_CORRUPT, "the physical volume of LVM has %s", what);
}

// The label among the first sectors, which are its sum's own.
static int
s_read_label(int fd, uint64_t offset, uint8_t label[SECTOR], rmt_error_t *error)
{
    for (unsigned i = 0; i < LABEL_SECTORS; i++) {
        if (rmt_io_pread(fd, label, SECTOR, (off_t) (offset + i * SECTOR), error) == -1)
            return -1;
        if (memcmp(label, LABEL_ID, 8) != 0 || rmt_get64(label + 8) != i)
            continue;
        if (memcmp(label + 24, LABEL_TYPE, 8) != 0 ||
            rmt_get32(label + 20) < LABEL_HEAD ||
            rmt_get32(label + 20) > SECTOR - UUID_BYTES - 8 ||
            rmt_get32(label + 16) != s_sum(SUM_START, label + 20, SECTOR - 20))
            return s_refuse(error, "a damaged label");
        return 0;
    }
    return rmt_fail(error, RMT_E_NOT_FOUND, "it has no label of LVM");
}

// Behind the areas of data, whose list ends with an empty one. NULL: it does not end.
static const uint8_t *
s_text_areas(const uint8_t *label)
{
    const uint8_t *at = label + rmt_get32(label + 20) + UUID_BYTES + 8;
    for (; at + AREA_SIZE <= label + SECTOR; at += AREA_SIZE)
        if (rmt_get64(at) == 0)
            return at + AREA_SIZE;
    return NULL;
}

// The text lies in a ring behind the area's head. NULL: the error is set.
static char *
s_load_ring(int fd, uint64_t start, uint64_t area, uint64_t at, uint64_t size,
            rmt_error_t *error)
{
    rmt_auto_str text = calloc(1, (size_t) size + 1);
    if (!text)
        abort();
    const uint64_t first = at + size > area ? area - at : size;
    if (rmt_io_pread(fd, text, (size_t) first, (off_t) (start + at), error) == -1 ||
        (first < size && rmt_io_pread(fd, text + first, (size_t) (size - first),
                                      (off_t) (start + TEXT_HEAD), error) == -1))
        return NULL;
    return rmt_take(&text);
}

// *text_out is NULL for an area without a text.
static int
s_read_text(int fd, uint64_t start, uint64_t area, char **text_out, rmt_error_t *error)
{
    uint8_t head[TEXT_HEAD];
    *text_out = NULL;
    if (area < 2 * TEXT_HEAD || start > INT64_MAX - area)
        return s_refuse(error, "an area of text without space");
    if (rmt_io_pread(fd, head, sizeof head, (off_t) start, error) == -1)
        return -1;
    if (memcmp(head + 4, TEXT_MAGIC, 16) != 0 ||
        rmt_get32(head) != s_sum(SUM_START, head + 4, sizeof head - 4))
        return s_refuse(error, "a damaged area of text");
    const uint64_t at = rmt_get64(head + 40), size = rmt_get64(head + 48);
    if (at == 0 || rmt_get32(head + 60) & IS_IGNORED)
        return 0;
    if (at < TEXT_HEAD || at >= area || size == 0 || size > area - TEXT_HEAD ||
        size > TEXT_MAX)
        return s_refuse(error, "a text outside its area");
    rmt_auto_str text = s_load_ring(fd, start, area, at, size, error);
    if (!text)
        return -1;
    if (rmt_get32(head + 56) != s_sum(SUM_START, (uint8_t *) text, (size_t) size))
        return s_refuse(error, "a text with a wrong sum");
    *text_out = rmt_take(&text);
    return 0;
}

// Which of two texts was written later.
static uint64_t
s_sequence(const char *text)
{
    const char *at = text ? strstr(text, "seqno = ") : NULL;
    return at ? strtoull(at + 8, NULL, 10) : 0;
}

int
rmt_pv_read(int fd, uint64_t offset, rmt_pv_t *pv_out, rmt_error_t *error)
{
    assert(pv_out);
    uint8_t label[SECTOR];
    if (s_read_label(fd, offset, label, error) == -1)
        return -1;
    const uint8_t *head = label + rmt_get32(label + 20);
    const uint8_t *at = s_text_areas(label);
    rmt_auto_str text = NULL;
    for (; at && at + AREA_SIZE <= label + SECTOR && rmt_get64(at); at += AREA_SIZE) {
        rmt_auto_str other = NULL;
        const uint64_t start = rmt_get64(at);
        if (start > INT64_MAX - offset)
            return s_refuse(error, "an area of text outside the disk");
        if (s_read_text(fd, offset + start, rmt_get64(at + 8), &other, error) == -1)
            return -1;
        if (s_sequence(other) > s_sequence(text)) {
            free(text);
            text = rmt_take(&other);
        }
    }
    *pv_out = (rmt_pv_t){.bytes = rmt_get64(head + UUID_BYTES), .text = rmt_take(&text)};
    s_show_uuid(head, pv_out->uuid);
    return 0;
}

// ---- Writing

static void
s_put_label(uint8_t *label, const rmt_pv_t *pv, uint64_t area)
{
    memcpy(label, LABEL_ID, 8);
    rmt_put64(label + 8, LABEL_AT);
    rmt_put32(label + 20, LABEL_HEAD);
    memcpy(label + 24, LABEL_TYPE, 8);
    uint8_t *at = label + LABEL_HEAD;
    s_put_uuid(at, pv->uuid);
    rmt_put64(at + UUID_BYTES, pv->bytes);
    at += UUID_BYTES + 8;
    rmt_put64(at, pv->data_start); // Its size 0: all that follows
    at += (size_t) 2 * AREA_SIZE;
    rmt_put64(at, TEXT_AREA_AT);
    rmt_put64(at + 8, area);
    at += (size_t) 2 * AREA_SIZE;
    rmt_put32(at, EXTENSION_VERSION);
    rmt_put32(at + 4, IS_USED);
    rmt_put32(label + 16, s_sum(SUM_START, label + 20, SECTOR - 20));
}

static void
s_put_text(uint8_t *head, uint64_t area, const char *text, uint64_t size)
{
    memcpy(head + 4, TEXT_MAGIC, 16);
    rmt_put32(head + 20, 1);
    rmt_put64(head + 24, TEXT_AREA_AT);
    rmt_put64(head + 32, area);
    rmt_put64(head + 40, TEXT_HEAD);
    rmt_put64(head + 48, size);
    rmt_put32(head + 56, s_sum(SUM_START, (const uint8_t *) text, (size_t) size));
    rmt_put32(head, s_sum(SUM_START, head + 4, TEXT_HEAD - 4));
    memcpy(head + TEXT_HEAD, text, (size_t) size);
}

int
rmt_pv_write(int fd, uint64_t offset, const rmt_pv_t *pv, rmt_error_t *error)
{
    assert(pv && pv->text && strlen(pv->uuid) == RMT_PV_UUID_SIZE - 1);
    const uint64_t size = strlen(pv->text) + 1;
    // LVM writes the next text beside the last one, so there is space for two.
    if (pv->data_start < TEXT_AREA_AT + TEXT_HEAD + 2 * size)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "the description of the volume group has %" PRIu64
                        " bytes, and its physical volume has no space for that",
                        size);
    rmt_auto_ptr space = calloc(1, (size_t) pv->data_start);
    if (!space)
        abort();
    uint8_t *head = space;
    const uint64_t area = pv->data_start - TEXT_AREA_AT;
    s_put_label(head + LABEL_AT * SECTOR, pv, area);
    s_put_text(head + TEXT_AREA_AT, area, pv->text, size);
    return rmt_io_pwrite(fd, head, (size_t) pv->data_start, (off_t) offset, error);
}
