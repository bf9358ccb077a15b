// Lists of machines from JSON and CSV files (M1).
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <jansson.h>
#include <string.h>

#define IMPORT_SIZE_MAX ((size_t) 64 * 1024 * 1024)

static int
s_put_json(rmt_record_t *record, const char *name, const json_t *value, size_t index,
           rmt_error_t *error)
{
    if (!rmt_record_name_is_valid(name))
        return rmt_fail(error, RMT_E_USAGE, "item %zu: \"%s\" is not the name of a field",
                        index + 1, name);
    if (json_is_string(value))
        rmt_record_set(record, name, json_string_value(value));
    else if (json_is_integer(value))
        rmt_record_setf(record, name, "%lld", (long long) json_integer_value(value));
    else if (json_is_true(value))
        rmt_record_set(record, name, "yes");
    else if (!json_is_false(value) && !json_is_null(value))
        return rmt_fail(
            error, RMT_E_USAGE,
            "item %zu: field \"%s\" must be text, a whole number or a truth value",
            index + 1, name);
    return 0;
}

static rmt_records_t *
s_from_json(const char *text, size_t size, rmt_error_t *error)
{
    json_error_t where;
    json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!document) {
        rmt_fail(error, RMT_E_USAGE, "line %d: %s", where.line, where.text);
        return NULL;
    }
    const json_t *array =
        json_is_object(document) ? json_object_get(document, "items") : document;
    rmt_auto(rmt_records) items = rmt_records_new();
    int rc = json_is_array(array)
                 ? 0
                 : rmt_fail(error, RMT_E_USAGE,
                            "the file is neither an array nor an object with \"items\"");
    for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
        json_t *object = json_array_get(array, i);
        rmt_record_t *record = rmt_records_add(items);
        const char *name;
        json_t *value;
        if (!json_is_object(object))
            rc = rmt_fail(error, RMT_E_USAGE, "item %zu is not an object", i + 1);
        json_object_foreach(object, name, value)
        {
            if (rc == 0)
                rc = s_put_json(record, name, value, i, error);
        }
    }
    json_decref(document);
    return rc == 0 ? rmt_take(&items) : NULL;
}

// One CSV value (RFC 4180) from *at into out; leaves *at behind its comma or at the
// line's end. 1 when another value follows, 0 when not, -1: a quoted one does not end, or
// something stands behind its end.
static int
s_csv_value(const char **at, char *out)
{
    const char *p = *at;
    const bool quoted = *p == '"';
    if (quoted)
        p++;
    while (*p) {
        if (quoted && p[0] == '"' && p[1] == '"')
            p++;
        else if (quoted ? *p == '"' : (*p == ',' || *p == '\n' || *p == '\r'))
            break;
        *out++ = *p++;
    }
    *out = '\0';
    if (quoted && (*p != '"' || !strchr(",\r\n", *++p)))
        return -1;
    const bool more = *p == ',';
    if (more)
        p++;
    *at = p;
    return more;
}

static const char *
s_next_line(const char *at)
{
    while (*at == '\r' || *at == '\n')
        at++;
    return at;
}

static int
s_csv_header(const char **at, char *value, rmt_records_t *names, rmt_error_t *error)
{
    int more = 1;
    while (more) {
        more = s_csv_value(at, value);
        if (more == -1 || !rmt_record_name_is_valid(value))
            return rmt_fail(error, RMT_E_USAGE,
                            "line 1: \"%s\" is not the name of a field", value);
        rmt_record_set(rmt_records_add(names), "name", value);
    }
    return 0;
}

static rmt_records_t *
s_from_csv(const char *text, size_t size, rmt_error_t *error)
{
    rmt_auto_str value = malloc(size + 1);
    rmt_auto(rmt_records) names = rmt_records_new();
    rmt_auto(rmt_records) items = rmt_records_new();
    const char *at = text;
    if (s_csv_header(&at, value, names, error) == -1)
        return NULL;
    for (at = s_next_line(at); *at; at = s_next_line(at)) {
        rmt_record_t *record = rmt_records_add(items);
        int more = 1;
        size_t column = 0;
        for (; more; column++) {
            more = s_csv_value(&at, value);
            if (more == -1) {
                rmt_fail(error, RMT_E_USAGE,
                         "row %zu, value %zu: the quotes are not closed, or text follows "
                         "them; write \"\" for a quote inside a value",
                         rmt_records_count(items), column + 1);
                return NULL;
            }
            if (column < rmt_records_count(names) && value[0])
                rmt_record_set(record,
                               rmt_record_text(rmt_records_at(names, column), "name", ""),
                               value);
        }
        if (column != rmt_records_count(names)) {
            rmt_fail(error, RMT_E_USAGE, "row %zu has %zu values, the header has %zu",
                     rmt_records_count(items), column, rmt_records_count(names));
            return NULL;
        }
    }
    return rmt_take(&items);
}

rmt_records_t *
output_import(const char *path, rmt_error_t *error)
{
    rmt_auto_ptr text = NULL;
    size_t size;
    if (rmt_io_load(path, IMPORT_SIZE_MAX, &text, &size, error) == -1)
        return NULL;
    const char *dot = strrchr(path, '.');
    rmt_records_t *items = NULL;
    // What is behind it would be lost without a word.
    if (memchr(text, '\0', size))
        rmt_fail(error, RMT_E_USAGE, "the file contains a NUL byte; write text");
    else if (dot && strcmp(dot, ".json") == 0)
        items = s_from_json(text, size, error);
    else if (dot && strcmp(dot, ".csv") == 0)
        items = s_from_csv(text, size, error);
    else
        rmt_fail(error, RMT_E_USAGE, "the file's name must end with .json or .csv");
    if (!items)
        rmt_wrap(error, "import %s", path);
    return items;
}
