#include "base/rmt_error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    int exit_status;
} code_row_t;

static const code_row_t s_codes[RMT_CODE_COUNT] = {
    [RMT_E_OK] = {"ok", 0},
    [RMT_E_USAGE] = {"usage", 64},
    [RMT_E_NOT_FOUND] = {"not-found", 64},
    [RMT_E_EXISTS] = {"exists", 64},
    [RMT_E_REFUSED] = {"refused", 2},
    [RMT_E_LOCKED] = {"locked", 75},
    [RMT_E_NOT_ALLOWED] = {"not-allowed", 77},
    [RMT_E_FENCED] = {"fenced", 75},
    [RMT_E_CORRUPT] = {"corrupt", 2},
    [RMT_E_PROTOCOL] = {"protocol", 69},
    [RMT_E_TOO_BIG] = {"too-big", 64},
    [RMT_E_NO_SPACE] = {"no-space", 2},
    [RMT_E_IO] = {"io", 2},
    [RMT_E_TIMEOUT] = {"timeout", 124},
    [RMT_E_UNAVAILABLE] = {"unavailable", 69},
    [RMT_E_CANCELLED] = {"cancelled", 2},
    [RMT_E_INCOMPATIBLE] = {"incompatible", 2},
    [RMT_E_UNSUPPORTED] = {"unsupported", 2},
    [RMT_E_CONFIG] = {"config", 78},
    [RMT_E_INTERNAL] = {"internal", 2},
    [RMT_E_BUSY] = {"busy", 75},
    [RMT_E_DISK] = {"disk", 2},
};

__attribute__((format(printf, 3, 0))) static void
s_format(rmt_error_t *error, rmt_code_t code, const char *format, va_list arguments)
{
    assert(error);
    error->code = code;
    vsnprintf(error->text, sizeof error->text, format, arguments);
}

int
rmt_fail(rmt_error_t *error, rmt_code_t code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    s_format(error, code, format, arguments);
    va_end(arguments);
    return -1;
}

rmt_code_t
rmt_code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return RMT_E_NOT_FOUND;
    case EEXIST:
        return RMT_E_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return RMT_E_NO_SPACE;
    case EIO:
    case EREMOTEIO:
    case EUCLEAN:
    case EROFS:
        return RMT_E_DISK;
    default:
        return RMT_E_IO;
    }
}

int
rmt_fail_errno(rmt_error_t *error, const char *format, ...)
{
    const int number = errno;
    va_list arguments;
    va_start(arguments, format);
    s_format(error, rmt_code_of_errno(number), format, arguments);
    va_end(arguments);
    const size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, ": %s", strerror(number));
    return -1;
}

int
rmt_wrap(rmt_error_t *error, const char *format, ...)
{
    rmt_error_t inner = *error;
    va_list arguments;
    va_start(arguments, format);
    s_format(error, inner.code, format, arguments);
    va_end(arguments);
    const size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, ": %s", inner.text);
    return -1;
}

int
rmt_rename(rmt_error_t *error, const char *from, const char *to)
{
    const rmt_error_t before = *error;
    const size_t size = strlen(from);
    const char *rest = before.text;
    size_t used = 0;
    assert(size);
    for (const char *found; (found = strstr(rest, from)) && used < sizeof error->text;
         rest = found + size)
        used += (size_t) snprintf(error->text + used, sizeof error->text - used, "%.*s%s",
                                  (int) (found - rest), rest, to);
    if (used < sizeof error->text)
        snprintf(error->text + used, sizeof error->text - used, "%s", rest);
    return -1;
}

const char *
rmt_code_name(rmt_code_t code)
{
    return (unsigned) code < RMT_CODE_COUNT ? s_codes[code].name : "unknown";
}

rmt_code_t
rmt_code_from(uint32_t number)
{
    return number < RMT_CODE_COUNT ? (rmt_code_t) number : RMT_E_INTERNAL;
}

int
rmt_code_exit(rmt_code_t code)
{
    return (unsigned) code < RMT_CODE_COUNT ? s_codes[code].exit_status : 2;
}
