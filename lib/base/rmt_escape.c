#include "base/rmt_escape.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "\\x"
#define DIGITS 2

// The character that is written at this place, or 0; *end_out: behind its digits.
static char
s_read(const char *at, const char **end_out)
{
    const size_t head = strlen(HEAD);
    char digits[DIGITS + 1] = "";
    if (strncmp(at, HEAD, head) != 0 ||
        strspn(at + head, "0123456789abcdefABCDEF") < DIGITS)
        return '\0';
    memcpy(digits, at + head, DIGITS);
    *end_out = at + head + DIGITS;
    return (char) strtol(digits, NULL, 16);
}

char *
rmt_escape_undo(char *text)
{
    assert(text);
    char *to = text;
    for (const char *at = text; *at; to++) {
        const char *end = at + 1;
        const char plain = s_read(at, &end);
        *to = plain ? plain : *at;
        at = plain ? end : at + 1;
    }
    *to = '\0';
    return text;
}
