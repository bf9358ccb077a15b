#include "archive/rmt_archive_head.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One header has at most so many bytes: readers refuse those over 1 MiB.
#define BYTES_MAX ((size_t) 256 * 1024)
#define HEADER_COUNT_MAX 64
#define PREFIX "RAMET-IMAGE-1:" // Before the digits of each piece

// Offsets in a block of ustar.
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257
};

static unsigned
s_checksum(const uint8_t block[RMT_ARCHIVE_BLOCK])
{
    unsigned sum = 0;
    for (size_t i = 0; i < RMT_ARCHIVE_BLOCK; i++)
        sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : block[i];
    return sum;
}

static size_t
s_padding(size_t size)
{
    return (RMT_ARCHIVE_BLOCK - size % RMT_ARCHIVE_BLOCK) % RMT_ARCHIVE_BLOCK;
}

// ---- Writing

static void
s_fill_block(uint8_t block[RMT_ARCHIVE_BLOCK], size_t size)
{
    char *text = (char *) block;
    memset(block, 0, RMT_ARCHIVE_BLOCK);
    snprintf(text + AT_NAME, 100, "pax_global_header");
    snprintf(text + AT_MODE, 8, "%07o", 0644);
    snprintf(text + AT_UID, 8, "%07o", 0);
    snprintf(text + AT_GID, 8, "%07o", 0);
    snprintf(text + AT_SIZE, 12, "%011zo", size);
    snprintf(text + AT_MTIME, 12, "%011o", 0);
    block[AT_TYPE] = 'g';
    memcpy(block + AT_MAGIC, "ustar\00000", 8);
    snprintf(text + AT_SUM, 8, "%06o", s_checksum(block));
}

// A pax record counts itself: "length keyword=value\n".
static char *
s_record(const char *value)
{
    const size_t rest = strlen(" comment=\n") + strlen(value);
    size_t length = rest + 1;
    for (;;) {
        char digits[24];
        const size_t whole =
            rest + (size_t) snprintf(digits, sizeof digits, "%zu", length);
        if (whole == length)
            break;
        length = whole;
    }
    return rmt_text("%zu comment=%s\n", length, value);
}

static int
s_write_piece(int fd, const uint8_t *data, size_t size, rmt_error_t *error)
{
    static const char digits[] = "0123456789abcdef";
    rmt_auto_str value = malloc(sizeof PREFIX + 2 * size);
    assert(value);
    char *at = stpcpy(value, PREFIX);
    for (size_t i = 0; i < size; i++) {
        *at++ = digits[data[i] >> 4];
        *at++ = digits[data[i] & 15];
    }
    *at = '\0';
    rmt_auto_str record = s_record(value);
    uint8_t block[RMT_ARCHIVE_BLOCK];
    static const uint8_t zeros[RMT_ARCHIVE_BLOCK];
    s_fill_block(block, strlen(record));
    return rmt_io_write(fd, block, sizeof block, error) == -1 ||
                   rmt_io_write(fd, record, strlen(record), error) == -1 ||
                   rmt_io_write(fd, zeros, s_padding(strlen(record)), error) == -1
               ? -1
               : 0;
}

int
rmt_archive_head_write(int fd, const void *data, size_t size, rmt_error_t *error)
{
    const uint8_t *bytes = data;
    for (size_t at = 0; at < size; at += BYTES_MAX) {
        const size_t piece = size - at < BYTES_MAX ? size - at : BYTES_MAX;
        if (s_write_piece(fd, bytes + at, piece, error) == -1)
            return -1;
    }
    return 0;
}

// ---- Reading

// All of size, or what there is before the end.
static int
s_read(int fd, uint8_t *out, size_t size, size_t *size_out, rmt_error_t *error)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t got = read(fd, out + done, size - done);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return rmt_fail_errno(error, "read archive");
        if (got == 0)
            break;
        done += (size_t) got;
    }
    *size_out = done;
    return 0;
}

static bool
s_is_global(const uint8_t block[RMT_ARCHIVE_BLOCK], size_t *size_out)
{
    const char *text = (const char *) block;
    if (memcmp(text + AT_MAGIC, "ustar", 5) != 0 || block[AT_TYPE] != 'g' ||
        strtoul(text + AT_SUM, NULL, 8) != s_checksum(block))
        return false;
    char digits[13] = "";
    memcpy(digits, text + AT_SIZE, 12);
    *size_out = strtoul(digits, NULL, 8);
    return true;
}

static int
s_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Add the bytes of one of ramet's comments; other records stay.
static int
s_gather(rmt_buffer_t *all, const char *value, const char *end, rmt_error_t *error)
{
    if ((size_t) (end - value) < sizeof PREFIX - 1 ||
        memcmp(value, PREFIX, sizeof PREFIX - 1) != 0)
        return 0;
    value += sizeof PREFIX - 1;
    (void) rmt_buffer_reserve(all, (size_t) (end - value) / 2);
    for (; end - value >= 2; value += 2) {
        const int high = s_digit(value[0]), low = s_digit(value[1]);
        if (high == -1 || low == -1)
            return rmt_fail(error, RMT_E_CORRUPT,
                            "the archive's description of the image is damaged");
        all->data[all->used++] = (uint8_t) (high << 4 | low);
    }
    return 0;
}

static int
s_read_records(rmt_buffer_t *all, const char *text, size_t size, rmt_error_t *error)
{
    for (size_t at = 0; at < size;) {
        char *keyword = NULL;
        const unsigned long length = strtoul(text + at, &keyword, 10);
        const char *end = text + at + length;
        if (length < 5 || length > size - at || *keyword != ' ' || keyword >= end ||
            end[-1] != '\n')
            return rmt_fail(error, RMT_E_CORRUPT, "a global header is damaged");
        const size_t name = strlen(" comment=");
        if ((size_t) (end - keyword) > name && memcmp(keyword, " comment=", name) == 0 &&
            s_gather(all, keyword + name, end - 1, error) == -1)
            return -1;
        at += length;
    }
    return 0;
}

static int
s_read_header(int fd, size_t size, rmt_buffer_t *all, rmt_error_t *error)
{
    const size_t whole = size + s_padding(size);
    if (size > 4 * BYTES_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "a global header has %zu bytes", size);
    rmt_auto_ptr room = calloc(1, whole + 1);
    assert(room);
    size_t got = 0;
    if (s_read(fd, room, whole, &got, error) == -1)
        return -1;
    if (got != whole)
        return rmt_fail(error, RMT_E_CORRUPT, "the archive ends in its first header");
    return s_read_records(all, room, size, error);
}

int
rmt_archive_head_read(int fd, void **data_out, size_t *size_out,
                      uint8_t first_out[RMT_ARCHIVE_BLOCK], size_t *first_size_out,
                      rmt_error_t *error)
{
    rmt_buffer_t all = {0};
    size_t got = 0, size = 0;
    int result = s_read(fd, first_out, RMT_ARCHIVE_BLOCK, &got, error);
    for (int i = 0; result == 0 && got == RMT_ARCHIVE_BLOCK && i < HEADER_COUNT_MAX &&
                    s_is_global(first_out, &size);
         i++) {
        result = s_read_header(fd, size, &all, error);
        if (result == 0)
            result = s_read(fd, first_out, RMT_ARCHIVE_BLOCK, &got, error);
    }
    if (result == -1) {
        free(all.data);
        return -1;
    }
    *data_out = all.data;
    *size_out = all.used;
    *first_size_out = got;
    return 0;
}
