#include "console/fold.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SIZE 40
#define MANY 4 // Equal items that are folded

static int
s_compare(const void *a, const void *b)
{
    return strverscmp(*(const char *const *) a, *(const char *const *) b);
}

// Where the last number of a name begins; its end when it has none.
static size_t
s_number_at(const char *name)
{
    size_t end = strlen(name);
    while (end && !isdigit((unsigned char) name[end - 1]))
        end--;
    while (end && isdigit((unsigned char) name[end - 1]))
        end--;
    return isdigit((unsigned char) name[end]) ? end : strlen(name);
}

static bool
s_follows(const char *name, const char *next)
{
    const size_t at = s_number_at(name), at_next = s_number_at(next);
    if (at != at_next || strncmp(name, next, at) != 0 || !name[at])
        return false;
    const size_t digits = strspn(name + at, "0123456789");
    const size_t digits_next = strspn(next + at, "0123456789");
    return digits == digits_next && digits < 10 &&
           strcmp(name + at + digits, next + at + digits) == 0 &&
           strtoul(next + at, NULL, 10) == strtoul(name + at, NULL, 10) + 1;
}

// One name, or a range of them. Caller owns.
static char *
s_word(const char *first, const char *last)
{
    if (first == last)
        return strdup(first);
    const size_t at = s_number_at(first);
    const int digits = (int) strspn(first + at, "0123456789");
    return rmt_text("%.*s[%.*s-%.*s]%s", (int) at, first, digits, first + at, digits,
                    last + at, first + at + digits);
}

char *
fold_names(const char **names, size_t count, size_t size)
{
    qsort(names, count, sizeof *names, s_compare);
    char *text = strdup("");
    for (size_t i = 0; i < count;) {
        size_t last = i;
        while (last + 1 < count && s_follows(names[last], names[last + 1]))
            last++;
        rmt_auto_str word = s_word(names[i], names[last]);
        rmt_auto_str before = text;
        if (i && strlen(before) + strlen(word) + 1 > size)
            return rmt_text("%s and %zu more", before, count - i);
        text = rmt_text("%s%s%s", before, i ? "," : "", word);
        i = last + 1;
    }
    return text;
}

static bool
s_is_equal(const rmt_record_t *a, const rmt_record_t *b, const char *field,
           const char *const *columns)
{
    for (size_t c = 0; columns[c]; c++) {
        if (strcmp(columns[c], field) != 0 &&
            strcmp(rmt_record_text(a, columns[c], ""),
                   rmt_record_text(b, columns[c], "")) != 0)
            return false;
    }
    return true;
}

// The items that are equal to the first one of names, which are not taken yet.
static size_t
s_group(const rmt_records_t *items, size_t first, const char *field,
        const char *const *columns, bool *taken, const char **names)
{
    size_t used = 0;
    const rmt_record_t *item = rmt_records_at(items, first);
    for (size_t i = first; i < rmt_records_count(items); i++) {
        const rmt_record_t *other = rmt_records_at(items, i);
        if (taken[i] || !s_is_equal(item, other, field, columns))
            continue;
        names[used++] = rmt_record_text(other, field, "?");
        taken[i] = used > 1; // The first one stays, for all of them
    }
    if (used >= MANY)
        return used;
    for (size_t i = first + 1; i < rmt_records_count(items); i++) {
        if (s_is_equal(item, rmt_records_at(items, i), field, columns))
            taken[i] = false;
    }
    return 0;
}

rmt_records_t *
fold_items(const rmt_records_t *items, const char *field, const char *const *columns)
{
    const size_t count = rmt_records_count(items);
    rmt_records_t *folded = rmt_records_new();
    rmt_auto_ptr taken = calloc(count + 1, sizeof(bool));
    rmt_auto_ptr names = calloc(count + 1, sizeof(char *));
    assert(taken && names);
    for (size_t i = 0; i < count; i++) {
        if (((bool *) taken)[i])
            continue;
        rmt_record_t *item = rmt_record_dup(rmt_records_at(items, i));
        const size_t group = s_group(items, i, field, columns, taken, names);
        rmt_auto_str words = group ? fold_names(names, group, NAMES_SIZE) : NULL;
        if (group)
            rmt_record_setf(item, field, "%zu machines: %s", group, words);
        rmt_records_append(folded, &item);
    }
    return folded;
}
