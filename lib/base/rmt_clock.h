// rmt_clock - the two clocks. Intervals and leases use the monotonic one only.
#pragma once

#include <stdint.h>

#define RMT_CLOCK_TEXT_SIZE 32

// Milliseconds since an unnamed start; never goes back.
int64_t rmt_clock_ms(void);

// Milliseconds since 1970-01-01 UTC, for people and records.
int64_t rmt_clock_wall_ms(void);

// RFC 3339, UTC, with milliseconds: 2026-11-23T10:00:00.123Z. Returns out.
char *rmt_clock_text(int64_t wall_ms, char out[RMT_CLOCK_TEXT_SIZE]);
