#include "match/rmt_match_run.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// What most verdicts need, beside their three texts.
#define VERDICT_FIELDS 9
#define VERDICT_BYTES 128

bool
rmt_match_has_word(const char *words, const char *word)
{
    const size_t size = strlen(word);
    for (const char *p = words; size && (p = strstr(p, word)); p += size) {
        if ((p == words || p[-1] == ' ') && (p[size] == ' ' || p[size] == '\0'))
            return true;
    }
    return false;
}

const char *
rmt_match_text(const rmt_record_t *record, const char *name)
{
    return record ? rmt_record_text(record, name, "") : "";
}

char *
rmt_match_bytes(uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024)
        return rmt_text("%" PRIu64 " bytes", bytes);
    double amount = (double) bytes / 1024;
    size_t unit = 0;
    for (; amount >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        amount /= 1024;
    return rmt_text("%" PRIu64 " bytes (%.1f %s)", bytes, amount, units[unit]);
}

const char *
rmt_match_policy(const rmt_match_run_t *run, const char *component)
{
    for (size_t i = 0; i < run->row_count; i++)
        if (strcmp(run->rows[i].component, component) == 0)
            return run->policies[i];
    return "";
}

bool
rmt_match_is(const rmt_match_run_t *run, const char *component, const char *policy)
{
    return strcmp(rmt_match_policy(run, component), policy) == 0;
}

rmt_record_t *
rmt_match_verdict(rmt_match_run_t *run, const char *component, const char *wanted,
                  const char *had, bool fits, const char *reason)
{
    if (!reason)
        reason = "same";
    rmt_record_t *made = rmt_record_new_sized(
        VERDICT_FIELDS, VERDICT_BYTES + strlen(wanted) + strlen(had) + strlen(reason));
    rmt_record_t *verdict = rmt_records_append(run->verdicts, &made);
    rmt_record_set(verdict, "class", "verdict");
    rmt_record_set(verdict, "component", component);
    rmt_record_set(verdict, "policy", rmt_match_policy(run, component));
    rmt_record_set(verdict, "wanted", wanted);
    rmt_record_set(verdict, "had", had);
    rmt_record_set(verdict, "fits", fits ? "yes" : "no");
    rmt_record_set(verdict, "reason", reason);
    run->fits = run->fits && fits;
    return verdict;
}
