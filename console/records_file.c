// Lists of machines from JSON and CSV files (M1).
#include "console/csv_file.h"
#include "console/object.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT_SIZE_MAX ((size_t) 64 * 1024 * 1024)

static int
s_put_json(rmt_record_t *record, const char *name, const json_t *value,
           rmt_error_t *error)
{
    if (!rmt_record_name_is_valid(name))
        return rmt_fail(error, RMT_E_USAGE, "\"%s\" is not the name of a field", name);
    if (json_is_string(value))
        rmt_record_set(record, name, json_string_value(value));
    else if (json_is_integer(value))
        rmt_record_setf(record, name, "%lld", (long long) json_integer_value(value));
    else if (json_is_true(value))
        rmt_record_set(record, name, "yes");
    else if (!json_is_false(value) && !json_is_null(value))
        return rmt_fail(error, RMT_E_USAGE,
                        "field \"%s\" must be text, a whole number or a truth value",
                        name);
    return 0;
}

static int
s_put_object(rmt_record_t *record, json_t *object, rmt_error_t *error)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        return rmt_fail(error, RMT_E_USAGE,
                        "the value is not an object, such as {\"name\": \"n1\"}");
    json_object_foreach(object, name, value)
    {
        if (s_put_json(record, name, value, error) == -1)
            return -1;
    }
    return 0;
}

// Caller owns. NULL: USAGE.
static json_t *
s_load(const char *text, size_t size, rmt_error_t *error)
{
    json_error_t where;
    json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!document)
        rmt_fail(error, RMT_E_USAGE, "line %d: %s", where.line, where.text);
    return document;
}

rmt_record_t *
object_read(const char *text, size_t size, rmt_error_t *error)
{
    json_t *document = s_load(text, size, error);
    rmt_auto(rmt_record) record = rmt_record_new();
    const int rc = document ? s_put_object(record, document, error) : -1;
    json_decref(document);
    return rc == 0 ? rmt_take(&record) : NULL;
}

static rmt_records_t *
s_from_json(const char *text, size_t size, rmt_error_t *error)
{
    json_t *document = s_load(text, size, error);
    if (!document)
        return NULL;
    const json_t *array =
        json_is_object(document) ? json_object_get(document, "items") : document;
    rmt_auto(rmt_records) items = rmt_records_new();
    int rc = json_is_array(array)
                 ? 0
                 : rmt_fail(error, RMT_E_USAGE,
                            "the file is neither an array nor an object with \"items\"");
    for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
        rc = s_put_object(rmt_records_add(items), json_array_get(array, i), error);
        if (rc == -1)
            rmt_wrap(error, "item %zu", i + 1);
    }
    json_decref(document);
    return rc == 0 ? rmt_take(&items) : NULL;
}

// All of standard input. Caller owns. NULL: TOO_BIG, IO.
static char *
s_read_input(size_t *size_out, rmt_error_t *error)
{
    size_t used = 0, room = 0;
    rmt_auto_str text = NULL;
    do {
        if (used + 1 >= room) {
            room = room * 2 + 4096;
            text = realloc(text, room);
            assert(text);
        }
        used += fread(text + used, 1, room - used - 1, stdin);
    } while (!feof(stdin) && !ferror(stdin) && used <= IMPORT_SIZE_MAX);
    if (ferror(stdin) || used > IMPORT_SIZE_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG, "standard input cannot be read, or is too large");
        return NULL;
    }
    text[used] = '\0';
    *size_out = used;
    return rmt_take(&text);
}

// A list that ramet printed has fields that only ramet sets, and its own times.
static void
s_drop_live(rmt_records_t *items)
{
    static const char *const live[] = {
        "state",           "approved", "epoch",      "hardware",  "stuck",
        "present",         "job",      "phase",      "held",      "protected",
        "reason",          "created",  "image-name", "since",     "confirmed-at",
        "confirmed-epoch", "image",    "release",    "addresses", "failed-units",
        "warning",
    };
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        for (size_t f = 0; f < sizeof live / sizeof *live; f++)
            rmt_record_remove(rmt_records_at(items, i), live[f]);
    }
}

static rmt_records_t *
s_read(const char *path, const char *text, size_t size, const char *map,
       rmt_error_t *error)
{
    const char *dot = strrchr(path, '.');
    const char *begin = text + strspn(text, " \t\r\n");
    const bool is_input = strcmp(path, "-") == 0;
    const bool is_json =
        is_input ? *begin == '[' || *begin == '{' : dot && strcasecmp(dot, ".json") == 0;
    rmt_records_t *items = NULL;
    if (size >= 2 &&
        (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        rmt_fail(error, RMT_E_USAGE, "the file is UTF-16; save it as UTF-8");
    // What is behind it would be lost without a word.
    else if (memchr(text, '\0', size))
        rmt_fail(error, RMT_E_USAGE, "the file contains a NUL byte; write text");
    else if (is_json)
        items = s_from_json(text, size, error);
    else if (is_input ||
             (dot && (strcasecmp(dot, ".csv") == 0 || strcasecmp(dot, ".tsv") == 0)))
        items = csv_read(text, size, map, error);
    else
        rmt_fail(error, RMT_E_USAGE, "the file's name must end with .json, .csv or .tsv");
    return items;
}

rmt_records_t *
output_import(const char *path, const char *map, rmt_error_t *error)
{
    rmt_auto_ptr text = NULL;
    size_t size;
    if (strcmp(path, "-") == 0)
        text = s_read_input(&size, error);
    else
        (void) rmt_io_load(path, IMPORT_SIZE_MAX, &text, &size, error);
    if (!text)
        return NULL;
    rmt_records_t *items = s_read(path, text, size, map, error);
    if (items)
        s_drop_live(items);
    else
        rmt_wrap(error, "import %s", path);
    return items;
}
