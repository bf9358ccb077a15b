#include "console/select.h"
#include "console/condition.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECT_COUNT_MAX 100000

// What a target may have, though none has it now.
static const char *const s_fields[] = {"held",  "protected", "reason", "image-name",
                                       "since", "job",       "phase",  NULL};

// The words of one part of a choice, and what they mean.
typedef struct {
    const rmt_records_t *words, *known;
    size_t first, end;
    bool *taken; // Of each known target, in all parts
    rmt_records_t *chosen;
    size_t count; // Targets that this part means
    bool has_names;
} part_t;

static bool
s_meets_all(const part_t *part, const rmt_record_t *target)
{
    for (size_t i = part->first; i < part->end; i++) {
        const rmt_record_t *word = rmt_records_at(part->words, i);
        if (!rmt_record_has(word, "name") && !condition_is_met(word, target))
            return false;
    }
    return true;
}

// A target that the names of the part mean is chosen when it meets the conditions.
static void
s_try(part_t *part, size_t index)
{
    const rmt_record_t *target = rmt_records_at(part->known, index);
    if (!s_meets_all(part, target))
        return;
    part->count++;
    if (!part->taken[index])
        rmt_record_set(rmt_records_add(part->chosen), "target",
                       rmt_record_text(target, "name", ""));
    part->taken[index] = true;
}

static int
s_add(part_t *part, const char *name, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(part->known); i++) {
        if (!rmt_record_is(rmt_records_at(part->known, i), "name", name))
            continue;
        s_try(part, i);
        return 0;
    }
    return rmt_fail(error, RMT_E_NOT_FOUND,
                    "the target \"%s\" does not exist; see: ramet target list", name);
}

// prefix[01-40]suffix: as many digits as the first number has.
static int
s_add_range(part_t *part, const char *word, rmt_error_t *error)
{
    const char *open = strchr(word, '[');
    const size_t digits = strspn(open + 1, "0123456789");
    const char *dash = open + 1 + digits;
    char *close = NULL;
    const unsigned long first = strtoul(open + 1, NULL, 10);
    const unsigned long last = *dash == '-' ? strtoul(dash + 1, &close, 10) : 0;
    if (!digits || digits > 9 || *dash != '-' || !isdigit((unsigned char) dash[1]) ||
        *close != ']' || last < first || last - first >= SELECT_COUNT_MAX)
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" is not a range; write one such as r12-n[01-40]", word);
    for (unsigned long number = first; number <= last; number++) {
        rmt_auto_str name = rmt_text("%.*s%0*lu%s", (int) (open - word), word,
                                     (int) digits, number, close + 1);
        if (s_add(part, name, error) == -1)
            return -1;
    }
    return 0;
}

// Choose among the machines that the part names, or among all when it has conditions
// alone.
static int
s_choose_names(part_t *part, rmt_error_t *error)
{
    for (size_t i = part->first; i < part->end; i++) {
        const char *name = rmt_record_text(rmt_records_at(part->words, i), "name", NULL);
        part->has_names |= name != NULL;
        if (name && (strchr(name, '[') ? s_add_range(part, name, error)
                                       : s_add(part, name, error)) == -1)
            return -1;
    }
    for (size_t i = 0; !part->has_names && i < rmt_records_count(part->known); i++)
        s_try(part, i);
    return 0;
}

static int
s_refuse_empty(const part_t *part, rmt_error_t *error)
{
    rmt_auto_str text = rmt_text("%s", "");
    for (size_t i = part->first; i < part->end; i++) {
        rmt_auto_str before = text;
        text = rmt_text("%s%s%s", before, i > part->first ? "," : "",
                        rmt_record_text(rmt_records_at(part->words, i), "word", ""));
    }
    return rmt_fail(error, RMT_E_NOT_FOUND, "no target meets %s; see: ramet target list",
                    text);
}

// The end of the part that begins with the word at `first`.
static size_t
s_part_end(const rmt_records_t *words, size_t first)
{
    size_t end = first;
    const char *part = rmt_record_text(rmt_records_at(words, first), "part", "");
    while (end < rmt_records_count(words) &&
           rmt_record_is(rmt_records_at(words, end), "part", part))
        end++;
    return end;
}

rmt_records_t *
select_targets(const char *list, const rmt_records_t *known, rmt_error_t *error)
{
    rmt_auto(rmt_records) chosen = rmt_records_new();
    rmt_auto(rmt_records) words = condition_parse(list, false, error);
    if (!words)
        return NULL;
    for (size_t i = 0; i < rmt_records_count(words); i++) {
        const char *field = rmt_record_text(rmt_records_at(words, i), "field", NULL);
        if (field && condition_need_field(known, s_fields, field, error) == -1)
            return NULL;
    }
    rmt_auto_ptr taken = calloc(rmt_records_count(known) + 1, sizeof(bool));
    assert(taken);
    for (size_t i = 0; i < rmt_records_count(words);) {
        part_t part = {.words = words, .known = known, .first = i};
        part.end = s_part_end(words, i);
        part.taken = taken;
        part.chosen = chosen;
        if (s_choose_names(&part, error) == -1)
            return NULL;
        if (!part.count) {
            s_refuse_empty(&part, error);
            return NULL;
        }
        i = part.end;
    }
    if (!rmt_records_count(chosen)) {
        rmt_fail(error, RMT_E_USAGE, "name at least one target; see: ramet target list");
        return NULL;
    }
    return rmt_take(&chosen);
}
