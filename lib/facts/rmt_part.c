#include "facts/rmt_part.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *tag, *field;
    bool is_hex; // Letters of either case are the same
} s_rows[] = {
    {"PARTUUID=", "guid", true},
    {"PARTLABEL=", "name", false},
    {"LABEL=", "label", false},
    {"UUID=", "uuid", true},
};

#define ROW_COUNT (sizeof s_rows / sizeof *s_rows)

static bool
s_has(const rmt_record_t *part, size_t row, const char *value)
{
    const char *own = rmt_record_text(part, s_rows[row].field, "");
    return *own &&
           (s_rows[row].is_hex ? strcasecmp(own, value) : strcmp(own, value)) == 0;
}

static bool
s_is(const rmt_record_t *part, const char *word)
{
    if (word[strspn(word, "0123456789")] == '\0')
        return rmt_record_is(part, "number", word);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const size_t size = strlen(s_rows[i].tag);
        if (strncmp(word, s_rows[i].tag, size) == 0)
            return s_has(part, i, word + size);
    }
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (s_has(part, i, word))
            return true;
    return false;
}

char *
rmt_part_words(const rmt_record_t *part)
{
    static const char *const fields[] = {"fs", "name", "label"};
    char *words = rmt_text("%s", rmt_record_text(part, "number", "?"));
    bool is_open = false;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *text = rmt_record_text(part, fields[i], "");
        if (!*text)
            continue;
        char *longer = rmt_text("%s%s%.36s", words, is_open ? ", " : " (", text);
        free(words);
        words = longer;
        is_open = true;
    }
    char *closed = rmt_text("%s%s", words, is_open ? ")" : "");
    free(words);
    return closed;
}

// Those that there are, or that a word means. Caller owns the result (free).
static char *
s_list(const rmt_records_t *parts, const char *word)
{
    char *all = rmt_text("%s", "");
    for (size_t i = 0; i < rmt_records_count(parts); i++) {
        if (word && !s_is(rmt_records_at(parts, i), word))
            continue;
        rmt_auto_str one = rmt_part_words(rmt_records_at(parts, i));
        char *longer = rmt_text("%s%s%s", all, *all ? ", " : "", one);
        free(all);
        all = longer;
    }
    return all;
}

int
rmt_part_find(const rmt_records_t *parts, const char *word, size_t *index_out,
              rmt_error_t *error)
{
    assert(parts && word && index_out);
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(parts); i++) {
        if (!s_is(rmt_records_at(parts, i), word))
            continue;
        *index_out = i;
        count++;
    }
    if (count == 1)
        return 0;
    rmt_auto_str list = s_list(parts, count ? word : NULL);
    return count ? rmt_fail(error, RMT_E_USAGE,
                            "'%.60s' means several partitions: %.300s; write the number",
                            word, list)
                 : rmt_fail(error, RMT_E_NOT_FOUND,
                            "no partition is called '%.60s'; there are: %.300s", word,
                            *list ? list : "none");
}
