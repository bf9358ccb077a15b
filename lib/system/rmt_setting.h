// rmt_setting - settings in files of lines: a key, what stands between, a value. One
// engine for the formats that differ in no more than that. A line that begins with "#" or
// ";" is a comment. Private to lib/system. Pure.
#pragma once

#include <stdbool.h>
#include "system/rmt_span.h"

typedef struct {
    const char *keys;    // "a|b"; a blank in a key stands for any blanks
    const char *between; // "=" or ":" with blanks around, "" for blanks alone, NULL: none
    bool is_nocase;      // Keys in any case of letters
    bool is_continued;   // A line that begins with a blank goes on (Postfix)
} rmt_setting_t;

// What comes in place of a value, or NULL when it stays. The result is the caller's, as
// is the value's text.
typedef char *(rmt_setting_fn) (void *context, rmt_span_t value);

// The text with other values. Caller owns the result (free), with its size in *size_out;
// NULL when nothing changes.
char *rmt_setting_change(const rmt_setting_t *self, rmt_span_t text,
                         rmt_setting_fn *change, void *context, size_t *size_out);

// Every value of the keys, without its quotes and without a comment behind it.
typedef void(rmt_setting_read_fn)(void *context, rmt_span_t value);
void rmt_setting_read(const rmt_setting_t *self, rmt_span_t text,
                      rmt_setting_read_fn *read, void *context);

// The first word of a value as a shell takes it, without its quotes; the result is a part
// of the value. Empty for one that has to be computed ($, `).
rmt_span_t rmt_setting_word(rmt_span_t value);
