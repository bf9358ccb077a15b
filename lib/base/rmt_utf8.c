#include "base/rmt_utf8.h"

#include <stdint.h>

size_t
rmt_utf8_character(const void *data, size_t size)
{
    static const struct {
        uint8_t first_min, first_max, second_min, second_max, size;
    } rows[] = {
        {0x01, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const uint8_t *text = data;
    for (size_t i = 0; size > 0 && i < sizeof rows / sizeof rows[0]; i++) {
        if (text[0] < rows[i].first_min || text[0] > rows[i].first_max)
            continue;
        if (size < rows[i].size)
            return 0;
        if (rows[i].size > 1 &&
            (text[1] < rows[i].second_min || text[1] > rows[i].second_max))
            return 0;
        for (size_t at = 2; at < rows[i].size; at++) {
            if ((text[at] & 0xc0) != 0x80)
                return 0;
        }
        return rows[i].size;
    }
    return 0;
}

size_t
rmt_utf8_span(const void *data, size_t size)
{
    const uint8_t *text = data;
    size_t at = 0;
    while (at < size) {
        const size_t step = rmt_utf8_character(text + at, size - at);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}
