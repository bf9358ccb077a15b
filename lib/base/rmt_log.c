#include "base/rmt_log.h"
#include "base/rmt_clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static rmt_level_t s_level = RMT_INFO;
static const char *const s_names[] = {"error", "warn", "info", "debug"};

void
rmt_log_set_level(rmt_level_t level)
{
    s_level = level;
}

char *
rmt_log_escape(char *out, unsigned long size, const char *text)
{
    unsigned long used = 0;
    for (const unsigned char *at = (const unsigned char *) text; *at; at++) {
        const int plain = *at >= 0x20 && *at < 0x7f;
        if (used + (plain ? 1 : 4) >= size)
            break;
        if (plain)
            out[used++] = (char) *at;
        else
            used += (unsigned long) snprintf(out + used, size - used, "\\x%02x", *at);
    }
    out[used] = '\0';
    return out;
}

void
rmt_log(rmt_level_t level, const char *event, const char *format, ...)
{
    if (level > s_level)
        return;
    char fields[1536];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fields, sizeof fields, format, arguments);
    va_end(arguments);
    char safe[2048];
    rmt_log_escape(safe, sizeof safe, fields);
    char when[RMT_CLOCK_TEXT_SIZE];
    char line[2304];
    const int size =
        snprintf(line, sizeof line, "time=%s level=%s event=%s %s\n",
                 rmt_clock_text(rmt_clock_wall_ms(), when), s_names[level], event, safe);
    if (size > 0)
        (void) !write(STDERR_FILENO, line, (size_t) size);
}
