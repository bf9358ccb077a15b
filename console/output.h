// output - data on standard output, as tables for people or JSON for programs.
// The door to jansson and libsmartcols.
#pragma once

#include <stdio.h>
#include "base/rmt_record.h"
#include "base/rmt_error.h"

// A table of the named fields, or {"schema":"ramet/v1","items":[...]} with all fields.
void output_list(const rmt_records_t *items, const char *const *columns, bool json);

// "name: value" lines, or one object. list_name/list: a nested list, may be NULL.
void output_record(const rmt_record_t *record, const char *list_name,
                   const rmt_records_t *list, const char *const *columns, bool json);

// A record and several named lists: "name: value" lines, then a table for each list that
// is not empty; or one object with an array under each title.
typedef struct {
    const char *title;
    rmt_records_t *items;
    const char *const *columns;
} output_section_t;
void output_sections(const rmt_record_t *record, const output_section_t *sections,
                     size_t count, bool json);

// Records from a JSON array of flat objects (or an object with "items"), or CSV with a
// header line; chosen by the file's name. Caller owns. NULL: USAGE with line and reason.
rmt_records_t *output_import(const char *path, rmt_error_t *error);

// A person's form of a byte count, "1.4 GiB". Returns out.
char *output_bytes(unsigned long long bytes, char out[16]);
