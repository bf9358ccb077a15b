// moment - times as people write and read them.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define MOMENT_TEXT_SIZE 32

// "2026-11-30 10:00:00", by the clock of this computer's time zone; with utc, and a Z
// behind it, UTC. Returns out.
char *moment_text(int64_t wall_ms, bool utc, char out[MOMENT_TEXT_SIZE]);

// How long: "14s", "45m", "3h", "12d". Returns out.
char *moment_span(int64_t span_ms, char out[MOMENT_TEXT_SIZE]);

// Read what moment_text writes, also with a T or without its end, as milliseconds since
// 1970; or what moment_span writes, as so long ago. 0, or -1: USAGE.
int moment_parse(const char *text, bool utc, int64_t *wall_ms_out, rmt_error_t *error);

// "90", "90s", "45m", "2h", "3d" in seconds. 0, or -1: USAGE.
int moment_parse_span(const char *text, unsigned *seconds_out, rmt_error_t *error);

// Until then: what moment_text writes, of a time to come, or "+2h", in seconds. 0, or -1:
// USAGE.
int moment_parse_ahead(const char *text, bool utc, unsigned *seconds_out,
                       rmt_error_t *error);

// Every day from one time of day to another one.
typedef struct {
    unsigned from_s;             // Of the day in UTC
    unsigned length_s;           // Less than a day
    char text[MOMENT_TEXT_SIZE]; // "22:00-04:00 CET"
} moment_window_t;

// "22:00-04:00", by the clock of this computer's time zone as it is today; with utc, and
// a Z behind it, UTC. 0, or -1: USAGE.
int moment_parse_window(const char *text, bool utc, moment_window_t *window_out,
                        rmt_error_t *error);
