// rmt_wait - the only ways in which a test lets time pass: lint.sleeps refuses all
// others.
#pragma once

#include <time.h>

#include "base/rmt_clock.h"
#include "tools/rmt_test.h"

// Let time pass where time itself is the subject, or where nothing may happen meanwhile.
// The reason is for the reader.
static inline void
rmt_pause(int ms, const char *why)
{
    (void) why;
    const struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

// The time between two looks. For waits that cannot be RMT_WAIT_UNTIL: in a thread, where
// a test cannot fail, and where the failure tells more than the condition.
static inline void
rmt_wait_turn(void)
{
    rmt_pause(5, "the next look");
}

static inline void
rmt_wait_failed(const char *condition, int limit_ms, const char *file, int line)
{
    print_error("after %d ms it is not true that\n  %s\n", limit_ms, condition);
    _fail(file, line);
}

// Wait until the condition is true; the test fails when it is not within limit_ms.
#define RMT_WAIT_UNTIL(condition, limit_ms)                                              \
    do {                                                                                 \
        const int64_t wait_end_ms = rmt_clock_ms() + (limit_ms);                         \
        while (!(condition)) {                                                           \
            if (rmt_clock_ms() > wait_end_ms)                                            \
                rmt_wait_failed(#condition, limit_ms, __FILE__, __LINE__);               \
            rmt_wait_turn();                                                             \
        }                                                                                \
    } while (0)
