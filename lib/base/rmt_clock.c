#include "base/rmt_clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
s_read(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
rmt_clock_ms(void)
{
    return s_read(CLOCK_MONOTONIC);
}

int64_t
rmt_clock_wall_ms(void)
{
    return s_read(CLOCK_REALTIME);
}

char *
rmt_clock_text(int64_t wall_ms, char out[RMT_CLOCK_TEXT_SIZE])
{
    const time_t seconds = (time_t) (wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    const size_t used = strftime(out, RMT_CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + used, RMT_CLOCK_TEXT_SIZE - used, ".%03dZ", (int) (wall_ms % 1000));
    return out;
}
