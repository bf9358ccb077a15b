#include "console/object.h"
#include "console/field.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// Of lists within lists; what is deeper is foreign, and stays packed as text.
#define LISTS_MAX 4

static json_t *s_object(const rmt_record_t *record, const char *const *columns,
                        unsigned depth);

static json_t *
s_array(const rmt_records_t *items, const char *const *columns, unsigned depth)
{
    json_t *array = json_array();
    for (size_t i = 0; i < rmt_records_count(items); i++)
        json_array_append_new(array, s_object(rmt_records_at(items, i), columns, depth));
    return array;
}

// Bytes that are not UTF-8 become text with each odd byte as \xNN.
static json_t *
s_string(const char *data, size_t size)
{
    json_t *text = json_stringn(data, size);
    if (text)
        return text;
    rmt_auto_str safe = field_safe(data, size);
    return json_string(safe);
}

static bool
s_is_amount(field_kind_t kind)
{
    return kind == FIELD_NUMBER || kind == FIELD_BYTES || kind == FIELD_TIME;
}

static json_t *
s_value(const char *name, const char *data, size_t size, unsigned depth)
{
    const field_kind_t kind = field_kind(name);
    if (kind == FIELD_PACKED && depth < LISTS_MAX) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) items =
            rmt_codec_unpack_records(data, size, size + 1, &error);
        if (items)
            return s_array(items, NULL, depth + 1);
    }
    if (kind == FIELD_FLAG && (strcmp(data, "yes") == 0 || strcmp(data, "no") == 0))
        return json_boolean(*data == 'y');
    if (s_is_amount(kind) && size && size < 19 && strspn(data, "0123456789") == size)
        return json_integer(strtoll(data, NULL, 10));
    return s_string(data, size);
}

static bool
s_is_in(const char *name, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

// All fields, or those of columns.
static json_t *
s_object(const rmt_record_t *record, const char *const *columns, unsigned depth)
{
    json_t *object = json_object();
    for (size_t i = 0; i < rmt_record_count(record); i++) {
        size_t size;
        const char *name = rmt_record_name_at(record, i);
        const char *data = rmt_record_value_at(record, i, &size);
        const field_kind_t kind = field_kind(name);
        // A number or flag that is not known is left out; a text may be empty.
        const bool is_empty = !size && (s_is_amount(kind) || kind == FIELD_FLAG);
        if (!is_empty && (columns ? s_is_in(name, columns) : kind != FIELD_INNER))
            json_object_set_new(object, name, s_value(name, data, size, depth));
    }
    return object;
}

// Takes the object.
static char *
s_text(json_t *object, size_t flags)
{
    char *text = json_dumps(object, flags);
    assert(text);
    json_decref(object);
    return text;
}

static char *
s_document(json_t *object)
{
    json_object_set_new(object, "schema", json_string("ramet/v1"));
    return s_text(object, JSON_INDENT(2));
}

char *
object_list(const rmt_records_t *items, const char *const *columns)
{
    json_t *object = json_object();
    json_object_set_new(object, "items", s_array(items, columns, 0));
    return s_document(object);
}

char *
object_record(const rmt_record_t *record, const char *list_name,
              const rmt_records_t *list)
{
    json_t *object = s_object(record, NULL, 0);
    if (list_name && list && rmt_records_count(list))
        json_object_set_new(object, list_name, s_array(list, NULL, 0));
    else if (list_name && strcmp(list_name, "items") != 0)
        json_object_set_new(object, list_name, json_array());
    return s_document(object);
}

char *
object_sections(const rmt_record_t *record, const output_section_t *sections,
                size_t count)
{
    json_t *object = s_object(record, NULL, 0);
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, sections[i].title,
                            s_array(sections[i].items, NULL, 0));
    return s_document(object);
}

char *
object_line(const rmt_record_t *record)
{
    json_t *object = s_object(record, NULL, 0);
    json_object_set_new(object, "schema", json_string("ramet/v1"));
    return s_text(object, JSON_COMPACT);
}

char *
object_error(const rmt_error_t *error)
{
    return s_text(json_pack("{s:s, s:{s:s, s:o, s:i}}", "schema", "ramet/v1", "error",
                            "code", rmt_code_name(error->code), "text",
                            s_string(error->text, strlen(error->text)), "exit",
                            rmt_code_exit(error->code)),
                  JSON_COMPACT);
}
