#include "rmt_personal.h"
#include "rmt_action.h"
#include "rmt_auto.h"
#include "rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define FOLDER "/usr/lib/ramet"
#define UNIT "ramet-firstboot.service"
#define UNIT_FOLDER "/etc/systemd/system"
#define SCRIPT_COUNT_MAX 99

// One plain file name.
static bool
s_is_name(const char *name)
{
    if (!name[0] || name[0] == '.' || strlen(name) > 200)
        return false;
    for (; *name; name++) {
        if (!isalnum((unsigned char) *name) && !strchr("._-+", *name))
            return false;
    }
    return true;
}

static bool
s_is_line(const char *text)
{
    if (text[0] != '/')
        return false;
    for (; *text; text++) {
        if (iscntrl((unsigned char) *text))
            return false;
    }
    return true;
}

// After multi-user.target, so that the report can tell which units failed.
static void
s_plan_unit(const char *command, rmt_records_t *actions)
{
    rmt_auto_str unit =
        rmt_text("[Unit]\n"
                 "Description=First boot of a system that ramet has installed\n"
                 "ConditionPathExists=" FOLDER "/firstboot\n"
                 "Wants=network-online.target\n"
                 "After=multi-user.target network-online.target\n"
                 "\n"
                 "[Service]\n"
                 "Type=oneshot\n"
                 "ExecStart=%s\n"
                 "TimeoutStartSec=900\n"
                 "\n"
                 "[Install]\n"
                 "WantedBy=multi-user.target\n",
                 command);
    rmt_action_write(actions, UNIT_FOLDER "/" UNIT, "first-boot", 0644, unit,
                     strlen(unit));
    rmt_action_link(actions, UNIT_FOLDER "/multi-user.target.wants/" UNIT, "first-boot",
                    "../" UNIT);
}

int
rmt_personal_first_boot(const char *command, const rmt_records_t *files,
                        rmt_records_t *actions, rmt_error_t *error)
{
    assert(files);
    assert(actions);
    if (!s_is_line(command))
        return rmt_fail(error, RMT_E_USAGE,
                        "first boot command is no line with a full path");
    size_t scripts = 0;
    for (size_t i = 0; i < rmt_records_count(files); i++) {
        const rmt_record_t *file = rmt_records_at(files, i);
        const char *class = rmt_record_text(file, "class", "");
        const char *name = rmt_record_text(file, "name", "");
        const bool is_script = strcmp(class, "script") == 0;
        size_t size = 0;
        const void *content = rmt_record_get(file, "content", &size);
        if (!s_is_name(name) || !content || (!is_script && strcmp(class, "file") != 0))
            return rmt_fail(error, RMT_E_USAGE, "first boot file '%s' of class '%s'",
                            name, class);
        if (is_script && ++scripts > SCRIPT_COUNT_MAX)
            return rmt_fail(error, RMT_E_USAGE, "more than %d scripts", SCRIPT_COUNT_MAX);
        rmt_auto_str path = is_script
                                ? rmt_text(FOLDER "/scripts/%02zu-%s", scripts, name)
                                : rmt_text(FOLDER "/firstboot/%s", name);
        const char *mode = rmt_record_text(file, "mode", is_script ? "0700" : "0600");
        rmt_action_write(actions, path, is_script ? "script" : "first-boot",
                         (unsigned) strtoul(mode, NULL, 8) & 0777, content, size);
    }
    s_plan_unit(command, actions);
    return 0;
}
