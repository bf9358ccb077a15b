// output - data on standard output, as tables for people or in the form of a view for
// programs (object.h).
#pragma once

#include <stdio.h>
#include "console/view.h"

// The items that the view means, in its form; in JSON {"schema":"ramet/v1","items":[...]}
// with all fields. 0, or -1: USAGE for a field that no item has.
int output_list(const rmt_records_t *items, const char *const *columns,
                const view_t *view, rmt_error_t *error);

// "name value" lines, or one object. list_name/list: a nested list, shown as above; may
// be NULL.
int output_record(const rmt_record_t *record, const char *list_name,
                  const rmt_records_t *list, const char *const *columns,
                  const view_t *view, rmt_error_t *error);

// A record and several named lists: "name value" lines, then a table for each list that
// is not empty; or one object with an array under each title.
typedef struct {
    const char *title;
    rmt_records_t *items;
    const char *const *columns;
} output_section_t;
void output_sections(const rmt_record_t *record, const output_section_t *sections,
                     size_t count, const view_t *view);

// One event or other object a line, for programs that read a stream.
void output_line(const rmt_record_t *record);

// An error as an object in one line, on standard error.
void output_error(const rmt_error_t *error);

// Records from a JSON array of flat objects (or an object with "items"), or CSV with a
// header line (csv_file.h, which has map); by the file's name, or, of standard input (-),
// by its first letter. Fields that only ramet sets are left out, so that a list that it
// printed can be read. Caller owns. NULL: USAGE with line and reason.
rmt_records_t *output_import(const char *path, const char *map, rmt_error_t *error);
