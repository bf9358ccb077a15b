// fit - texts as wide as a column may be. Widths are columns of a terminal, by the
// locale.
#pragma once

#include <stddef.h>

// Make the locale one of UTF-8, whatever the environment says.
void fit_use_utf8(void);

size_t fit_width(const char *text);

// The text, or its beginning with a mark that it was cut. Caller owns.
char *fit_cut(const char *text, size_t width);

// The text in lines of that width, ended at blanks where there are any. Caller owns.
char *fit_wrap(const char *text, size_t width);

// Make columns narrower until they and a blank between each fit into total: first those
// of texts, the widest first; the last one, whose text is wrapped, stays readable, and
// the first one is never cut.
void fit_columns(size_t *widths, size_t count, size_t total);
