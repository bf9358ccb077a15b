#include "store/rmt_watch.h"

#include <stdarg.h>
#include <stdio.h>

bool
rmt_watch_is_unread(const rmt_error_t *why)
{
    return why->code == RMT_E_DISK || why->code == RMT_E_IO;
}

void
rmt_watch_tell(const rmt_store_watch_t *self, const rmt_store_finding_t *finding,
               const char *format, ...)
{
    if (!self || !self->finding)
        return;
    char text[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rmt_store_finding_t whole = *finding;
    whole.text = text;
    self->finding(self->context, &whole);
}

int
rmt_watch_alive(const rmt_store_watch_t *self, uint64_t done, uint64_t total,
                rmt_error_t *error)
{
    if (self && self->alive && !self->alive(self->context, done, total))
        return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
    return 0;
}
