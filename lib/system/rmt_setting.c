#include "system/rmt_setting.h"
#include "base/rmt_auto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"

typedef struct {
    const rmt_setting_t *setting;
    bool is_inside; // A value that the next line may go on
} state_t;

static bool
s_is_blank(char letter)
{
    return letter == ' ' || letter == '\t';
}

static rmt_span_t
s_skip_blanks(rmt_span_t span)
{
    while (span.size && s_is_blank(*span.start)) {
        span.start++;
        span.size--;
    }
    return span;
}

// Take a key off *rest; its blanks stand for any blanks.
static bool
s_take_key(rmt_span_t *rest, rmt_span_t key, bool is_nocase)
{
    rmt_span_t at = *rest;
    for (size_t i = 0; i < key.size; i++) {
        if (key.start[i] == ' ') {
            if (!at.size || !s_is_blank(*at.start))
                return false;
            at = s_skip_blanks(at);
            continue;
        }
        if (!at.size || (is_nocase ? strncasecmp(at.start, key.start + i, 1) != 0
                                   : *at.start != key.start[i]))
            return false;
        at.start++;
        at.size--;
    }
    *rest = at;
    return true;
}

// What stands between key and value. False when something else does.
static bool
s_take_between(rmt_span_t *rest, const char *between)
{
    const rmt_span_t at = s_skip_blanks(*rest);
    const size_t size = between ? strlen(between) : 0;
    if (!between)
        return true;
    if (size == 0 ? at.start == rest->start : !rmt_span_begins(at, between))
        return false;
    *rest = s_skip_blanks((rmt_span_t){at.start + size, at.size - size});
    return true;
}

// Whether a line has a value of one of the keys.
static bool
s_find(state_t *state, rmt_span_t line, rmt_span_t *value_out)
{
    const rmt_setting_t *self = state->setting;
    const rmt_span_t bare = rmt_span_trim(line, BLANKS "\r");
    if (!bare.size || strchr("#;", *bare.start))
        return false;
    if (self->is_continued && s_is_blank(*line.start)) {
        *value_out = bare;
        return state->is_inside;
    }
    rmt_span_t keys = {self->keys, strlen(self->keys)}, key;
    rmt_span_t start = bare;
    if (rmt_span_begins(bare, "export ") && self->between &&
        strcmp(self->between, "=") == 0)
        start = s_skip_blanks((rmt_span_t){bare.start + 7, bare.size - 7});
    state->is_inside = false;
    while (rmt_span_word(&keys, "|", &key)) {
        rmt_span_t rest = start;
        if (!s_take_key(&rest, key, self->is_nocase) ||
            !s_take_between(&rest, self->between))
            continue;
        *value_out = rest;
        state->is_inside = true;
        return true;
    }
    return false;
}

char *
rmt_setting_change(const rmt_setting_t *self, rmt_span_t text, rmt_setting_fn *change,
                   void *context, size_t *size_out)
{
    char *made = NULL;
    bool is_changed = false;
    state_t state = {.setting = self};
    FILE *out = open_memstream(&made, size_out);
    if (!out)
        abort();
    for (rmt_line_t line; rmt_span_line(&text, &line);) {
        rmt_span_t value = {line.text.start, 0};
        rmt_auto_str other =
            s_find(&state, line.text, &value) ? change(context, value) : NULL;
        if (other) {
            const char *behind = value.start + value.size;
            fwrite(line.text.start, 1, (size_t) (value.start - line.text.start), out);
            fputs(other, out);
            fwrite(behind, 1, (size_t) (line.end.start - behind), out);
            is_changed = true;
        } else {
            fwrite(line.text.start, 1, line.text.size, out);
        }
        fwrite(line.end.start, 1, line.end.size, out);
    }
    if (fclose(out))
        abort();
    if (is_changed)
        return made;
    free(made);
    return NULL;
}

void
rmt_setting_read(const rmt_setting_t *self, rmt_span_t text, rmt_setting_read_fn *read,
                 void *context)
{
    state_t state = {.setting = self};
    for (rmt_line_t line; rmt_span_line(&text, &line);) {
        rmt_span_t value;
        if (s_find(&state, line.text, &value))
            read(context, rmt_setting_word(value));
    }
}

rmt_span_t
rmt_setting_word(rmt_span_t value)
{
    const rmt_span_t none = {value.start, 0};
    const char quote = value.size && strchr("\"'", *value.start) ? *value.start : '\0';
    if (quote) {
        value.start++;
        value.size--;
    }
    size_t size = 0;
    while (size < value.size &&
           (quote ? value.start[size] != quote : !strchr(" \t;#", value.start[size]))) {
        if (strchr("$`\\", value.start[size]))
            return none;
        size++;
    }
    if (quote && size == value.size)
        return none;
    return (rmt_span_t){value.start, size};
}
