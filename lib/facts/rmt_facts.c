#include "facts/rmt_facts.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool
s_is_bare(unsigned char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"\\#", c);
}

static int
s_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

// Undo one escape at *at, which is behind the backslash. -1 for an unknown one.
static int
s_unescape(const char **at, char *out)
{
    const char *p = *at;
    if (*p == '"' || *p == '\\') {
        *out = *p;
        *at = p + 1;
        return 0;
    }
    if (*p != 'x' || s_hex(p[1]) == -1 || s_hex(p[2]) == -1)
        return -1;
    *out = (char) (s_hex(p[1]) * 16 + s_hex(p[2]));
    *at = p + 3;
    return 0;
}

// Read a value at *at; out holds the rest of the line. -1: bad quoting.
static int
s_value(const char **at, char *out, size_t *size_out)
{
    const char *p = *at;
    size_t size = 0;
    if (*p != '"') {
        while (s_is_bare((unsigned char) *p))
            out[size++] = *p++;
        if (size == 0)
            return -1;
    } else {
        for (p++; *p && *p != '"' && *p != '\n';) {
            if (*p != '\\') {
                out[size++] = *p++;
                continue;
            }
            p++;
            if (s_unescape(&p, &out[size++]) == -1)
                return -1;
        }
        if (*p++ != '"')
            return -1;
    }
    if (*p && *p != '\n' && *p != ' ')
        return -1;
    *at = p;
    *size_out = size;
    return 0;
}

// Parse one line into the record; *at is left at the line's end.
static int
s_line(const char **at, rmt_record_t *record, char *value, size_t number,
       rmt_error_t *error)
{
    const char *p = *at;
    while (*p && *p != '\n') {
        if (*p == ' ') {
            p++;
            continue;
        }
        char name[RMT_RECORD_NAME_MAX + 1];
        const size_t length = strcspn(p, "= \n");
        if (p[length] != '=' || length >= sizeof name)
            return rmt_fail(error, RMT_E_USAGE, "line %zu: expected name=value", number);
        memcpy(name, p, length);
        name[length] = '\0';
        if (!rmt_record_name_is_valid(name) || rmt_record_has(record, name))
            return rmt_fail(error, RMT_E_USAGE,
                            "line %zu: the name '%s' is bad or is repeated", number,
                            name);
        p += length + 1;
        size_t size;
        if (s_value(&p, value, &size) == -1)
            return rmt_fail(error, RMT_E_USAGE,
                            "line %zu: the value of '%s' is not quoted well", number,
                            name);
        rmt_record_put(record, name, value, size);
    }
    if (!rmt_record_has(record, "class"))
        return rmt_fail(error, RMT_E_USAGE,
                        "line %zu: the record has no class; begin it with class=NAME",
                        number);
    *at = p;
    return 0;
}

rmt_records_t *
rmt_facts_parse(const char *text, rmt_error_t *error)
{
    assert(text);
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_auto_str value = malloc(strlen(text) + 1);
    if (!value)
        abort();
    size_t number = 1;
    for (const char *p = text; *p; number++) {
        p += strspn(p, " ");
        if (*p == '#')
            p += strcspn(p, "\n");
        if (*p && *p != '\n' &&
            s_line(&p, rmt_records_add(records), value, number, error))
            return NULL;
        if (*p == '\n')
            p++;
    }
    return rmt_take(&records);
}

static void
s_print_value(FILE *out, const unsigned char *data, size_t size)
{
    bool bare = size > 0;
    for (size_t i = 0; i < size; i++)
        bare = bare && s_is_bare(data[i]);
    if (bare) {
        fwrite(data, 1, size, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = data[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c >= ' ' && c < 0x7f)
            fputc(c, out);
        else
            fprintf(out, "\\x%02x", c);
    }
    fputc('"', out);
}

char *
rmt_facts_print(const rmt_records_t *records)
{
    assert(records);
    char *text = NULL;
    size_t text_size = 0;
    FILE *out = open_memstream(&text, &text_size);
    if (!out)
        abort();
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        for (size_t j = 0; j < rmt_record_count(record); j++) {
            size_t size;
            const void *data = rmt_record_value_at(record, j, &size);
            fprintf(out, "%s%s=", j ? " " : "", rmt_record_name_at(record, j));
            s_print_value(out, data, size);
        }
        fputc('\n', out);
    }
    if (fclose(out))
        abort();
    return text;
}
