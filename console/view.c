#include "console/view.h"
#include "console/condition.h"
#include "console/field.h"
#include "console/nearest.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const s_formats[] = {"table", "wide", "json", "csv", "name"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static int
s_read_format(view_t *self, const rmt_record_t *options, rmt_error_t *error)
{
    const bool is_json = rmt_record_has(options, "json");
    const char *word = rmt_record_text(options, "output", is_json ? "json" : "table");
    nearest_t nearest = {.wanted = word};
    for (size_t i = 0; i < COUNT(s_formats); i++) {
        nearest_try(&nearest, s_formats[i]);
        if (strcmp(s_formats[i], word) == 0) {
            self->format = (view_format_t) i;
            return 0;
        }
    }
    return rmt_fail(
        error, RMT_E_USAGE, "--output %s is not table, wide, json, csv or name%s%s", word,
        nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "");
}

// NO_COLOR (no-color.org) is heard unless the option says otherwise.
static int
s_read_colors(view_t *self, const rmt_record_t *options, rmt_error_t *error)
{
    const char *word = rmt_record_text(options, "color", "auto");
    const char *terminal = getenv("TERM"), *none = getenv("NO_COLOR");
    if (strcmp(word, "auto") == 0)
        self->colors = isatty(STDOUT_FILENO) && terminal &&
                       strcmp(terminal, "dumb") != 0 && (!none || !*none);
    else if (strcmp(word, "always") == 0)
        self->colors = true;
    else if (strcmp(word, "never") != 0)
        return rmt_fail(error, RMT_E_USAGE, "--color %s is not auto, always or never",
                        word);
    return 0;
}

static char *
s_copy(const rmt_record_t *options, const char *name)
{
    const char *text = rmt_record_text(options, name, NULL);
    return text ? strdup(text) : NULL;
}

int
view_read(view_t *self, const rmt_record_t *options, rmt_error_t *error)
{
    *self = (view_t){.utc = rmt_record_has(options, "utc")};
    self->columns = s_copy(options, "columns");
    self->sort = s_copy(options, "sort");
    if (s_read_format(self, options, error) == -1 ||
        s_read_colors(self, options, error) == -1)
        return -1;
    const char *filter = rmt_record_text(options, "filter", NULL);
    if (filter && !(self->filter = condition_parse(filter, self->utc, error)))
        return -1;
    const char *limit = rmt_record_text(options, "limit", NULL);
    self->limit = limit ? rmt_record_u64(options, "limit", 0) : 0;
    if (limit && !self->limit)
        return rmt_fail(error, RMT_E_USAGE,
                        "--limit %s is not a number of items; write one such as 20",
                        limit);
    return 0;
}

void
view_free(view_t *self)
{
    free(self->columns);
    free(self->sort);
    rmt_records_destroy(&self->filter);
}

bool
view_is_usual(const view_t *self)
{
    return self->format == VIEW_TABLE && !self->columns && !self->sort && !self->filter &&
           !self->limit;
}

// ---- Fields

static bool
s_is_listed(const char *const *names, const char *name)
{
    for (size_t i = 0; names && names[i]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

// ---- Items

// Numbers by their amount, and numbers in names too: n2 is before n10.
static int
s_compare_field(const rmt_record_t *a, const rmt_record_t *b, const char *field)
{
    return strverscmp(rmt_record_text(a, field, ""), rmt_record_text(b, field, ""));
}

typedef struct {
    const rmt_record_t *item;
    size_t at;        // Equal items stay in their order
    const char *sort; // "rack,-pos"
} row_t;

static int
s_compare(const void *a_p, const void *b_p)
{
    const row_t *a = a_p, *b = b_p;
    rmt_auto_str words = strdup(a->sort);
    char *rest = NULL;
    for (char *word = strtok_r(words, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        const bool is_down = *word == '-';
        const int order = s_compare_field(a->item, b->item, word + is_down);
        if (order)
            return is_down ? -order : order;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

static int
s_check_fields(const view_t *self, const rmt_records_t *items, const char *const *columns,
               rmt_error_t *error)
{
    rmt_auto_str words = strdup(self->sort ? self->sort : "");
    char *rest = NULL;
    for (char *word = strtok_r(words, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        if (condition_need_field(items, columns, word + (*word == '-'), error) == -1)
            return -1;
    }
    for (size_t i = 0; self->filter && i < rmt_records_count(self->filter); i++) {
        const char *field =
            rmt_record_text(rmt_records_at(self->filter, i), "field", NULL);
        if (field && condition_need_field(items, columns, field, error) == -1)
            return -1;
    }
    return 0;
}

rmt_records_t *
view_items(const view_t *self, const rmt_records_t *items, const char *const *columns,
           rmt_error_t *error)
{
    if (s_check_fields(self, items, columns, error) == -1)
        return NULL;
    const size_t count = rmt_records_count(items);
    rmt_auto_ptr room = calloc(count + 1, sizeof(row_t));
    row_t *rows = room;
    assert(rows);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const rmt_record_t *item = rmt_records_at(items, i);
        if (!self->filter || condition_means(self->filter, item))
            rows[used++] = (row_t){item, i, self->sort};
    }
    if (self->sort)
        qsort(rows, used, sizeof *rows, s_compare);
    rmt_records_t *found = rmt_records_new();
    for (size_t i = 0; i < used && (!self->limit || i < self->limit); i++) {
        rmt_record_t *item = rmt_record_dup(rows[i].item);
        rmt_records_append(found, &item);
    }
    return found;
}

// ---- Columns

static int
s_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static size_t
s_count(const char *const *names)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    return count;
}

// Behind the usual columns, by name, each other field that an item has.
static const char **
s_wide_columns(const rmt_records_t *items, const char *const *usual)
{
    const size_t first = s_count(usual);
    size_t used = first, room = first + 1;
    for (size_t i = 0; i < rmt_records_count(items); i++)
        room += rmt_record_count(rmt_records_at(items, i));
    const char **names = calloc(room, sizeof *names);
    assert(names);
    for (size_t i = 0; i < first; i++)
        names[i] = usual[i];
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        const rmt_record_t *item = rmt_records_at(items, i);
        for (size_t f = 0; f < rmt_record_count(item); f++) {
            const char *name = rmt_record_name_at(item, f);
            const field_kind_t kind = field_kind(name);
            if (kind != FIELD_INNER && kind != FIELD_PACKED && strcmp(name, "log") != 0 &&
                !field_is_said_better(item, name) && !s_is_listed(names, name))
                names[used++] = name;
        }
    }
    qsort(names + first, used - first, sizeof *names, s_compare_names);
    return names;
}

const char **
view_columns(const view_t *self, const rmt_records_t *items, const char *const *columns,
             rmt_error_t *error)
{
    if (!self->columns && self->format == VIEW_WIDE)
        return s_wide_columns(items, columns);
    const size_t room = self->columns ? strlen(self->columns) + 1 : s_count(columns) + 1;
    rmt_auto_ptr memory = calloc(room, sizeof(char *));
    const char **names = memory;
    assert(names);
    size_t used = 0;
    for (size_t i = 0; !self->columns && columns[i]; i++)
        names[used++] = columns[i];
    // The commas become the ends of the names, which are then part of the view.
    for (char *at = self->columns; at && *at;) {
        const size_t size = strcspn(at, ",");
        char *next = at[size] ? at + size + 1 : at + size;
        at[size] = '\0';
        if (*at && condition_need_field(items, columns, at, error) == -1)
            return NULL;
        if (*at)
            names[used++] = at;
        at = next;
    }
    return rmt_take(&memory);
}
