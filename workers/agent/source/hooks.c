#include "agent/source/hooks.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <errno.h>
#include <string.h>

static char *
s_due_path(const rmt_hooks_t *hooks)
{
    return rmt_text("%s/hook.due", rmt_config_text(hooks->config, "state"));
}

static int
s_judge(const char *program, const rmt_process_end_t *end, rmt_error_t *error)
{
    if (end->is_timeout)
        return rmt_fail(error, RMT_E_TIMEOUT, "%.200s was ended after %u s", program,
                        end->time_ms / 1000);
    if (end->status == 0)
        return 0;
    rmt_auto_str tail = rmt_text("%s", end->tail ? end->tail : "");
    for (char *at = tail; *at; at++)
        if ((unsigned char) *at < ' ')
            *at = ' ';
    return rmt_fail(error, RMT_E_REFUSED, "%.200s ended with %s %d: %.200s", program,
                    end->signal ? "signal" : "status",
                    end->signal ? end->signal : end->status, tail);
}

static int
s_run(const rmt_hooks_t *hooks, const char *which, rmt_error_t *error)
{
    const char *program = rmt_config_text(hooks->config, which);
    if (!*program)
        return 0;
    rmt_auto_str source = rmt_text("RAMET_SOURCE=%s", hooks->source);
    const char *const arguments[] = {program, NULL};
    const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C",
        "HOME=/root", source, NULL};
    const int64_t timeout_s = rmt_config_number(hooks->config, "hook-timeout-s");
    const rmt_process_t process = {.arguments = arguments,
                                   .environment = environment,
                                   .timeout_ms = (uint32_t) timeout_s * 1000};
    rmt_process_end_t end = {0};
    if (rmt_process_try(&process, &end, error) == -1)
        return rmt_wrap(error, "%s", which);
    const int result = s_judge(program, &end, error);
    rmt_process_end_clear(&end);
    return result == -1 ? rmt_wrap(error, "%s", which) : 0;
}

int
rmt_hooks_before(const rmt_hooks_t *hooks, rmt_error_t *error)
{
    rmt_auto_str due = s_due_path(hooks);
    if (*rmt_config_text(hooks->config, "hook-after") &&
        rmt_io_save(due, "", 0, 0600, error) == -1)
        return -1;
    return s_run(hooks, "hook-before", error);
}

int
rmt_hooks_after(const rmt_hooks_t *hooks, rmt_error_t *error)
{
    rmt_auto_str due = s_due_path(hooks);
    if (access(due, F_OK) == -1)
        return 0;
    const int result = s_run(hooks, "hook-after", error);
    // One that fails would fail again; it is told, and not tried for ever.
    if (unlink(due) == -1 && result == 0)
        return rmt_fail_errno(error, "remove %s", due);
    return result;
}
