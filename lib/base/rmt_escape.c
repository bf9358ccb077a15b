#include "base/rmt_escape.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *head, *digits;
    size_t count;
    int base;
} s_rows[] = {
    [RMT_ESCAPE_OCTAL] = {"\\", "01234567", 3, 8},
    [RMT_ESCAPE_HEX] = {"\\x", "0123456789abcdefABCDEF", 2, 16},
};

// The character that is written at this place, or 0; *end_out: behind its digits.
static char
s_read(const char *at, rmt_escape_t kind, const char **end_out)
{
    const size_t head = strlen(s_rows[kind].head), count = s_rows[kind].count;
    char digits[4] = "";
    if (strncmp(at, s_rows[kind].head, head) != 0 ||
        strspn(at + head, s_rows[kind].digits) < count)
        return '\0';
    memcpy(digits, at + head, count);
    const long code = strtol(digits, NULL, s_rows[kind].base);
    *end_out = at + head + count;
    return code < 256 ? (char) code : '\0';
}

char *
rmt_escape_undo(char *text, rmt_escape_t kind)
{
    assert(text && kind < sizeof s_rows / sizeof *s_rows);
    char *to = text;
    for (const char *at = text; *at; to++) {
        const char *end = at + 1;
        const char plain = s_read(at, kind, &end);
        *to = plain ? plain : *at;
        at = plain ? end : at + 1;
    }
    *to = '\0';
    return text;
}
