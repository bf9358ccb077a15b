#include "console/select.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECT_COUNT_MAX 100000

static int
s_add(rmt_records_t *chosen, const rmt_records_t *known, const char *name,
      rmt_error_t *error)
{
    if (!rmt_records_find(known, "name", name))
        return rmt_fail(error, RMT_E_NOT_FOUND,
                        "the target \"%s\" does not exist; see: ramet target list", name);
    if (!rmt_records_find(chosen, "target", name))
        rmt_record_set(rmt_records_add(chosen), "target", name);
    return 0;
}

static int
s_add_label(rmt_records_t *chosen, const rmt_records_t *known, const char *word,
            rmt_error_t *error)
{
    const char *equals = strchr(word, '=');
    rmt_auto_str field = rmt_text("%.*s", (int) (equals - word), word);
    // Every record without the field would have that value.
    if (!equals[1])
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" has no value; write one such as rack=r12", word);
    size_t found = 0;
    for (size_t i = 0; i < rmt_records_count(known); i++) {
        const rmt_record_t *target = rmt_records_at(known, i);
        if (strcmp(rmt_record_text(target, field, ""), equals + 1) != 0)
            continue;
        found++;
        if (s_add(chosen, known, rmt_record_text(target, "name", ""), error) == -1)
            return -1;
    }
    if (!found)
        return rmt_fail(error, RMT_E_NOT_FOUND,
                        "no target has the label %s; see: ramet target list", word);
    return 0;
}

// prefix[01-40]suffix: as many digits as the first number has.
static int
s_add_range(rmt_records_t *chosen, const rmt_records_t *known, const char *word,
            rmt_error_t *error)
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
        if (s_add(chosen, known, name, error) == -1)
            return -1;
    }
    return 0;
}

rmt_records_t *
select_targets(const char *list, const rmt_records_t *known, rmt_error_t *error)
{
    rmt_auto(rmt_records) chosen = rmt_records_new();
    rmt_auto_str words = rmt_text("%s", list);
    char *rest = NULL;
    for (char *word = strtok_r(words, ", \n", &rest); word;
         word = strtok_r(NULL, ", \n", &rest)) {
        int rc;
        if (strchr(word, '['))
            rc = s_add_range(chosen, known, word, error);
        else if (strchr(word, '='))
            rc = s_add_label(chosen, known, word, error);
        else
            rc = s_add(chosen, known, word, error);
        if (rc == -1)
            return NULL;
    }
    if (!rmt_records_count(chosen)) {
        rmt_fail(error, RMT_E_USAGE, "name at least one target; see: ramet target list");
        return NULL;
    }
    return rmt_take(&chosen);
}
