#include "console/head_parts.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

void
head_parts_add(rmt_buffer_t *self, const void *data, size_t size)
{
    assert(size <= UINT32_MAX);
    const uint32_t head = htole32((uint32_t) size);
    rmt_buffer_add(self, &head, sizeof head);
    rmt_buffer_add(self, data, size);
}

int
head_parts_next(const void *data, size_t size, size_t *at, const void **part_out,
                size_t *part_size_out, rmt_error_t *error)
{
    const uint8_t *bytes = data;
    uint32_t head;
    if (*at == size)
        return 0;
    if (size - *at < sizeof head)
        return rmt_fail(error, RMT_E_CORRUPT, "the archive's head is damaged");
    memcpy(&head, bytes + *at, sizeof head);
    head = le32toh(head);
    if (head > size - *at - sizeof head)
        return rmt_fail(error, RMT_E_CORRUPT, "the archive's head is damaged");
    *part_out = bytes + *at + sizeof head;
    *part_size_out = head;
    *at += sizeof head + head;
    return 1;
}
