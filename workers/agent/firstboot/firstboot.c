#include "agent/firstboot/firstboot.h"
#include "agent/install/bundle.h"
#include "agent/firstboot/confirm.h"
#include "agent/firstboot/health.h"
#include "facts/rmt_hosts.h"
#include "agent/firstboot/leave.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "agent/firstboot/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define FOLDER "/" RMT_BUNDLE_FOLDER

const rmt_config_row_t RMT_FIRSTBOOT_ROWS[] = {
    {"brokers", RMT_CONFIG_LIST, NULL, 1, 16, "Brokers, as host or host:base-port."},
    {"broker-key", RMT_CONFIG_TEXT, NULL, 40, 40, "Public key of the brokers."},
    {"key", RMT_CONFIG_PATH, FOLDER "/key", 0, 0,
     "Key file that was made for this boot alone."},
    {"name", RMT_CONFIG_TEXT, NULL, 1, 63, "Name of this target."},
    {"image", RMT_CONFIG_TEXT, NULL, 66, 66, "Id of the image that was installed."},
    {"addresses", RMT_CONFIG_LIST, "", 0, 64, "Addresses that this system must have."},
    {"settle-s", RMT_CONFIG_NUMBER, "120", 0, 3600,
     "Seconds that units and addresses may take to come up."},
    {NULL, 0, NULL, 0, 0, NULL},
};

// Two starters of one system must not run its scripts twice. Returns the lock, or -1:
// IO, LOCKED (another one runs).
static int
s_lock(rmt_error_t *error)
{
    rmt_auto_fd fd = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open " FOLDER);
    if (flock(fd, LOCK_EX | LOCK_NB) == -1)
        return rmt_fail(error, RMT_E_LOCKED, "another first boot agent is running");
    return rmt_take_fd(&fd);
}

static bool
s_is_good(const rmt_records_t *outcomes)
{
    for (size_t i = 0; i < rmt_records_count(outcomes); i++) {
        if (strcmp(rmt_record_text(rmt_records_at(outcomes, i), "exit", ""), "0") != 0)
            return false;
    }
    return true;
}

static int
s_report(const rmt_config_t *config, const rmt_confirm_config_t *confirm,
         rmt_error_t *error)
{
    const rmt_scripts_t scripts = {.folder = "/usr/lib/ramet/scripts",
                                   .table = FOLDER "/" RMT_BUNDLE_SCRIPTS,
                                   .state = FOLDER "/state",
                                   .log = "/var/log/ramet",
                                   .target = confirm->name,
                                   .image = rmt_config_text(config, "image")};
    rmt_confirm_say(confirm, "the system is up; its scripts run");
    rmt_auto(rmt_records) outcomes = rmt_scripts_run(&scripts, error);
    if (!outcomes)
        return rmt_wrap(error, "scripts");
    rmt_auto(rmt_record) report = rmt_record_new();
    rmt_record_set(report, "image", scripts.image);
    if (!s_is_good(outcomes))
        rmt_record_set(report, "degraded", "yes");
    rmt_health_collect(rmt_config_list(config, "addresses"),
                       (unsigned) rmt_config_number(config, "settle-s"), report);
    return rmt_confirm_run(confirm, report, outcomes, error);
}

// A refusal is shown with the target. What is no longer awaited never will
// be again, so that nothing is left to wait for.
static int
s_refused(const rmt_config_t *config, const rmt_confirm_config_t *confirm,
          rmt_error_t *error)
{
    if (error->code != RMT_E_FENCED) {
        rmt_confirm_say(confirm, error->text);
        return -1;
    }
    rmt_log(RMT_WARN, "firstboot.void", "name=%s text=\"%s\"", confirm->name,
            error->text);
    return rmt_leave_run("", rmt_config_text(config, "key"), error);
}

int
rmt_firstboot_run(const rmt_config_t *config, rmt_error_t *error)
{
    rmt_key_t key;
    rmt_auto_fd lock = s_lock(error);
    if (lock == -1 || rmt_key_load(&key, rmt_config_text(config, "key"), error) == -1)
        return -1;
    rmt_auto(rmt_hosts) hosts =
        rmt_hosts_new(rmt_config_list(config, "brokers"), RMT_PORT_AGENTS, error);
    if (!hosts)
        return -1;
    const rmt_confirm_config_t confirm = {.brokers = rmt_hosts_list(hosts),
                                          .own = &key,
                                          .broker_key =
                                              rmt_config_text(config, "broker-key"),
                                          .name = rmt_config_text(config, "name")};
    const int rc = s_report(config, &confirm, error);
    if (rc == -1 && error->code != RMT_E_CANCELLED && error->code != RMT_E_IO)
        return s_refused(config, &confirm, error);
    if (rc == -1)
        return -1;
    rmt_log(RMT_INFO, "firstboot.confirmed", "name=%s image=%s", confirm.name,
            rmt_config_text(config, "image"));
    return rmt_leave_run("", rmt_config_text(config, "key"), error);
}
