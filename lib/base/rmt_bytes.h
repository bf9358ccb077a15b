// rmt_bytes - numbers as bytes, varints, growing buffers and bounded views: what formats
// on disk and on the wire are made of.
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void
rmt_put16(uint8_t *out, uint16_t number)
{
    number = htole16(number);
    memcpy(out, &number, sizeof number);
}

static inline void
rmt_put32(uint8_t *out, uint32_t number)
{
    number = htole32(number);
    memcpy(out, &number, sizeof number);
}

static inline void
rmt_put64(uint8_t *out, uint64_t number)
{
    number = htole64(number);
    memcpy(out, &number, sizeof number);
}

static inline uint16_t
rmt_get16(const uint8_t *data)
{
    uint16_t number;
    memcpy(&number, data, sizeof number);
    return le16toh(number);
}

static inline uint32_t
rmt_get32(const uint8_t *data)
{
    uint32_t number;
    memcpy(&number, data, sizeof number);
    return le32toh(number);
}

static inline uint64_t
rmt_get64(const uint8_t *data)
{
    uint64_t number;
    memcpy(&number, data, sizeof number);
    return le64toh(number);
}

// Of 1 to 8 bytes.
static inline uint64_t
rmt_get_le(const uint8_t *data, size_t size)
{
    uint64_t number = 0;
    while (size--)
        number = number << 8 | data[size];
    return number;
}

// Big-endian, as XFS and tables of firmware have them.
static inline uint16_t
rmt_get16_be(const uint8_t *data)
{
    uint16_t number;
    memcpy(&number, data, sizeof number);
    return be16toh(number);
}

static inline uint32_t
rmt_get32_be(const uint8_t *data)
{
    uint32_t number;
    memcpy(&number, data, sizeof number);
    return be32toh(number);
}

// ---- Growing bytes. All zero is an empty buffer; free(data) ends it.

typedef struct {
    uint8_t *data;
    size_t used, room;
} rmt_buffer_t;

// Space for so many bytes more; aborts when memory is out. Returns where they go.
uint8_t *rmt_buffer_reserve(rmt_buffer_t *self, size_t more);
void rmt_buffer_add(rmt_buffer_t *self, const void *data, size_t size);
void rmt_buffer_add_varint(rmt_buffer_t *self, uint64_t number);
// Frees the bytes; the buffer is empty again.
void rmt_buffer_clear(rmt_buffer_t *self);

// ---- Foreign bytes that are read from front to back

#define RMT_VARINT_SIZE_MAX 10

typedef struct {
    const uint8_t *at, *end;
} rmt_view_t;

static inline size_t
rmt_view_left(const rmt_view_t *self)
{
    return (size_t) (self->end - self->at);
}

// False, with the view unchanged, when the bytes end within the number, or when it is
// not in its shortest form or over 64 bits.
bool rmt_view_varint(rmt_view_t *self, uint64_t *number_out);
// As above for a number of at most limit.
bool rmt_view_varint_to(rmt_view_t *self, uint64_t limit, uint64_t *number_out);
// The next size bytes, or NULL when there are fewer.
const uint8_t *rmt_view_bytes(rmt_view_t *self, uint64_t size);
