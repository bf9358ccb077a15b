#include "console/csv_file.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BOM "\xef\xbb\xbf"

typedef struct {
    const char *at;
    char *value;         // The last value that was read
    size_t line, column; // Of that value, from 1
    char separator;
} reader_t;

// The separator that the first line has most of, outside of quotes.
static char
s_separator(const char *text)
{
    static const char separators[] = ",;\t";
    size_t best = 0, counts[3] = {0};
    bool is_quoted = false;
    for (; *text && (is_quoted || !strchr("\r\n", *text)); text++) {
        is_quoted ^= *text == '"';
        const char *found = is_quoted ? NULL : strchr(separators, *text);
        if (found)
            counts[found - separators]++;
    }
    for (size_t i = 1; i < 3; i++)
        best = counts[i] > counts[best] ? i : best;
    return separators[best];
}

static bool
s_ends_value(const reader_t *self, char letter)
{
    return !letter || letter == self->separator || letter == '\r' || letter == '\n';
}

static int
s_refuse_quotes(const reader_t *self, rmt_error_t *error)
{
    return rmt_fail(
        error, RMT_E_USAGE,
        "line %zu, column %zu: the quotes of \"%.40s\" are not closed, or text "
        "follows them; write \"\" for a quote inside a value",
        self->line, self->column, self->value);
}

// Read one value and the separator behind it. 1 when another one follows in the line, 0
// when not, -1: USAGE.
static int
s_next_value(reader_t *self, rmt_error_t *error)
{
    char *out = self->value;
    size_t lines = 0;
    const bool is_quoted = *self->at == '"';
    self->column++;
    self->at += is_quoted;
    for (; *self->at; self->at++) {
        if (is_quoted && self->at[0] == '"' && self->at[1] == '"')
            self->at++;
        else if (is_quoted ? *self->at == '"' : s_ends_value(self, *self->at))
            break;
        lines += *self->at == '\n';
        *out++ = *self->at;
    }
    *out = '\0';
    if (is_quoted && (*self->at != '"' || !s_ends_value(self, *++self->at)))
        return s_refuse_quotes(self, error);
    self->line += lines;
    if (*self->at != self->separator)
        return 0;
    self->at++;
    return 1;
}

// To the next line that is not empty.
static void
s_next_line(reader_t *self)
{
    for (; *self->at == '\r' || *self->at == '\n'; self->at++)
        self->line += *self->at == '\n' || self->at[1] != '\n';
    self->column = 0;
}

// The field that the map has for a heading; "" to leave it out. NULL: it has none.
static char *
s_mapped(const char *map, const char *heading)
{
    rmt_auto_str words = strdup(map ? map : "");
    char *rest = NULL;
    for (char *word = strtok_r(words, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(word, '=');
        if (equals && (size_t) (equals - word) == strlen(heading) &&
            strncasecmp(word, heading, strlen(heading)) == 0)
            return strdup(equals + 1);
    }
    return NULL;
}

// The heading without blanks at its ends, as the name of a field.
static char *
s_field(const char *map, char *heading)
{
    heading += strspn(heading, " ");
    for (size_t size = strlen(heading); size && heading[size - 1] == ' ';)
        heading[--size] = '\0';
    char *field = s_mapped(map, heading);
    if (field)
        return field;
    field = strdup(heading);
    for (char *at = field; *at; at++)
        *at = *at == ' ' ? '-' : (char) tolower((unsigned char) *at);
    return field;
}

static int
s_read_header(reader_t *self, const char *map, rmt_records_t *fields, rmt_error_t *error)
{
    int more = 1;
    while (more) {
        more = s_next_value(self, error);
        if (more == -1)
            return -1;
        rmt_auto_str heading = strdup(self->value);
        rmt_auto_str field = s_field(map, self->value);
        if (*field && !rmt_record_name_is_valid(field))
            return rmt_fail(
                error, RMT_E_USAGE,
                "line %zu, column %zu: \"%s\" is not the name of a field; say "
                "which one it is with --map '%s=FIELD', or leave it out with "
                "--map '%s='",
                self->line, self->column, heading, heading, heading);
        if (*field && rmt_records_find(fields, "field", field))
            return rmt_fail(error, RMT_E_USAGE,
                            "line %zu, column %zu: the field %s is there twice",
                            self->line, self->column, field);
        rmt_record_set(rmt_records_add(fields), "field", field);
    }
    return 0;
}

static int
s_read_row(reader_t *self, const rmt_records_t *fields, rmt_record_t *record,
           rmt_error_t *error)
{
    const size_t count = rmt_records_count(fields), line = self->line;
    int more = 1;
    while (more) {
        more = s_next_value(self, error);
        if (more == -1)
            return -1;
        const char *field =
            self->column <= count
                ? rmt_record_text(rmt_records_at(fields, self->column - 1), "field", "")
                : "";
        if (*field && *self->value)
            rmt_record_set(record, field, self->value);
    }
    if (self->column != count)
        return rmt_fail(error, RMT_E_USAGE, "line %zu has %zu values, the header has %zu",
                        line, self->column, count);
    return 0;
}

rmt_records_t *
csv_read(const char *text, size_t size, const char *map, rmt_error_t *error)
{
    rmt_auto_str value = malloc(size + 1);
    rmt_auto(rmt_records) fields = rmt_records_new();
    rmt_auto(rmt_records) items = rmt_records_new();
    assert(value);
    const size_t mark = strncmp(text, BOM, strlen(BOM)) == 0 ? strlen(BOM) : 0;
    reader_t self = {.at = text + mark, .value = value, .line = 1};
    self.separator = s_separator(self.at);
    if (s_read_header(&self, map, fields, error) == -1)
        return NULL;
    for (s_next_line(&self); *self.at; s_next_line(&self))
        if (s_read_row(&self, fields, rmt_records_add(items), error) == -1)
            return NULL;
    return rmt_take(&items);
}
