#include "firstboot.h"
#include "bundle.h"
#include "confirm.h"
#include "health.h"
#include "hosts.h"
#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_log.h"

#include <errno.h>

#define FOLDER "/" RMT_BUNDLE_FOLDER
#define SCRIPTS_FOLDER "/usr/lib/ramet/scripts"
#define WANTS_PATH "/etc/systemd/system/multi-user.target.wants/" RMT_BUNDLE_UNIT

const rmt_config_row_t RMT_FIRSTBOOT_ROWS[] = {
    {"brokers", RMT_CONFIG_LIST, NULL, 1, 16, "Brokers, as host or host:base-port."},
    {"broker-key", RMT_CONFIG_TEXT, NULL, 40, 40, "Public key of the brokers."},
    {"key", RMT_CONFIG_PATH, FOLDER "/key", 0, 0, "Key made for this boot alone."},
    {"name", RMT_CONFIG_TEXT, NULL, 1, 63, "Name of this target."},
    {"image", RMT_CONFIG_TEXT, NULL, 66, 66, "Id of the image that was installed."},
    {NULL, 0, NULL, 0, 0, NULL},
};

static int
s_remove(const char *path, rmt_error_t *error)
{
    if (unlink(path) == -1 && errno != ENOENT)
        return rmt_fail_errno(error, "remove %s", path);
    return 0;
}

// The key first: whatever stays behind then, nobody can report with it again.
static int
s_disable(const rmt_config_t *config, rmt_error_t *error)
{
    const char *key = rmt_config_text(config, "key");
    if (s_remove(key, error) == -1 || s_remove(FOLDER "/firstboot.cfg", error) == -1 ||
        s_remove(WANTS_PATH, error) == -1)
        return -1;
    return rmt_io_sync_parent(key, error);
}

int
rmt_firstboot_run(const rmt_config_t *config, rmt_error_t *error)
{
    rmt_key_t key;
    if (rmt_key_load(&key, rmt_config_text(config, "key"), error) == -1)
        return -1;
    rmt_auto(rmt_hosts) hosts =
        rmt_hosts_new(rmt_config_list(config, "brokers"), RMT_PORT_AGENTS, error);
    if (!hosts)
        return -1;
    rmt_auto(rmt_record) report = rmt_record_new();
    rmt_record_set(report, "image", rmt_config_text(config, "image"));
    rmt_health_run_scripts(SCRIPTS_FOLDER, report);
    rmt_health_collect(report);
    const rmt_confirm_config_t confirm = {.brokers = rmt_hosts_list(hosts),
                                          .own = &key,
                                          .broker_key =
                                              rmt_config_text(config, "broker-key"),
                                          .name = rmt_config_text(config, "name")};
    if (rmt_confirm_run(&confirm, report, error) == -1)
        return -1;
    rmt_log(RMT_INFO, "firstboot.confirmed", "name=%s image=%s", confirm.name,
            rmt_config_text(config, "image"));
    return s_disable(config, error);
}
