// rmt_span - parts of a text, and its lines, without copies. Private to lib/system. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *start;
    size_t size;
} rmt_span_t;

typedef struct {
    rmt_span_t text; // Without its end
    rmt_span_t end;  // "\n", "\r\n", or "" behind the last line of some texts
} rmt_line_t;

// Take the next line off *rest. False when nothing is left.
bool rmt_span_line(rmt_span_t *rest, rmt_line_t *line_out);

// Take the next word off *rest: what stands between these marks. False when none is left.
bool rmt_span_word(rmt_span_t *rest, const char *marks, rmt_span_t *word_out);

// The same part without these marks at both of its ends.
rmt_span_t rmt_span_trim(rmt_span_t span, const char *marks);

// Is it this text? In any case of letters where the name says so.
bool rmt_span_is(rmt_span_t span, const char *text);
bool rmt_span_is_nocase(rmt_span_t span, const char *text);
bool rmt_span_begins(rmt_span_t span, const char *text);

// Caller owns the copy (free).
char *rmt_span_dup(rmt_span_t span);
