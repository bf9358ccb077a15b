#include "console/table.h"
#include "console/field.h"
#include "console/fit.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <ctype.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Words of states and what they call for: nothing, patience, a look.
static const struct {
    const char *word, *color;
} s_colors[] = {
    {"done", "green"},     {"confirmed", "green"},  {"COMPLETE", "green"},
    {"running", "cyan"},   {"locked", "cyan"},      {"queued", "cyan"},
    {"partial", "yellow"}, {"cancelled", "yellow"}, {"held", "yellow"},
    {"FUZZY", "yellow"},   {"protected", "yellow"}, {"pending", "yellow"},
    {"absent", "yellow"},  {"note", "yellow"},      {"failed", "red"},
    {"INCOMPLETE", "red"}, {"wrong", "red"},        {"revoked", "red"},
};

static const char *
s_color_of(const char *text)
{
    for (size_t i = 0; i < sizeof s_colors / sizeof *s_colors; i++) {
        if (strcmp(s_colors[i].word, text) == 0)
            return s_colors[i].color;
    }
    return NULL;
}

// The text of each cell, line by line, the headings first.
typedef struct {
    size_t columns, lines;
    char **cells;
    size_t *widths; // Of each column; 0: as wide as it is
} texts_t;

static char **
s_cell(const texts_t *self, size_t line, size_t column)
{
    return &self->cells[line * self->columns + column];
}

static char *
s_heading(const char *name)
{
    char *heading = strdup(name);
    for (char *at = heading; *at; at++)
        *at = (char) toupper((unsigned char) *at);
    return heading;
}

static void
s_take_texts(texts_t *self, const rmt_records_t *items, const char *const *columns,
             const view_t *view)
{
    const field_time_t time = view->format == VIEW_WIDE ? FIELD_DATE : FIELD_AGE;
    while (columns[self->columns])
        self->columns++;
    self->lines = rmt_records_count(items) + 1;
    self->cells = calloc(self->lines * self->columns + 1, sizeof *self->cells);
    self->widths = calloc(self->columns + 1, sizeof *self->widths);
    assert(self->cells && self->widths);
    for (size_t c = 0; c < self->columns; c++) {
        *s_cell(self, 0, c) = s_heading(columns[c]);
        for (size_t i = 1; i < self->lines; i++) {
            char *text =
                field_text(rmt_records_at(items, i - 1), columns[c], time, view->utc);
            *s_cell(self, i, c) = text ? text : strdup("-");
        }
    }
}

// Cut and wrap what does not fit into a terminal; a pipe gets all.
static void
s_fit(texts_t *self)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 ||
        !size.ws_col)
        return;
    for (size_t l = 0; l < self->lines; l++) {
        for (size_t c = 0; c < self->columns; c++) {
            const size_t width = fit_width(*s_cell(self, l, c));
            self->widths[c] = width > self->widths[c] ? width : self->widths[c];
        }
    }
    fit_columns(self->widths, self->columns, size.ws_col);
    for (size_t l = 0; l < self->lines; l++) {
        for (size_t c = 0; c < self->columns; c++) {
            rmt_auto_str whole = *s_cell(self, l, c);
            const bool is_wrapped = l && c + 1 == self->columns;
            *s_cell(self, l, c) = is_wrapped ? fit_wrap(whole, self->widths[c])
                                             : fit_cut(whole, self->widths[c]);
        }
    }
}

static void
s_add_columns(struct libscols_table *table, const texts_t *texts,
              const char *const *columns)
{
    for (size_t c = 0; c < texts->columns; c++) {
        const field_kind_t kind = field_kind(columns[c]);
        const bool is_amount = kind == FIELD_NUMBER || kind == FIELD_BYTES;
        const bool is_last = c + 1 == texts->columns;
        struct libscols_column *column =
            scols_table_new_column(table, *s_cell(texts, 0, c), 0,
                                   is_last     ? SCOLS_FL_WRAP
                                   : is_amount ? SCOLS_FL_RIGHT
                                               : 0);
        if (is_last)
            scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
                                      scols_wrapnl_nextchunk, NULL);
    }
}

static void
s_add_line(struct libscols_table *table, const texts_t *texts, size_t number,
           const view_t *view)
{
    struct libscols_line *line = scols_table_new_line(table, NULL);
    for (size_t c = 0; c < texts->columns; c++) {
        const char *text = *s_cell(texts, number, c);
        scols_line_set_data(line, c, text);
        const char *color = view->colors ? s_color_of(text) : NULL;
        if (color)
            scols_cell_set_color(scols_line_get_cell(line, c), color);
    }
}

void
table_print(const rmt_records_t *items, const char *const *columns, const view_t *view)
{
    fit_use_utf8();
    texts_t texts = {0};
    s_take_texts(&texts, items, columns, view);
    s_fit(&texts);
    struct libscols_table *table = scols_new_table();
    scols_table_enable_colors(table, view->colors);
    scols_table_enable_noencoding(table, 1); // field_text has made them safe
    s_add_columns(table, &texts, columns);
    for (size_t i = 1; i < texts.lines; i++)
        s_add_line(table, &texts, i, view);
    scols_print_table(table);
    scols_unref_table(table);
    for (size_t i = 0; i < texts.lines * texts.columns; i++)
        free(texts.cells[i]);
    free(texts.cells);
    free(texts.widths);
}
