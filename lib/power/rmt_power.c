#include "power/rmt_power_way.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_guarded.h"
#include "base/rmt_io.h"
#include "facts/rmt_name.h"
#include "facts/rmt_switch.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 1000
#define SECRET_SIZE_MAX 256

static const power_way_t *const s_ways[] = {&power_wol, &power_ipmi, &power_redfish,
                                            &power_exec};

static const char *const s_actions[] = {"status", "on", "off", "cycle", "netboot"};

bool
rmt_power_action(const char *word, rmt_power_action_t *action_out)
{
    for (size_t i = 0; i < sizeof s_actions / sizeof *s_actions; i++) {
        if (strcmp(s_actions[i], word) == 0) {
            *action_out = (rmt_power_action_t) i;
            return true;
        }
    }
    return false;
}

// ---- What the ways share

uint32_t
power_left_ms(const power_run_t *run)
{
    const int64_t left = run->until_ms - rmt_clock_ms();
    return left > 0 ? (uint32_t) left : 1;
}

int
power_host(const power_run_t *run, char *host_out, uint16_t *port_out, rmt_error_t *error)
{
    if (!*run->address)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "its record has no power-address, the host of its BMC; set it with: "
            "ramet target set %s power-address=HOST",
            run->name);
    if (!rmt_switch_part(run->address, host_out, port_out))
        return rmt_fail(
            error, RMT_E_CONFIG,
            "power-address is not the host of a BMC; set it with: ramet target "
            "set %s power-address=HOST",
            run->name);
    return 0;
}

char *
power_secret_file(const power_run_t *run, rmt_error_t *error)
{
    if (!*run->config->secrets) {
        rmt_fail(error, RMT_E_CONFIG,
                 "this engine has no passwords of BMCs; in its installer.cfg set "
                 "power-secrets = \"FOLDER\"");
        return NULL;
    }
    rmt_auto_str path = rmt_text("%s/%s", run->config->secrets, run->address);
    const rmt_guarded_t file = {path, "password of a BMC", RMT_GUARDED_SECRET,
                                SECRET_SIZE_MAX};
    if (rmt_guarded_check(&file, error) == 0)
        return rmt_take(&path);
    if (error->code == RMT_E_NOT_FOUND)
        rmt_fail(error, RMT_E_CONFIG,
                 "the engine has no password for it; write it into the file %s, which "
                 "belongs to the user of ramet-installer and has the mode 600",
                 path);
    return NULL;
}

void
power_last_line(char *said)
{
    size_t size = strlen(said);
    while (size > 0 && strchr(" \r\n", said[size - 1]))
        said[--size] = '\0';
    const char *line = strrchr(said, '\n');
    if (line)
        memmove(said, line + 1, strlen(line));
}

// ---- Actions of parts

static int
s_pause(const power_run_t *run, rmt_error_t *error)
{
    const uint32_t left = power_left_ms(run);
    (void) poll(NULL, 0, left < LOOK_MS ? (int) left : LOOK_MS);
    if (!run->go_on(run->context))
        return rmt_fail(error, RMT_E_CANCELLED, "cancelled");
    return 0;
}

// A BMC that says yes and does nothing is found out here. The last look may be cut short
// by the end of the time, and is no answer then.
static int
s_await(power_run_t *run, const power_way_t *way, bool is_wanted_on, rmt_error_t *error)
{
    const char *wanted = is_wanted_on ? "on" : "off";
    bool has_answered = false;
    while (rmt_clock_ms() < run->until_ms) {
        bool is_on;
        if (way->look(run, &is_on, error) == 0)
            has_answered = true;
        else if (has_answered && rmt_clock_ms() >= run->until_ms)
            break;
        else
            return rmt_wrap(error, "the power was told to go %s", wanted);
        if (is_on == is_wanted_on)
            return 0;
        if (s_pause(run, error) == -1)
            return -1;
    }
    return rmt_fail(
        error, RMT_E_TIMEOUT,
        "the BMC took the order, and the power is still %s after %u s; look at "
        "the machine, or restart its BMC",
        is_wanted_on ? "off" : "on", run->config->timeout_ms / 1000);
}

static int
s_turn(power_run_t *run, const power_way_t *way, bool is_wanted_on, rmt_error_t *error)
{
    if (way->tell(run, is_wanted_on ? POWER_GO_ON : POWER_GO_OFF, error) == -1)
        return -1;
    return s_await(run, way, is_wanted_on, error);
}

// Off, seen to be off, and on again: so a BMC that does nothing cannot pass for one that
// has done it.
static int
s_cycle(power_run_t *run, const power_way_t *way, bool is_on, rmt_error_t *error)
{
    if (is_on && s_turn(run, way, false, error) == -1)
        return -1;
    if (s_turn(run, way, true, error) == -1)
        return rmt_wrap(error, "the power is off now");
    return 0;
}

static int
s_do_parts(power_run_t *run, const power_way_t *way, rmt_power_end_t *end,
           rmt_error_t *error)
{
    bool is_on;
    int rc = way->look(run, &is_on, error);
    end->what = is_on ? "on" : "off";
    if (rc == -1 || run->action == RMT_POWER_STATUS)
        return rc;
    const bool is_wanted_on = run->action != RMT_POWER_OFF;
    if (run->action == RMT_POWER_ON || run->action == RMT_POWER_OFF) {
        if (is_on == is_wanted_on)
            snprintf(end->text, sizeof end->text, "it was %s already", end->what);
        else
            rc = s_turn(run, way, is_wanted_on, error);
    } else {
        if (run->action == RMT_POWER_NETBOOT)
            rc = way->tell(run, POWER_NEXT_NETBOOT, error);
        if (rc == 0)
            rc = s_cycle(run, way, is_on, error);
    }
    end->what = is_wanted_on ? "on" : "off";
    return rc;
}

// ---- All ways

static const power_way_t *
s_find(const char *word)
{
    for (size_t i = 0; i < sizeof s_ways / sizeof *s_ways; i++)
        if (strcmp(s_ways[i]->name, word) == 0)
            return s_ways[i];
    return NULL;
}

// The record comes from a broker, which may be in a stranger's hand: its words go onto
// command lines of the engine, and into paths of a BMC.
static int
s_check(const rmt_record_t *target, rmt_error_t *error)
{
    static const struct {
        const char *field;
        int (*check)(const char *text, rmt_error_t *error);
    } rows[] = {{"name", rmt_name_check},
                {"power-address", rmt_switch_check_address},
                {"power-user", rmt_switch_check_user},
                {"power-boot", rmt_switch_check_boot},
                {"power-system", rmt_switch_check_system}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rmt_record_text(target, rows[i].field, "");
        if (*text && rows[i].check(text, error) == -1)
            return rmt_wrap(error, "%s of its record", rows[i].field);
    }
    return 0;
}

int
rmt_power_do(const rmt_power_config_t *config, const rmt_record_t *target,
             rmt_power_action_t action, rmt_power_go_on_fn *go_on, void *context,
             rmt_power_end_t *end_out, rmt_error_t *error)
{
    assert(config && target && go_on && end_out && error);
    const char *word = rmt_record_text(target, "power", "none");
    power_run_t run = {.config = config,
                       .target = target,
                       .name = rmt_record_text(target, "name", "?"),
                       .address = rmt_record_text(target, "power-address", ""),
                       .action = action,
                       .until_ms = rmt_clock_ms() + config->timeout_ms,
                       .go_on = go_on,
                       .context = context};
    *end_out = (rmt_power_end_t){.what = "unknown"};
    const power_way_t *way = s_find(word);
    if (!way)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "target %s: this version cannot switch power by '%.16s'",
                        run.name, word);
    const int rc = s_check(target, error) == -1 ? -1
                   : way->whole                 ? way->whole(&run, end_out, error)
                                                : s_do_parts(&run, way, end_out, error);
    if (rc == -1)
        return rmt_wrap(error, "target %s, %s%s%s", run.name, word,
                        *run.address ? " " : "", run.address);
    return 0;
}
