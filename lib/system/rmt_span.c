#include "system/rmt_span.h"
#include "base/rmt_io.h"

#include <string.h>
#include <strings.h>

static bool
s_is_mark(char letter, const char *marks)
{
    return letter && strchr(marks, letter);
}

static void
s_skip(rmt_span_t *span, size_t size)
{
    span->start += size;
    span->size -= size;
}

bool
rmt_span_line(rmt_span_t *rest, rmt_line_t *line_out)
{
    if (!rest->size)
        return false;
    const char *newline = memchr(rest->start, '\n', rest->size);
    const size_t whole = newline ? (size_t) (newline - rest->start) + 1 : rest->size;
    size_t size = whole - (newline != NULL);
    if (newline && size && rest->start[size - 1] == '\r')
        size--;
    line_out->text = (rmt_span_t){rest->start, size};
    line_out->end = (rmt_span_t){rest->start + size, whole - size};
    s_skip(rest, whole);
    return true;
}

bool
rmt_span_word(rmt_span_t *rest, const char *marks, rmt_span_t *word_out)
{
    while (rest->size && s_is_mark(*rest->start, marks))
        s_skip(rest, 1);
    size_t size = 0;
    while (size < rest->size && !s_is_mark(rest->start[size], marks))
        size++;
    *word_out = (rmt_span_t){rest->start, size};
    s_skip(rest, size);
    return size;
}

rmt_span_t
rmt_span_trim(rmt_span_t span, const char *marks)
{
    while (span.size && s_is_mark(*span.start, marks))
        s_skip(&span, 1);
    while (span.size && s_is_mark(span.start[span.size - 1], marks))
        span.size--;
    return span;
}

bool
rmt_span_is(rmt_span_t span, const char *text)
{
    return strlen(text) == span.size && memcmp(span.start, text, span.size) == 0;
}

bool
rmt_span_is_nocase(rmt_span_t span, const char *text)
{
    return strlen(text) == span.size && strncasecmp(span.start, text, span.size) == 0;
}

bool
rmt_span_begins(rmt_span_t span, const char *text)
{
    const size_t size = strlen(text);
    return size <= span.size && memcmp(span.start, text, size) == 0;
}

char *
rmt_span_dup(rmt_span_t span)
{
    return rmt_text("%.*s", (int) span.size, span.start);
}
