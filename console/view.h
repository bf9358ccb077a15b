// view - how a list is shown: which of its items and fields, in which order and form.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef enum { VIEW_TABLE, VIEW_WIDE, VIEW_JSON, VIEW_CSV, VIEW_NAME } view_format_t;

typedef struct {
    view_format_t format;
    bool utc;              // Times are of UTC, not of this computer's time zone
    bool colors;           // Of standard output
    char *columns, *sort;  // Names with commas between, or NULL; sort: - for descending
    rmt_records_t *filter; // Of condition.h, or NULL
    uint64_t limit;        // 0: none
} view_t;

// From the options --output, --json, --utc, --color, --columns, --sort, --filter,
// --limit. 0, or -1: USAGE. Free it with view_free in both cases.
int view_read(view_t *self, const rmt_record_t *options, rmt_error_t *error);
void view_free(view_t *self);

// Is it the usual table, of which nothing is chosen? Only then are rows made one.
bool view_is_usual(const view_t *self);

// The items that the view means, in its order. Caller owns. NULL: USAGE for a field that
// no item has.
rmt_records_t *view_items(const view_t *self, const rmt_records_t *items,
                          const char *const *columns, rmt_error_t *error);

// The columns of the view: those that were asked for; with VIEW_WIDE all that an item
// has, the usual ones first; else the usual ones. Caller frees the list with free, and
// not the names. NULL: USAGE for a column that no item has.
const char **view_columns(const view_t *self, const rmt_records_t *items,
                          const char *const *columns, rmt_error_t *error);
