#include "console/fit.h"

#include <assert.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define CUT_MARK "\xe2\x80\xa6" // One letter of three dots
#define SHORT 12                // A column of words, such as states, is kept whole
#define SHORTEST 5
#define LAST_MIN 28

void
fit_use_utf8(void)
{
    (void) setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void) setlocale(LC_CTYPE, "C.UTF-8");
}

// The bytes of the letter at text, and its width.
static size_t
s_letter(const char *text, size_t *width_out)
{
    wchar_t letter;
    mbstate_t state = {0};
    const size_t size = mbrtowc(&letter, text, MB_LEN_MAX, &state);
    const bool is_letter = size && size <= MB_LEN_MAX;
    const int width = is_letter ? wcwidth(letter) : 1;
    *width_out = width > 0 ? (size_t) width : 0;
    return is_letter ? size : 1;
}

// How many bytes of the text are at most so wide.
static size_t
s_bytes(const char *text, size_t width)
{
    size_t used = 0;
    while (text[used]) {
        size_t one;
        const size_t size = s_letter(text + used, &one);
        if (one > width)
            break;
        width -= one;
        used += size;
    }
    return used;
}

size_t
fit_width(const char *text)
{
    size_t width = 0;
    while (*text) {
        size_t one;
        text += s_letter(text, &one);
        width += one;
    }
    return width;
}

char *
fit_cut(const char *text, size_t width)
{
    if (fit_width(text) <= width || !width)
        return strdup(text);
    const size_t used = s_bytes(text, width - 1);
    char *out = malloc(used + sizeof CUT_MARK);
    assert(out);
    memcpy(out, text, used);
    memcpy(out + used, CUT_MARK, sizeof CUT_MARK);
    return out;
}

// The bytes of the next line: up to the last blank that fits, or as much as fits.
static size_t
s_line(const char *text, size_t width)
{
    const size_t fits = s_bytes(text, width);
    if (!text[fits] || text[fits] == ' ')
        return fits;
    for (size_t at = fits; at > 1; at--) {
        if (text[at - 1] == ' ')
            return at - 1;
    }
    return fits ? fits : strlen(text);
}

char *
fit_wrap(const char *text, size_t width)
{
    char *out = malloc(strlen(text) * 2 + 1);
    assert(out);
    size_t used = 0;
    while (*text) {
        const size_t size = s_line(text, width);
        memcpy(out + used, text, size);
        used += size;
        text += size;
        text += *text == ' ';
        if (*text)
            out[used++] = '\n';
    }
    out[used] = '\0';
    return out;
}

// Take from the widest column, but the first, one column until all fit or none is wider
// than least. The last one keeps last_least.
static size_t
s_shrink(size_t *widths, size_t count, size_t excess, size_t least, size_t last_least)
{
    while (excess) {
        size_t widest = 0;
        for (size_t i = 1; i < count; i++) {
            const size_t kept = i + 1 == count ? last_least : least;
            if (widths[i] > kept && (!widest || widths[i] > widths[widest]))
                widest = i;
        }
        if (!widest)
            break;
        widths[widest]--;
        excess--;
    }
    return excess;
}

void
fit_columns(size_t *widths, size_t count, size_t total)
{
    size_t sum = count - 1;
    for (size_t i = 0; i < count; i++)
        sum += widths[i];
    size_t excess = sum > total ? sum - total : 0;
    excess = s_shrink(widths, count, excess, SHORT, LAST_MIN);
    excess = s_shrink(widths, count, excess, SHORT, SHORT);
    (void) s_shrink(widths, count, excess, SHORTEST, SHORTEST);
}
