#include "base/rmt_log.h"
#include "base/rmt_clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static rmt_level_t s_level = RMT_INFO;
// Lines come from all threads, and a result wants the last ones: this is all that they
// share.
static struct {
    pthread_mutex_t mutex;
    char text[RMT_LOG_TAIL_SIZE]; // Whole lines, oldest first
    size_t used;
} s_tail = {.mutex = PTHREAD_MUTEX_INITIALIZER};
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

// Drop old lines until there is space for size bytes.
static void
s_make_space(size_t size)
{
    size_t gone = 0;
    while (s_tail.used - gone + size >= sizeof s_tail.text) {
        const char *end = memchr(s_tail.text + gone, '\n', s_tail.used - gone);
        if (!end) {
            gone = s_tail.used;
            break;
        }
        gone = (size_t) (end - s_tail.text) + 1;
    }
    s_tail.used -= gone;
    memmove(s_tail.text, s_tail.text + gone, s_tail.used);
}

static void
s_remember(const char *line, size_t size)
{
    if (size >= sizeof s_tail.text)
        return;
    pthread_mutex_lock(&s_tail.mutex);
    s_make_space(size);
    memcpy(s_tail.text + s_tail.used, line, size);
    s_tail.used += size;
    pthread_mutex_unlock(&s_tail.mutex);
}

void
rmt_log_tail(char *out, unsigned long size)
{
    pthread_mutex_lock(&s_tail.mutex);
    size_t from = 0;
    while (s_tail.used - from >= size) {
        const char *end = memchr(s_tail.text + from, '\n', s_tail.used - from);
        from = end ? (size_t) (end - s_tail.text) + 1 : s_tail.used;
    }
    memcpy(out, s_tail.text + from, s_tail.used - from);
    out[s_tail.used - from] = '\0';
    pthread_mutex_unlock(&s_tail.mutex);
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
    if (size <= 0)
        return;
    const size_t length = (size_t) size < sizeof line ? (size_t) size : sizeof line - 1;
    (void) !write(STDERR_FILENO, line, length);
    s_remember(line, length);
}
