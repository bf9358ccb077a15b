#include "base/rmt_json.h"
#include "base/rmt_utf8.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPED_MAX 6 // \u0000

static char *
s_put(char *out, const char *data, size_t size)
{
    *out++ = '"';
    for (size_t i = 0; i < size;) {
        const size_t count = rmt_utf8_character(data + i, size - i);
        const unsigned char c = (unsigned char) data[i];
        if (count == 0 || c < 0x20 || c == 0x7f) {
            out += sprintf(out, "\\u%04x", count == 0 && c != 0 ? 0xfffd : c);
            i++;
            continue;
        }
        if (c == '"' || c == '\\')
            *out++ = '\\';
        memcpy(out, data + i, count);
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
        most += ESCAPED_MAX * (strlen(rmt_record_name_at(record, i)) + size) + 6;
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
