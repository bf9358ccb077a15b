#include "base/rmt_bytes.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <stdlib.h>

uint8_t *
rmt_buffer_reserve(rmt_buffer_t *self, size_t more)
{
    assert(more <= SIZE_MAX / 4 - self->used);
    const size_t wanted = self->used + more;
    rmt_grow(&self->data, &self->room, self->room || wanted > 256 ? wanted : 256);
    return self->data + self->used;
}

void
rmt_buffer_add(rmt_buffer_t *self, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(rmt_buffer_reserve(self, size), data, size);
    self->used += size;
}

void
rmt_buffer_add_varint(rmt_buffer_t *self, uint64_t number)
{
    uint8_t *out = rmt_buffer_reserve(self, RMT_VARINT_SIZE_MAX);
    size_t size = 0;
    for (; number >= 0x80; number >>= 7)
        out[size++] = (uint8_t) (number | 0x80);
    out[size++] = (uint8_t) number;
    self->used += size;
}

void
rmt_buffer_clear(rmt_buffer_t *self)
{
    free(self->data);
    *self = (rmt_buffer_t){0};
}

bool
rmt_view_varint(rmt_view_t *self, uint64_t *number_out)
{
    uint64_t number = 0;
    const uint8_t *at = self->at;
    for (unsigned shift = 0; at < self->end && shift < 64; shift += 7) {
        const uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return false;
        number |= (uint64_t) (byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0)
            return false; // A shorter form exists
        self->at = at;
        *number_out = number;
        return true;
    }
    return false;
}

bool
rmt_view_varint_to(rmt_view_t *self, uint64_t limit, uint64_t *number_out)
{
    rmt_view_t ahead = *self;
    uint64_t number = 0;
    if (!rmt_view_varint(&ahead, &number) || number > limit)
        return false;
    *self = ahead;
    *number_out = number;
    return true;
}

const uint8_t *
rmt_view_bytes(rmt_view_t *self, uint64_t size)
{
    if (size > rmt_view_left(self))
        return NULL;
    const uint8_t *data = self->at;
    self->at += size;
    return data;
}
