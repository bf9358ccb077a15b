#include "system/rmt_cloud_init.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <string.h>

#define FOLDER "/etc/cloud"
#define SWITCH FOLDER "/cloud-init.disabled"
#define SETTINGS FOLDER "/cloud.cfg.d/99-ramet.cfg"

// The switch is read by the generator that starts cloud-init with systemd; the settings
// hold where something else starts it.
static const char s_switch[] =
    "Written by ramet: this is a copy, and its accounts and keys are there already.\n";
static const char s_nothing[] =
    "# Written by ramet: this is a copy and not a new instance.\n"
    "cloud_init_modules: []\n"
    "cloud_config_modules: []\n"
    "cloud_final_modules: []\n"
    "users: []\n";

// The line that lets cloud-init find no source of data.
static void
s_give_sources_back(rmt_records_t *actions)
{
    static const char line[] = "datasource_list: [None]\n";
    rmt_record_t *action = rmt_records_find(actions, "path", SETTINGS);
    const char *text = action ? rmt_record_text(action, "content", "") : "";
    const char *at = strstr(text, line);
    if (!at)
        return;
    rmt_auto_str rest = rmt_text("%.*s%s", (int) (at - text), text, at + sizeof line - 1);
    rmt_record_set(action, "content", rest);
}

void
rmt_cloud_init_plan(int root_fd, bool is_new, rmt_records_t *actions)
{
    if (!rmt_rooted_exists(root_fd, FOLDER "/cloud.cfg.d") &&
        !rmt_rooted_exists(root_fd, FOLDER "/cloud.cfg"))
        return;
    if (is_new) {
        s_give_sources_back(actions);
        if (rmt_rooted_kind(root_fd, SWITCH))
            rmt_action_remove(actions, SWITCH, "cloud-init");
        return;
    }
    rmt_action_write(actions, SWITCH, "cloud-init", 0644, s_switch, sizeof s_switch - 1);
    rmt_action_write(actions, FOLDER "/cloud.cfg.d/99-ramet-copy.cfg", "cloud-init", 0644,
                     s_nothing, sizeof s_nothing - 1);
}
