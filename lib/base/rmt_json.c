#include "base/rmt_json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPED_MAX 6 // \u0000

// How many octets at text are one character of UTF-8; 0: they are none.
static size_t
s_character(const unsigned char *text, size_t size)
{
    const unsigned char first = text[0];
    const size_t count = first < 0x80                     ? 1
                         : first >= 0xc2 && first <= 0xdf ? 2
                         : first >= 0xe0 && first <= 0xef ? 3
                         : first >= 0xf0 && first <= 0xf4 ? 4
                                                          : 0;
    if (count == 0 || count > size)
        return 0;
    for (size_t i = 1; i < count; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    // Forms that are too long, surrogates, and numbers above 10FFFF
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) ||
        (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f))
        return 0;
    return count;
}

static char *
s_put(char *out, const char *data, size_t size)
{
    const unsigned char *text = (const unsigned char *) data;
    *out++ = '"';
    for (size_t i = 0; i < size;) {
        const size_t count = s_character(text + i, size - i);
        const unsigned char c = text[i];
        if (count == 0 || c < 0x20 || c == 0x7f) {
            out += sprintf(out, "\\u%04x", count == 0 ? 0xfffd : c);
            i++;
            continue;
        }
        if (c == '"' || c == '\\')
            *out++ = '\\';
        memcpy(out, text + i, count);
        out += count;
        i += count;
    }
    *out++ = '"';
    return out;
}

char *
rmt_json_members(const rmt_record_t *record)
{
    assert(record);
    size_t most = 1;
    for (size_t i = 0; i < rmt_record_count(record); i++) {
        size_t size;
        (void) rmt_record_value_at(record, i, &size);
        most += strlen(rmt_record_name_at(record, i)) + ESCAPED_MAX * size + 6;
    }
    char *const text = malloc(most);
    if (!text)
        abort();
    char *out = text;
    for (size_t i = 0; i < rmt_record_count(record); i++) {
        size_t size;
        const char *name = rmt_record_name_at(record, i);
        const char *value = rmt_record_value_at(record, i, &size);
        if (i > 0)
            *out++ = ',';
        out = s_put(out, name, strlen(name));
        *out++ = ':';
        out = s_put(out, value, size);
    }
    *out = '\0';
    return text;
}
