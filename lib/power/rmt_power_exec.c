// The engine's own program, for what has no row: a switched socket, a hypervisor.
#include "power/rmt_power_way.h"
#include "base/rmt_guarded.h"
#include "base/rmt_process.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX 4096

static const char *const s_words[] = {"status", "on", "off", "cycle", "netboot"};

// The first word of what it says is the state, where it is one.
static const char *
s_state(const char *output)
{
    const size_t size = strcspn(output, " \t\r\n");
    return size == 2 && strncmp(output, "on", 2) == 0    ? "on"
           : size == 3 && strncmp(output, "off", 3) == 0 ? "off"
                                                         : "unknown";
}

static int
s_judge(const power_run_t *run, rmt_process_end_t *end, rmt_power_end_t *end_out,
        rmt_error_t *error)
{
    const char *program = run->config->program;
    if (end->status == 0 && !end->is_timeout) {
        end_out->what = s_state(end->output);
        return 0;
    }
    power_last_line(end->tail);
    if (end->is_timeout)
        return rmt_fail(error, RMT_E_TIMEOUT,
                        "%s did not end within %u s, and was killed; run it by hand",
                        program, run->config->timeout_ms / 1000);
    return rmt_fail(error, RMT_E_UNAVAILABLE, "%s ended with %s %d%s%.200s", program,
                    end->signal ? "signal" : "status",
                    end->signal ? end->signal : end->status, *end->tail ? ": " : "",
                    end->tail);
}

static int
s_do(power_run_t *run, rmt_power_end_t *end_out, rmt_error_t *error)
{
    static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL=C.UTF-8", NULL};
    const char *program = run->config->program;
    if (!*program)
        return rmt_fail(error, RMT_E_CONFIG,
                        "this engine has no program that switches power; in its "
                        "installer.cfg set power-program = \"PATH\"");
    const rmt_guarded_t file = {program, "program of power-program", RMT_GUARDED_TRUST,
                                SIZE_MAX};
    if (rmt_guarded_check(&file, error) == -1)
        return -1;
    const char *const arguments[] = {program, run->name, s_words[run->action], NULL};
    const rmt_process_t process = {.arguments = arguments,
                                   .environment = environment,
                                   .timeout_ms = power_left_ms(run),
                                   .output_max = OUTPUT_MAX};
    rmt_process_end_t end;
    if (rmt_process_try(&process, &end, error) == -1)
        return -1;
    const int rc = s_judge(run, &end, end_out, error);
    rmt_process_end_clear(&end);
    return rc;
}

const power_way_t power_exec = {.name = "exec", .whole = s_do};
