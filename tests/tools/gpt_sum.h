// gpt_sum - the sum that a GPT has of its head and of its entries: CRC-32
// (UEFI 2.10, 5.3.2).
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint32_t
gpt_sum(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}
