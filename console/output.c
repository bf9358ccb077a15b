#include "console/output.h"
#include "console/object.h"
#include "console/field.h"
#include "console/table.h"
#include "base/rmt_auto.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What people read first, in this order; the rest follows by name.
static const char *const s_first[] = {
    "name",   "kind",   "state",   "error",  "stuck",   "reason",   "image-name", "image",
    "source", "engine", "engines", "target", "targets", "hostname", "address",    "stage",
    "phase",  "done",   "total",   "text",   "created", "ended",
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool
s_is_in(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

// ---- CSV and names

// RFC 4180: quotes around what has a comma, a quote or a line's end. A program gets the
// text as it is, a terminal as it may have it.
static void
s_print_csv_value(const char *value, bool is_terminal)
{
    rmt_auto_str safe = is_terminal ? field_safe(value, strlen(value)) : NULL;
    const char *text = safe ? safe : value;
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void
s_print_csv(const rmt_records_t *items, const char *const *columns)
{
    const bool is_terminal = isatty(STDOUT_FILENO);
    for (size_t c = 0; columns[c]; c++)
        printf("%s%s", c ? "," : "", columns[c]);
    fputs("\r\n", stdout);
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        for (size_t c = 0; columns[c]; c++) {
            if (c)
                putchar(',');
            s_print_csv_value(rmt_record_text(rmt_records_at(items, i), columns[c], ""),
                              is_terminal);
        }
        fputs("\r\n", stdout);
    }
}

// What the other verbs take: the name, or what stands first.
static void
s_print_names(const rmt_records_t *items, const char *const *columns)
{
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        const rmt_record_t *item = rmt_records_at(items, i);
        const char *name = rmt_record_text(item, columns[0], "-");
        puts(rmt_record_text(item, "name", name));
    }
}

// ---- Lists and records

int
output_list(const rmt_records_t *items, const char *const *columns, const view_t *view,
            rmt_error_t *error)
{
    rmt_auto(rmt_records) found = view_items(view, items, columns, error);
    if (!found)
        return -1;
    rmt_auto_ptr memory = view_columns(view, items, columns, error);
    const char *const *shown = memory;
    if (!shown)
        return -1;
    if (view->format == VIEW_JSON) {
        rmt_auto_str text = object_list(found, view->columns ? shown : NULL);
        puts(text);
    } else if (view->format == VIEW_CSV) {
        s_print_csv(found, shown);
    } else if (view->format == VIEW_NAME) {
        s_print_names(found, columns);
    } else {
        table_print(found, shown, view);
    }
    return 0;
}

static void
s_print_field(const rmt_record_t *record, const char *name, const view_t *view)
{
    rmt_auto_str text = field_text(record, name, FIELD_DATE_AND_AGE, view->utc);
    if (text && !field_is_said_better(record, name))
        printf("%-18s %s\n", name, text);
}

static int
s_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

// The log of a failure has lines of its own behind the fields.
static bool
s_is_shown(const char *name)
{
    return field_kind(name) != FIELD_INNER && strcmp(name, "log") != 0;
}

static void
s_print_fields(const rmt_record_t *record, const view_t *view)
{
    for (size_t i = 0; i < COUNT(s_first); i++)
        s_print_field(record, s_first[i], view);
    const size_t count = rmt_record_count(record);
    rmt_auto_ptr names = calloc(count + 1, sizeof(char *));
    const char **rest = names;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = rmt_record_name_at(record, i);
        if (!s_is_in(name, s_first, COUNT(s_first)) && s_is_shown(name))
            rest[used++] = name;
    }
    qsort(rest, used, sizeof *rest, s_compare_names);
    for (size_t i = 0; i < used; i++)
        s_print_field(record, rest[i], view);
}

void
output_line(const rmt_record_t *record)
{
    rmt_auto_str text = object_line(record);
    puts(text);
}

void
output_error(const rmt_error_t *error)
{
    rmt_auto_str text = object_error(error);
    fprintf(stderr, "%s\n", text);
}

int
output_record(const rmt_record_t *record, const char *list_name,
              const rmt_records_t *list, const char *const *columns, const view_t *view,
              rmt_error_t *error)
{
    rmt_auto(rmt_records) found = list ? view_items(view, list, columns, error) : NULL;
    if (list && !found)
        return -1;
    if (view->format == VIEW_JSON) {
        rmt_auto_str text = object_record(record, list_name, found);
        puts(text);
        return 0;
    }
    const bool has_list = found && rmt_records_count(found) && columns;
    if (view->format == VIEW_NAME && !has_list)
        puts(rmt_record_text(record, "name", rmt_record_text(record, "job", "-")));
    if (view->format == VIEW_TABLE || view->format == VIEW_WIDE)
        s_print_fields(record, view);
    if (!has_list)
        return 0;
    if (view->format == VIEW_TABLE || view->format == VIEW_WIDE)
        putchar('\n');
    return output_list(list, columns, view, error);
}

void
output_sections(const rmt_record_t *record, const output_section_t *sections,
                size_t count, const view_t *view)
{
    if (view->format == VIEW_JSON) {
        rmt_auto_str text = object_sections(record, sections, count);
        puts(text);
        return;
    }
    s_print_fields(record, view);
    for (size_t i = 0; i < count; i++) {
        if (rmt_records_count(sections[i].items) == 0)
            continue;
        printf("\n%s\n", sections[i].title);
        table_print(sections[i].items, sections[i].columns, view);
    }
}
