#include "console/field.h"
#include "console/moment.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_error.h"
#include "base/rmt_io.h"
#include "base/rmt_utf8.h"
#include "wire/rmt_msg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TIME_DIGITS 13
#define KEY_SIZE 40 // Letters of a key in Z85

static const char *const s_numbers[] = {
    "added",
    "attempt",
    "available-count",
    "by-intent",
    "changed",
    "chunks",
    "code",
    "count",
    "counter",
    "damaged",
    "differences",
    "done",
    "epoch",
    "era",
    "fetched",
    "files",
    "first",
    "fuzzy-count",
    "unreadable-count",
    "targets",
    "cached",
    "jobs-open",
    "locks",
    "handshakes-refused",
    "lost-projects",
    "lost-flags",
    "lost-marks",
    "lost-reserved",
    "lost-hints",
    "odd-attribute-names",
    "fits-count",
    "found",
    "had",
    "images",
    "images-removed",
    "keys",
    "left-behind",
    "left-out",
    "left-s",
    "live",
    "marked",
    "mended",
    "missing",
    "unread",
    "n",
    "notes",
    "orphans",
    "packs",
    "peers",
    "quarantined",
    "queued",
    "records",
    "refused",
    "release",
    "removed",
    "rescued",
    "resumed",
    "revived",
    "size",
    "switched-count",
    "slots",
    "stuck-s",
    "timeout-s",
    "total",
    "uses",
    "version",
    "wrong",
};
static const char *const s_bytes[] = {"bytes",         "bytes-fetched", "sent",
                                      "bytes-removed", "store-free",    "store-size"};
static const char *const s_times[] = {"created",      "started",   "ended",   "since",
                                      "confirmed-at", "last-seen", "expires", "begins"};
static const char *const s_flags[] = {
    "present",  "fits",      "available",         "armed",    "approve",
    "approved", "partial",   "degraded",          "verified", "when-booted",
    "wake",     "take-over", "accept-incomplete", "paranoid", "dry-run",
    "deep",     "again",     "explain",           "cut",
};
static const char *const s_packed[] = {"hardware", "layout", "kernel",
                                       "verdicts", "choice", "volumes"};
static const char *const s_inner[] = {
    "rev",           "go",       "began",       "epoch-at",      "settled",
    "failed-before", "waiting",  "t-waiting",   "t-locked",      "t-running",
    "t-done",        "t-failed", "t-cancelled", "log-at",        "confirmed-was",
    "idem",          "due",      "begun",       "window-from-s", "window-s",
};
static const struct {
    const char *const *names;
    size_t count;
    field_kind_t kind;
} s_kinds[] = {
    {s_numbers, COUNT(s_numbers), FIELD_NUMBER}, {s_bytes, COUNT(s_bytes), FIELD_BYTES},
    {s_times, COUNT(s_times), FIELD_TIME},       {s_flags, COUNT(s_flags), FIELD_FLAG},
    {s_packed, COUNT(s_packed), FIELD_PACKED},   {s_inner, COUNT(s_inner), FIELD_INNER},
};

// Ids, and the field that has the name of the same thing.
static const char *const s_names[][2] = {
    {"id", "name"},    {"image", "image-name"},     {"job", "job-name"},
    {"by", "by-name"}, {"retries", "retries-name"},
};

field_kind_t
field_kind(const char *name)
{
    for (size_t k = 0; k < COUNT(s_kinds); k++) {
        for (size_t i = 0; i < s_kinds[k].count; i++) {
            if (strcmp(name, s_kinds[k].names[i]) == 0)
                return s_kinds[k].kind;
        }
    }
    return FIELD_TEXT;
}

// Letters that change the order or the line of what is beside them: a reader would be
// shown something else than what is there.
static bool
s_is_control(const unsigned char *at, size_t size)
{
    if (size == 1)
        return *at < 0x20 || *at == 0x7f;
    if (size == 2)
        return at[0] == 0xc2 && at[1] < 0xa0;
    return size == 3 && at[0] == 0xe2 &&
           ((at[1] == 0x80 &&
             ((at[2] >= 0x8b && at[2] <= 0x8f) || (at[2] >= 0xa8 && at[2] <= 0xae))) ||
            (at[1] == 0x81 && at[2] >= 0xa0 && at[2] <= 0xaf));
}

char *
field_safe(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    char *out = malloc(size * 4 + 1);
    assert(out);
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        const size_t length = rmt_utf8_character(bytes + i, size - i);
        if (bytes[i] == '\n') {
            out[used++] = ' ';
            i++;
        } else if (!length || s_is_control(bytes + i, length)) {
            used += (size_t) sprintf(out + used, "\\x%02x", bytes[i]);
            for (size_t k = 1; k < length; k++)
                used += (size_t) sprintf(out + used, "\\x%02x", bytes[i + k]);
            i += length ? length : 1;
        } else {
            memcpy(out + used, bytes + i, length);
            used += length;
            i += length;
        }
    }
    out[used] = '\0';
    return out;
}

static char *
s_time_text(const char *data, int64_t unit_ms, field_time_t how, bool utc)
{
    const int64_t wall_ms = strtoll(data, NULL, 10) * unit_ms;
    const int64_t past_ms = rmt_clock_wall_ms() - wall_ms;
    char date[MOMENT_TEXT_SIZE], span[MOMENT_TEXT_SIZE];
    moment_text(wall_ms, utc, date);
    moment_span(past_ms < 0 ? -past_ms : past_ms, span);
    rmt_auto_str age = past_ms < 0 ? rmt_text("in %s", span) : rmt_text("%s ago", span);
    if (how == FIELD_DATE_AND_AGE)
        return rmt_text("%s (%s)", date, age);
    return rmt_text("%s", how == FIELD_AGE ? age : date);
}

// A job is named by its short name, which every verb takes, and an outcome by its word.
static char *
s_name_text(const char *name, const char *data)
{
    uint8_t uid[RMT_UID_SIZE];
    rmt_error_t ignored = {0};
    char job[11];
    const bool is_job = strcmp(name, "job") == 0 || strcmp(name, "retries") == 0;
    if (is_job && rmt_uid_parse(uid, data, &ignored) == 0)
        return rmt_text("%s", rmt_job_text(uid, job));
    if (strcmp(name, "code") == 0)
        return rmt_text("%s", rmt_code_name(rmt_code_from((uint32_t) atol(data))));
    return NULL;
}

// The time of a log, which is UTC with milliseconds. NULL: it is no such time.
static char *
s_stamp_text(const char *data, bool utc)
{
    struct tm parts = {0};
    char date[MOMENT_TEXT_SIZE];
    const char *end = strptime(data, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!end || (*end != '.' && *end != 'Z'))
        return NULL;
    return rmt_text("%s", moment_text((int64_t) timegm(&parts) * 1000, utc, date));
}

char *
field_text(const rmt_record_t *record, const char *name, field_time_t time, bool utc)
{
    size_t size = 0;
    const char *data = rmt_record_get(record, name, &size);
    const field_kind_t kind = field_kind(name);
    if (!data || !size)
        return NULL;
    if (kind == FIELD_PACKED)
        return rmt_text("(see --json)");
    const bool is_number = strspn(data, "0123456789") == size;
    char small[16];
    if (kind == FIELD_BYTES && is_number)
        return rmt_text("%s", field_bytes(strtoull(data, NULL, 10), small));
    if (strcmp(name, "mtime") == 0)
        return s_time_text(data, 1000, FIELD_DATE, utc);
    if (kind == FIELD_TIME && is_number && size == TIME_DIGITS)
        return s_time_text(data, 1, time, utc);
    char *words =
        strcmp(name, "time") == 0 ? s_stamp_text(data, utc) : s_name_text(name, data);
    return words ? words : field_safe(data, size);
}

bool
field_is_said_better(const rmt_record_t *record, const char *name)
{
    for (size_t i = 0; i < COUNT(s_names); i++) {
        if (strcmp(s_names[i][0], name) != 0 ||
            !*rmt_record_text(record, s_names[i][1], ""))
            continue;
        // An id is digits; a name in its place says more than the other one.
        const char *value = rmt_record_text(record, name, "");
        const size_t size = strlen(value);
        return strspn(value, "0123456789abcdef") == size || size == KEY_SIZE;
    }
    return false;
}

char *
field_bytes(unsigned long long bytes, char out[16])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double amount = (double) bytes;
    size_t unit = 0;
    while (amount >= 1024 && unit + 1 < COUNT(units)) {
        amount /= 1024;
        unit++;
    }
    snprintf(out, 16, unit ? "%.1f %s" : "%.0f %s", amount, units[unit]);
    return out;
}
