// IPMI over a network, by the program ipmitool, which reads the password from its file.
#include "power/rmt_power_way.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "facts/rmt_switch.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX 4096
#define ARGUMENTS_MAX 24

static void
s_add(const char **arguments, size_t *count, const char *const *words)
{
    for (; *words && *count < ARGUMENTS_MAX; words++)
        arguments[(*count)++] = *words;
}

// What ipmitool says last, and what to do.
static int
s_explain(const power_run_t *run, const char *secret, rmt_process_end_t *end,
          rmt_error_t *error)
{
    if (end->is_timeout)
        return rmt_fail(
            error, RMT_E_UNAVAILABLE,
            "no answer within %u s; look whether the address is right, and IPMI "
            "over LAN is on",
            run->config->timeout_ms / 1000);
    const bool is_denied = strstr(end->output, "RAKP") ||
                           strstr(end->output, "assword") ||
                           strstr(end->output, "rivilege");
    power_last_line(end->tail);
    return rmt_fail(error, is_denied ? RMT_E_NOT_ALLOWED : RMT_E_UNAVAILABLE,
                    "ipmitool says \"%.120s\"; look at power-address, power-user, the "
                    "password in %s, and whether IPMI over LAN is on",
                    end->tail, secret);
}

// Caller owns *output_out (free).
static int
s_call(const power_run_t *run, const char *const *words, char **output_out,
       rmt_error_t *error)
{
    char host[RMT_SWITCH_HOST_SIZE], number[8], cipher[8];
    uint16_t port;
    if (power_host(run, host, &port, error) == -1)
        return -1;
    rmt_auto_str secret = power_secret_file(run, error);
    const char *user = rmt_record_text(run->target, "power-user", "");
    if (!secret)
        return -1;
    if (!*user)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "its record has no power-user, the account at its BMC; set it with: "
            "ramet target set %s power-user=NAME",
            run->name);
    snprintf(number, sizeof number, "%u", port ? port : 623);
    const char *const first[] = {"ipmitool", "-I", "lanplus", "-H", host,   "-p",
                                 number,     "-U", user,      "-f", secret, "-N",
                                 "2",        "-R", "2",       NULL};
    const char *const suite[] = {"-C", cipher, NULL};
    const char *arguments[ARGUMENTS_MAX + 1] = {NULL};
    size_t count = 0;
    snprintf(cipher, sizeof cipher, "%u", run->config->cipher);
    s_add(arguments, &count, first);
    if (run->config->cipher)
        s_add(arguments, &count, suite);
    s_add(arguments, &count, words);
    static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
        NULL};
    const rmt_process_t process = {.arguments = arguments,
                                   .environment = environment,
                                   .timeout_ms = power_left_ms(run),
                                   .output_max = OUTPUT_MAX};
    rmt_process_end_t end;
    if (rmt_process_try(&process, &end, error) == -1)
        return error->code == RMT_E_NOT_FOUND
                   ? rmt_fail(
                         error, RMT_E_CONFIG,
                         "the engine has no program ipmitool; install it on the engine: "
                         "apt install ipmitool")
                   : -1;
    const int rc = end.status == 0 ? 0 : s_explain(run, secret, &end, error);
    if (rc == 0)
        *output_out = rmt_take(&end.output);
    rmt_process_end_clear(&end);
    return rc;
}

static int
s_look(power_run_t *run, bool *is_on_out, rmt_error_t *error)
{
    static const char *const words[] = {"chassis", "power", "status", NULL};
    rmt_auto_str output = NULL;
    if (s_call(run, words, &output, error) == -1)
        return -1;
    *is_on_out = strstr(output, "Power is on");
    if (*is_on_out || strstr(output, "Power is off"))
        return 0;
    output[strcspn(output, "\r\n")] = '\0';
    return rmt_fail(error, RMT_E_UNAVAILABLE,
                    "the BMC says neither on nor off, but \"%.80s\"; restart the BMC",
                    output);
}

static int
s_tell(power_run_t *run, power_order_t order, rmt_error_t *error)
{
    static const char *const on[] = {"chassis", "power", "on", NULL};
    static const char *const off[] = {"chassis", "power", "off", NULL};
    static const char *const bios[] = {"chassis", "bootdev", "pxe", NULL};
    static const char *const uefi[] = {"chassis", "bootdev", "pxe", "options=efiboot",
                                       NULL};
    const bool is_bios =
        strcmp(rmt_record_text(run->target, "power-boot", "uefi"), "bios") == 0;
    rmt_auto_str output = NULL;
    return s_call(run,
                  order == POWER_GO_ON    ? on
                  : order == POWER_GO_OFF ? off
                  : is_bios               ? bios
                                          : uefi,
                  &output, error);
}

const power_way_t power_ipmi = {.name = "ipmi", .look = s_look, .tell = s_tell};
