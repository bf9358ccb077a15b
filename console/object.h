// object - records as JSON, in the forms of docs/spec/10-json.md. The door to jansson,
// beside records_file.c, which reads it. Callers own the texts (free); none ends with a
// newline.
#pragma once

#include "base/rmt_error.h"
#include "console/output.h"

// {"items": [...], "schema": ...} with the fields of columns; columns NULL: all.
char *object_list(const rmt_records_t *items, const char *const *columns);

// The record, and the list under its name. list_name and list may be NULL.
char *object_record(const rmt_record_t *record, const char *list_name,
                    const rmt_records_t *list);

// The record, and each list under its title.
char *object_sections(const rmt_record_t *record, const output_section_t *sections,
                      size_t count);

// The record in one line.
char *object_line(const rmt_record_t *record);

// {"schema", "error": {"code", "text", "exit"}} in one line.
char *object_error(const rmt_error_t *error);

// The fields of one object: texts, whole numbers, and truth values as "yes" or not at
// all. Caller owns. NULL: USAGE.
rmt_record_t *object_read(const char *text, size_t size, rmt_error_t *error);
