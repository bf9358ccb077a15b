#include "console/condition.h"
#include "console/moment.h"
#include "console/nearest.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_DIGITS 13 // Of milliseconds since 1970, for the next 200 years

// ---- Words

// "FIELD in (" and "FIELD not in (" become "FIELD=(" and "FIELD!=(", and blanks beside
// commas and brackets go. Caller owns.
static char *
s_tidy(const char *text)
{
    rmt_auto_str out = malloc(strlen(text) + 1);
    size_t used = 0;
    for (const char *at = text; *at; at++) {
        if (strncmp(at, " not in (", 9) == 0) {
            used += (size_t) sprintf(out + used, "!=(");
            at += 8;
        } else if (strncmp(at, " in (", 5) == 0) {
            used += (size_t) sprintf(out + used, "=(");
            at += 4;
        } else if (*at == ' ' && ((used && strchr(",(", out[used - 1])) || at[1] == ',' ||
                                  at[1] == ')')) {
            continue;
        } else {
            out[used++] = *at;
        }
    }
    out[used] = '\0';
    return rmt_take(&out);
}

// A blank between a date and a time of day ends nothing.
static bool
s_is_in_time(const char *text, const char *blank)
{
    return blank > text && isdigit((unsigned char) blank[-1]) &&
           isdigit((unsigned char) blank[1]) && isdigit((unsigned char) blank[2]) &&
           blank[3] == ':';
}

// The end of the word at `at`: a comma, a blank or a line's end outside of brackets.
static const char *
s_word_end(const char *text, const char *at)
{
    bool is_open = false;
    for (; *at; at++) {
        if (*at == '(' || *at == ')')
            is_open = *at == '(';
        if (!is_open &&
            (*at == ',' || *at == '\n' || (*at == ' ' && !s_is_in_time(text, at))))
            break;
    }
    return at;
}

// The operator of a condition, and its size; 0 in a name.
static size_t
s_operator(const char *word, const char **at_out)
{
    const char *at = strpbrk(word, "=!<>");
    *at_out = at;
    if (!at)
        return 0;
    return strchr("!<>", *at) && at[1] == '=' ? 2 : 1;
}

// One range prefix[1-40]suffix, or none.
static bool
s_is_range_sound(const char *open)
{
    const size_t digits = strspn(open + 1, "0123456789");
    const char *dash = open + 1 + digits;
    const size_t more = *dash == '-' ? strspn(dash + 1, "0123456789") : 0;
    return digits && digits <= 9 && more && more <= 9 && dash[1 + more] == ']' &&
           strtoul(open + 1, NULL, 10) <= strtoul(dash + 1, NULL, 10);
}

// What can be no record's value makes FIELD!=VALUE mean all of them; so does no value at
// all.
static int
s_check_value(const char *text, const char *value, rmt_error_t *error)
{
    if (!value[strspn(value, "(,)")])
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" has no value; write one such as rack=r12", text);
    for (const char *at = value; *at; at++) {
        if (iscntrl((unsigned char) *at))
            return rmt_fail(error, RMT_E_USAGE,
                            "\"%s\" has a control character in its value; write it in "
                            "one line",
                            text);
        if (*at == '[' && !s_is_range_sound(at))
            return rmt_fail(error, RMT_E_USAGE,
                            "\"%s\" has no sound range; write one such as "
                            "position=[1-40]",
                            text);
    }
    return 0;
}

static int
s_add_condition(rmt_record_t *word, const char *text, const char *operator, size_t size,
                rmt_error_t *error)
{
    const char *value = operator+ size;
    const size_t value_size = strlen(value);
    const bool is_list = *value == '(';
    rmt_auto_str field = rmt_text("%.*s", (int) (operator- text), text);
    if (!rmt_record_name_is_valid(field) || strncmp(operator, "!", size) == 0 ||
        (is_list && value[value_size - 1] != ')'))
        return rmt_fail(
            error, RMT_E_USAGE,
            "\"%s\" is not a condition; write one such as rack=r12, rack!=r12 "
            "or rack=(r1,r2)",
            text);
    if (s_check_value(text, value, error) == -1)
        return -1;
    rmt_record_set(word, "field", field);
    rmt_record_setf(word, "operator", "%.*s", (int) size, operator);
    rmt_record_setf(word, "value", "%.*s", (int) (value_size - (is_list ? 2 : 0)),
                    value + is_list);
    return 0;
}

// A time becomes its milliseconds once, so that "2h ago" is the same for all records.
static void
s_add_time(rmt_record_t *word, bool utc)
{
    int64_t wall_ms;
    rmt_error_t ignored = {0};
    const char *value = rmt_record_text(word, "value", "");
    const bool is_number = value[strspn(value, "0123456789.")] == '\0';
    if (!is_number && moment_parse(value, utc, &wall_ms, &ignored) == 0)
        rmt_record_set_u64(word, "moment", (uint64_t) wall_ms);
}

static int
s_add(rmt_records_t *words, unsigned part, const char *text, bool utc, rmt_error_t *error)
{
    rmt_record_t *word = rmt_records_add(words);
    rmt_record_set_u64(word, "part", part);
    rmt_record_set(word, "word", text);
    const char *operator;
    const size_t size = s_operator(text, &operator);
    if (!size)
        rmt_record_set(word, "name", text);
    else if (s_add_condition(word, text, operator, size, error) == -1)
        return -1;
    else
        s_add_time(word, utc);
    return 0;
}

rmt_records_t *
condition_parse(const char *text, bool utc, rmt_error_t *error)
{
    rmt_auto_str tidy = s_tidy(text);
    rmt_auto(rmt_records) words = rmt_records_new();
    unsigned part = 0;
    for (const char *at = tidy; *at;) {
        const char *end = s_word_end(tidy, at);
        rmt_auto_str word = rmt_text("%.*s", (int) (end - at), at);
        if (*word && s_add(words, part, word, utc, error) == -1)
            return NULL;
        part += *end == ' ' || *end == '\n';
        at = *end ? end + 1 : end;
    }
    return rmt_take(&words);
}

// ---- Conditions

// prefix[1-40]suffix; the number has as many digits as the first one, if that begins
// with a zero.
static bool
s_is_in_range(const char *pattern, const char *open, const char *text)
{
    const size_t before = (size_t) (open - pattern);
    const char *close = strchr(open, ']');
    unsigned long first, last;
    if (!close || sscanf(open, "[%lu-%lu]", &first, &last) != 2 ||
        strncmp(pattern, text, before) != 0)
        return false;
    const char *digits = text + before;
    const size_t count = strspn(digits, "0123456789");
    if (!count || count > 9 || strcmp(digits + count, close + 1) != 0)
        return false;
    if (open[1] == '0' && count != strspn(open + 1, "0123456789"))
        return false;
    const unsigned long number = strtoul(digits, NULL, 10);
    return number >= first && number <= last;
}

static bool
s_is_value(const char *pattern, const char *text)
{
    const char *open = strchr(pattern, '[');
    return strcmp(pattern, text) == 0 || (open && s_is_in_range(pattern, open, text));
}

static bool
s_is_one_of(const char *values, const char *text)
{
    rmt_auto_str copy = strdup(values);
    char *rest = NULL;
    for (char *value = strtok_r(copy, ",", &rest); value;
         value = strtok_r(NULL, ",", &rest)) {
        if (s_is_value(value, text))
            return true;
    }
    return false;
}

// Of a field that is a list, such as tags, one word has to be it.
static bool
s_has_one_of(const char *values, const char *text)
{
    if (!strchr(text, ','))
        return s_is_one_of(values, text);
    rmt_auto_str copy = strdup(text);
    char *rest = NULL;
    for (char *word = strtok_r(copy, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        if (s_is_one_of(values, word))
            return true;
    }
    return false;
}

// "10", "1.5", "10GiB", "10 GiB", "10K" as a number.
static bool
s_number(const char *text, double *out)
{
    static const char units[] = "KMGTP";
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text)
        return false;
    end += *end == ' ';
    const char *unit = *end ? strchr(units, toupper((unsigned char) *end)) : NULL;
    for (const char *at = units; unit && at <= unit; at++)
        *out *= 1024;
    end += unit ? 1 : 0;
    if (unit && *end == 'i')
        end++;
    return !*end || strcmp(end, "B") == 0;
}

static bool
s_compare(const rmt_record_t *word, const char *operator, const char * text)
{
    double had, wanted;
    const bool is_time = rmt_record_has(word, "moment") && strlen(text) == TIME_DIGITS;
    const char *value = rmt_record_text(word, is_time ? "moment" : "value", "");
    if (!s_number(text, &had) || !s_number(value, &wanted))
        return false;
    const bool is_equal = operator[1] == '=' && !(had < wanted) && !(had > wanted);
    return is_equal || (*operator== '<' ? had < wanted : had> wanted);
}

bool
condition_is_met(const rmt_record_t *word, const rmt_record_t *record)
{
    const char *field = rmt_record_text(word, "field", NULL);
    if (!field)
        return false;
    const char *operator= rmt_record_text(word, "operator", "=");
    const char *text = rmt_record_text(record, field, "");
    if (*operator== '<' || * operator== '>')
        return s_compare(word, operator, text);
    return s_has_one_of(rmt_record_text(word, "value", ""), text) == (*operator== '=');
}

// The words of one part; *index_p goes on behind them.
static bool
s_part_means(const rmt_records_t *words, size_t *index_p, const rmt_record_t *record)
{
    const char *part = rmt_record_text(rmt_records_at(words, *index_p), "part", "");
    bool has_names = false, is_named = false, is_met = true;
    for (; *index_p < rmt_records_count(words); (*index_p)++) {
        const rmt_record_t *word = rmt_records_at(words, *index_p);
        if (!rmt_record_is(word, "part", part))
            break;
        const char *name = rmt_record_text(word, "name", NULL);
        has_names |= name != NULL;
        is_named |= name && s_is_value(name, rmt_record_text(record, "name", ""));
        is_met = is_met && (name || condition_is_met(word, record));
    }
    return is_met && (is_named || !has_names);
}

bool
condition_means(const rmt_records_t *words, const rmt_record_t *record)
{
    for (size_t i = 0; i < rmt_records_count(words);) {
        if (s_part_means(words, &i, record))
            return true;
    }
    return false;
}

int
condition_need_field(const rmt_records_t *items, const char *const *columns,
                     const char *name, rmt_error_t *error)
{
    nearest_t nearest = {.wanted = name};
    if (!rmt_records_count(items))
        return 0;
    for (size_t c = 0; columns && columns[c]; c++) {
        if (strcmp(columns[c], name) == 0)
            return 0;
        nearest_try(&nearest, columns[c]);
    }
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        const rmt_record_t *item = rmt_records_at(items, i);
        if (rmt_record_has(item, name))
            return 0;
        for (size_t f = 0; f < rmt_record_count(item); f++)
            nearest_try(&nearest, rmt_record_name_at(item, f));
    }
    if (nearest.best)
        return rmt_fail(error, RMT_E_USAGE,
                        "no item has the field \"%s\"; did you mean %s", name,
                        nearest.best);
    return rmt_fail(error, RMT_E_USAGE,
                    "no item has the field \"%s\"; -o wide shows all fields", name);
}
