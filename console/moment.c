#include "console/moment.h"
#include "base/rmt_clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const struct {
    char letter;
    unsigned seconds;
} s_units[] = {{'s', 1}, {'m', MINUTE}, {'h', HOUR}, {'d', DAY}};
#define COUNT(array) (sizeof(array) / sizeof *(array))

char *
moment_text(int64_t wall_ms, bool utc, char out[MOMENT_TEXT_SIZE])
{
    struct tm parts;
    const time_t seconds = (time_t) (wall_ms / 1000);
    if (utc)
        gmtime_r(&seconds, &parts);
    else
        localtime_r(&seconds, &parts);
    if (!strftime(out, MOMENT_TEXT_SIZE, utc ? "%Y-%m-%d %H:%M:%SZ" : "%Y-%m-%d %H:%M:%S",
                  &parts))
        *out = '\0';
    return out;
}

char *
moment_span(int64_t span_ms, char out[MOMENT_TEXT_SIZE])
{
    const int64_t seconds = span_ms > 0 ? span_ms / 1000 : 0;
    // Of each unit at least two, so that the number is not off by a half.
    size_t unit = COUNT(s_units) - 1;
    while (unit && seconds < 2 * (int64_t) s_units[unit].seconds)
        unit--;
    snprintf(out, MOMENT_TEXT_SIZE, "%lld%c",
             (long long) (seconds / s_units[unit].seconds), s_units[unit].letter);
    return out;
}

int
moment_parse_span(const char *text, unsigned *seconds_out, rmt_error_t *error)
{
    char *end = NULL;
    const unsigned long number = strtoul(text, &end, 10);
    size_t unit = 0;
    while (*end && unit < COUNT(s_units) && s_units[unit].letter != *end)
        unit++;
    if (*text < '0' || *text > '9' || unit == COUNT(s_units) || (*end && end[1]) ||
        number > 1000000 || number * s_units[unit].seconds > UINT32_MAX)
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" is not a time; write one such as 90s, 45m, 2h or 3d",
                        text);
    *seconds_out = (unsigned) number * s_units[unit].seconds;
    return 0;
}

// A date, with or without a time of day.
static bool
s_parse_date(const char *text, bool utc, int64_t *wall_ms_out)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
                                        "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct tm day = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &day);
        const bool is_utc = utc || (end && strcmp(end, "Z") == 0);
        if (!end || (*end && strcmp(end, "Z") != 0))
            continue;
        const time_t seconds = is_utc ? timegm(&day) : mktime(&day);
        *wall_ms_out = (int64_t) seconds * 1000;
        return true;
    }
    return false;
}

int
moment_parse(const char *text, bool utc, int64_t *wall_ms_out, rmt_error_t *error)
{
    unsigned seconds = 0;
    if (s_parse_date(text, utc, wall_ms_out))
        return 0;
    if (moment_parse_span(text, &seconds, error) == -1)
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" is not a time; write one such as 2026-11-30, "
                        "2026-11-30T10:00:00Z, or 90s, 45m, 2h, 3d for so long ago",
                        text);
    *wall_ms_out = rmt_clock_wall_ms() - (int64_t) seconds * 1000;
    return 0;
}

int
moment_parse_ahead(const char *text, bool utc, unsigned *seconds_out, rmt_error_t *error)
{
    int64_t then_ms = 0;
    if (*text == '+')
        return moment_parse_span(text + 1, seconds_out, error);
    if (!s_parse_date(text, utc, &then_ms))
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" is not a time; write one such as 2026-11-30 22:00, "
                        "2026-11-30T22:00:00Z, or +2h",
                        text);
    const int64_t ahead_ms = then_ms - rmt_clock_wall_ms();
    if (ahead_ms <= 0 || ahead_ms / 1000 > UINT32_MAX)
        return rmt_fail(error, RMT_E_USAGE, "%s is not a time to come", text);
    *seconds_out = (unsigned) ((ahead_ms + 999) / 1000);
    return 0;
}

int
moment_parse_window(const char *text, bool utc, moment_window_t *window_out,
                    rmt_error_t *error)
{
    struct tm from = {0}, to = {0}, now;
    const char *middle = strptime(text, "%H:%M", &from);
    const char *end =
        middle && *middle == '-' ? strptime(middle + 1, "%H:%M", &to) : NULL;
    const bool is_utc = utc || (end && strcmp(end, "Z") == 0);
    const int length =
        (to.tm_hour - from.tm_hour) * HOUR + (to.tm_min - from.tm_min) * MINUTE;
    if (!end || (*end && strcmp(end, "Z") != 0) || length == 0)
        return rmt_fail(
            error, RMT_E_USAGE,
            "\"%s\" is not a window of a day; write two times that differ, such "
            "as 22:00-04:00, or 22:00-04:00Z for UTC",
            text);
    const time_t seconds = (time_t) (rmt_clock_wall_ms() / 1000);
    if (is_utc)
        gmtime_r(&seconds, &now);
    else
        localtime_r(&seconds, &now);
    const long start = from.tm_hour * HOUR + from.tm_min * MINUTE - now.tm_gmtoff;
    *window_out = (moment_window_t){.from_s = (unsigned) ((start + 2 * DAY) % DAY),
                                    .length_s = (unsigned) ((length + DAY) % DAY)};
    snprintf(window_out->text, sizeof window_out->text, "%02d:%02d-%02d:%02d %.8s",
             from.tm_hour, from.tm_min, to.tm_hour, to.tm_min,
             is_utc ? "UTC" : now.tm_zone);
    return 0;
}
