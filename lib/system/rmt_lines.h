// rmt_lines - the lines of a settings file, as the program that owns it joins them.
// Private to lib/system.
#pragma once

typedef enum {
    RMT_LINES_ALONE,  // A line is a line
    RMT_LINES_JOINED, // A backslash at the end goes with the end: ifupdown, shells
    RMT_LINES_SPACED, // Both become a blank: systemd, udev
} rmt_lines_join_t;

typedef struct {
    char *rest;
    rmt_lines_join_t join;
    unsigned next;   // Number of the line at rest, less one
    unsigned number; // Of the line that came last; of joined ones the first
    char *start;     // Where the line that came last began; rest is behind its end
} rmt_lines_t;

// Begin with a text, which is changed while it is read, and borrowed. NULL has no lines.
void rmt_lines_begin(rmt_lines_t *self, char *text, rmt_lines_join_t join);

// The next line without its end (LF or CR LF), or NULL. Valid as long as the text.
char *rmt_lines_next(rmt_lines_t *self);

// A text without the blanks around it, in place.
char *rmt_lines_trim(char *text);

// Take the next word, which ends at one of the marks, off a text; NULL for no more.
char *rmt_lines_word(char **rest, const char *marks);
