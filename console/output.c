#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "wire/rmt_codec.h"

#include <ctype.h>
#include <jansson.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

// Fields that are numbers in JSON, and those that hold packed records.
static const char *const s_numbers[] = {
    "files",         "bytes",         "done",
    "total",         "chunks",        "had",
    "fetched",       "created",       "epoch",
    "era",           "attempt",       "size",
    "uses",          "peers",         "slots",
    "queued",        "since",         "started",
    "ended",         "fits-count",    "available-count",
    "bytes-fetched", "sent",          "count",
    "last-seen",     "damaged",       "missing",
    "orphans",       "images",        "packs",
    "quarantined",   "rescued",       "resumed",
    "live",          "marked",        "revived",
    "removed",       "bytes-removed", "images-removed",
    "left-behind",   "differences",   "by-intent",
    "found",         "added",         "changed",
    "wrong",         "notes",         "stuck-s",
};
static const char *const s_packed[] = {"hardware", "layout", "kernel",
                                       "verdicts", "choice", "volumes"};

// What people read first, in this order; the rest follows by name.
static const char *const s_first[] = {
    "name",   "kind",   "state",   "error",  "stuck",   "reason",   "image-name", "image",
    "source", "engine", "engines", "target", "targets", "hostname", "address",    "stage",
    "phase",  "done",   "total",   "text",   "created", "ended",
};
// Milliseconds since 1970.
static const char *const s_times[] = {"created",      "ended",     "since",
                                      "confirmed-at", "last-seen", "expires"};
// Counters by which the broker keeps its books.
static const char *const s_inner[] = {
    "rev",           "go",       "began",       "epoch-at", "settled",
    "failed-before", "waiting",  "t-waiting",   "t-locked", "t-running",
    "t-done",        "t-failed", "t-cancelled", "log",      "log-at"};
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

static json_t *s_object(const rmt_record_t *record);

static json_t *
s_array(const rmt_records_t *items)
{
    json_t *array = json_array();
    for (size_t i = 0; i < rmt_records_count(items); i++)
        json_array_append_new(array, s_object(rmt_records_at(items, i)));
    return array;
}

// Bytes that are not UTF-8 become text with each odd byte as \xNN.
static json_t *
s_string(const char *data, size_t size)
{
    json_t *text = json_stringn(data, size);
    if (text)
        return text;
    char *escaped = malloc(size * 4 + 1);
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char) data[i];
        if (byte >= 0x20 && byte < 0x7f)
            escaped[used++] = (char) byte;
        else
            used += (size_t) sprintf(escaped + used, "\\x%02x", byte);
    }
    text = json_stringn(escaped, used);
    free(escaped);
    return text;
}

static json_t *
s_value(const char *name, const char *data, size_t size)
{
    if (s_is_in(name, s_packed, COUNT(s_packed))) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) items =
            rmt_codec_unpack_records(data, size, size + 1, &error);
        if (items)
            return s_array(items);
    }
    if (s_is_in(name, s_numbers, COUNT(s_numbers)) && size &&
        strspn(data, "0123456789") == size)
        return json_integer(strtoll(data, NULL, 10));
    return s_string(data, size);
}

static json_t *
s_object(const rmt_record_t *record)
{
    json_t *object = json_object();
    for (size_t i = 0; i < rmt_record_count(record); i++) {
        size_t size;
        const char *name = rmt_record_name_at(record, i);
        const char *data = rmt_record_value_at(record, i, &size);
        json_object_set_new(object, name, s_value(name, data, size));
    }
    return object;
}

static void
s_print_json(json_t *object)
{
    json_object_set_new(object, "schema", json_string("ramet/v1"));
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

// What a table shows for a field: times and packed lists in a person's form.
static char *
s_cell(const rmt_record_t *record, const char *name)
{
    size_t size = 0;
    const char *data = rmt_record_get(record, name, &size);
    if (!data)
        return strdup("-");
    if (s_is_in(name, s_packed, COUNT(s_packed)))
        return strdup("(see --json)");
    char small[16];
    if (strcmp(name, "bytes") == 0)
        return strdup(output_bytes(rmt_record_u64(record, name, 0), small));
    char clock[RMT_CLOCK_TEXT_SIZE];
    if (s_is_in(name, s_times, COUNT(s_times)) && size == 13)
        return strdup(rmt_clock_text(strtoll(data, NULL, 10), clock));
    char *safe = malloc(size * 4 + 1);
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char) data[i];
        if (byte == '\n')
            safe[used++] = ' ';
        else if (byte >= 0x20 && byte != 0x7f)
            safe[used++] = (char) byte;
        else
            used += (size_t) sprintf(safe + used, "\\x%02x", byte);
    }
    safe[used] = '\0';
    return safe;
}

static void
s_print_table(const rmt_records_t *items, const char *const *columns)
{
    struct libscols_table *table = scols_new_table();
    for (size_t c = 0; columns[c]; c++) {
        char heading[64];
        snprintf(heading, sizeof heading, "%s", columns[c]);
        for (char *at = heading; *at; at++)
            *at = (char) toupper((unsigned char) *at);
        scols_table_new_column(table, heading, 0, columns[c + 1] ? 0 : SCOLS_FL_WRAP);
    }
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        for (size_t c = 0; columns[c]; c++)
            scols_line_refer_data(line, c, s_cell(rmt_records_at(items, i), columns[c]));
    }
    scols_print_table(table);
    scols_unref_table(table);
}

void
output_list(const rmt_records_t *items, const char *const *columns, bool json)
{
    if (json) {
        json_t *object = json_object();
        json_object_set_new(object, "items", s_array(items));
        s_print_json(object);
    } else {
        s_print_table(items, columns);
    }
}

static void
s_print_field(const rmt_record_t *record, const char *name)
{
    rmt_auto_str cell = s_cell(record, name);
    printf("%-18s %s\n", name, cell);
}

static int
s_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
s_print_fields(const rmt_record_t *record)
{
    for (size_t i = 0; i < COUNT(s_first); i++) {
        if (rmt_record_has(record, s_first[i]))
            s_print_field(record, s_first[i]);
    }
    const size_t count = rmt_record_count(record);
    rmt_auto_ptr names = calloc(count + 1, sizeof(char *));
    const char **rest = names;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = rmt_record_name_at(record, i);
        if (!s_is_in(name, s_first, COUNT(s_first)) &&
            !s_is_in(name, s_inner, COUNT(s_inner)))
            rest[used++] = name;
    }
    qsort(rest, used, sizeof *rest, s_compare_names);
    for (size_t i = 0; i < used; i++)
        s_print_field(record, rest[i]);
}

void
output_record(const rmt_record_t *record, const char *list_name,
              const rmt_records_t *list, const char *const *columns, bool json)
{
    if (json) {
        json_t *object = s_object(record);
        if (list_name && list && rmt_records_count(list))
            json_object_set_new(object, list_name, s_array(list));
        else if (list_name && strcmp(list_name, "items") != 0)
            json_object_set_new(object, list_name, json_array());
        s_print_json(object);
        return;
    }
    s_print_fields(record);
    if (list && rmt_records_count(list) && columns) {
        putchar('\n');
        s_print_table(list, columns);
    }
}

void
output_sections(const rmt_record_t *record, const output_section_t *sections,
                size_t count, bool json)
{
    if (json) {
        json_t *object = s_object(record);
        for (size_t i = 0; i < count; i++)
            json_object_set_new(object, sections[i].title, s_array(sections[i].items));
        s_print_json(object);
        return;
    }
    output_record(record, NULL, NULL, NULL, false);
    for (size_t i = 0; i < count; i++) {
        if (rmt_records_count(sections[i].items) == 0)
            continue;
        printf("\n%s\n", sections[i].title);
        s_print_table(sections[i].items, sections[i].columns);
    }
}

char *
output_bytes(unsigned long long bytes, char out[16])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double amount = (double) bytes;
    size_t unit = 0;
    while (amount >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        amount /= 1024;
        unit++;
    }
    snprintf(out, 16, unit ? "%.1f %s" : "%.0f %s", amount, units[unit]);
    return out;
}
