#include "system/rmt_personal.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
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
        if (iscntrl((unsigned char) *text) || *text == '\'')
            return false;
    }
    return true;
}

static void
s_write(rmt_records_t *actions, const char *path, unsigned mode, const char *text)
{
    rmt_action_write(actions, path, "first-boot", mode, text, strlen(text));
}

// ---- What starts the agent

// After multi-user.target, so that the report can tell which units failed; not a one-shot
// unit, which the boot would wait for, as it goes on until a broker answers. Wrong
// settings or a wrong key (64, 77, 78) are not changed by another start.
static void
s_plan_systemd(const char *command, rmt_records_t *actions)
{
    rmt_auto_str unit =
        rmt_text("[Unit]\n"
                 "Description=First boot of a system that ramet has installed\n"
                 "ConditionPathExists=" FOLDER "/firstboot/key\n"
                 "After=multi-user.target network-online.target\n"
                 "\n"
                 "[Service]\n"
                 "Type=simple\n"
                 "ExecStart=%s\n"
                 "Restart=on-failure\n"
                 "RestartSec=60\n"
                 "RestartPreventExitStatus=64 77 78\n"
                 "\n"
                 "[Install]\n"
                 "WantedBy=multi-user.target\n",
                 command);
    s_write(actions, UNIT_FOLDER "/" UNIT, 0644, unit);
    rmt_action_link(actions, UNIT_FOLDER "/multi-user.target.wants/" UNIT, "first-boot",
                    "../" UNIT);
}

static void
s_plan_script(const char *path, const char *command, rmt_records_t *actions)
{
    rmt_auto_str script =
        rmt_text("#!/bin/sh\n"
                 "### BEGIN INIT INFO\n"
                 "# Provides:          ramet-firstboot\n"
                 "# Required-Start:    $remote_fs $network\n"
                 "# Required-Stop:\n"
                 "# Default-Start:     2 3 4 5\n"
                 "# Default-Stop:\n"
                 "# Short-Description: First boot of a system that ramet has installed\n"
                 "### END INIT INFO\n"
                 "command='%s'\n"
                 "case \"$1\" in\n"
                 "start) [ ! -f " FOLDER "/firstboot/key ] ||\n"
                 "  $command </dev/null >>" FOLDER "/firstboot/log 2>&1 & ;;\n"
                 "esac\n"
                 "exit 0\n",
                 command);
    s_write(actions, path, 0755, script);
}

// Append a line of ramet's to a file of the system, before a last `exit` or `exec`.
static int
s_plan_line(int root_fd, const char *path, unsigned mode, const char *line,
            rmt_records_t *actions, rmt_error_t *error)
{
    rmt_auto_str old = NULL;
    if (rmt_rooted_load(root_fd, path, &old, NULL, error) == -1)
        return -1;
    size_t end = old ? strlen(old) : 0;
    while (end && isspace((unsigned char) old[end - 1]))
        end--;
    size_t last = end;
    while (last && old[last - 1] != '\n')
        last--;
    const bool is_leaving = old && (strncmp(old + last, "exit", 4) == 0 ||
                                    strncmp(old + last, "exec ", 5) == 0);
    const size_t at = is_leaving ? last : end;
    rmt_auto_str text =
        rmt_text("%.*s%s%s\n%s", (int) at, old ? old : "",
                 at && old[at - 1] != '\n' ? "\n" : "", line, is_leaving ? old + at : "");
    s_write(actions, path, mode, text);
    return 0;
}

// The first of these that is a folder; the links to it of some systems are not followed.
static const char *
s_folder(int root_fd, const char *first, const char *second)
{
    return rmt_rooted_kind(root_fd, first) == S_IFDIR    ? first
           : rmt_rooted_kind(root_fd, second) == S_IFDIR ? second
                                                         : NULL;
}

static bool
s_plan_runlevels(int root_fd, const char *script, rmt_records_t *actions)
{
    bool found = false;
    for (int level = '2'; level <= '5'; level++) {
        rmt_auto_str first = rmt_text("/etc/rc%c.d", level);
        rmt_auto_str second = rmt_text("/etc/rc.d/rc%c.d", level);
        const char *folder = s_folder(root_fd, first, second);
        if (!folder)
            continue;
        rmt_auto_str link = rmt_text("%s/S99" RMT_PERSONAL_MARK, folder);
        rmt_action_link(actions, link, "first-boot", script);
        found = true;
    }
    return found;
}

// Its inittab looks alike, and knows no runlevels.
static bool
s_is_busybox(int root_fd)
{
    rmt_auto_str target = rmt_rooted_readlink(root_fd, "/sbin/init");
    return target && strstr(target, "busybox");
}

// One way alone, or the agent would be started twice. A table of init's own is the
// surest: it needs neither the order of rc scripts nor their dependencies.
static int
s_plan_sysv(int root_fd, const char *command, rmt_records_t *actions, rmt_error_t *error)
{
    const char *folder = s_folder(root_fd, "/etc/init.d", "/etc/rc.d/init.d");
    rmt_auto_str script =
        rmt_text("%s/" RMT_PERSONAL_MARK, folder ? folder : "/etc/init.d");
    s_plan_script(script, command, actions);
    rmt_auto_str table = NULL;
    if (rmt_rooted_load(root_fd, "/etc/inittab", &table, NULL, error) == -1)
        return -1;
    if (table && strstr(table, ":initdefault:") && !s_is_busybox(root_fd)) {
        rmt_auto_str line = rmt_text("rmt1:2345:once:%s start", script);
        return s_plan_line(root_fd, "/etc/inittab", 0644, line, actions, error);
    }
    if (table && strstr(table, "::sysinit:")) {
        rmt_auto_str line = rmt_text("::once:%s start", script);
        return s_plan_line(root_fd, "/etc/inittab", 0644, line, actions, error);
    }
    if (s_plan_runlevels(root_fd, script, actions))
        return 0;
    if (rmt_rooted_kind(root_fd, "/etc/init.d/rcS") == S_IFREG) {
        rmt_auto_str line = rmt_text("%s start", script);
        return s_plan_line(root_fd, "/etc/init.d/rcS", 0755, line, actions, error);
    }
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "the image has no program that starts services at boot: neither "
                    "systemd, nor inittab, rc folders or rcS");
}

static int
s_plan_starter(int root_fd, const char *command, rmt_records_t *actions,
               rmt_error_t *error)
{
    if (rmt_rooted_exists(root_fd, "/lib/systemd/systemd") ||
        rmt_rooted_exists(root_fd, "/usr/lib/systemd/systemd")) {
        s_plan_systemd(command, actions);
        return 0;
    }
    return s_plan_sysv(root_fd, command, actions, error);
}

const char *const RMT_PERSONAL_STARTERS[] = {
    UNIT_FOLDER "/multi-user.target.wants/" UNIT,
    UNIT_FOLDER "/" UNIT,
    "/etc/rc2.d/S99" RMT_PERSONAL_MARK,
    "/etc/rc3.d/S99" RMT_PERSONAL_MARK,
    "/etc/rc4.d/S99" RMT_PERSONAL_MARK,
    "/etc/rc5.d/S99" RMT_PERSONAL_MARK,
    "/etc/init.d/" RMT_PERSONAL_MARK,
    "/etc/rc.d/init.d/" RMT_PERSONAL_MARK,
    NULL,
};

const char *const RMT_PERSONAL_LINES[] = {"/etc/inittab", "/etc/init.d/rcS", NULL};

// ---- Files

// The time limits of scripts, one a line, for those that have one.
static void
s_print_limit(FILE *out, const rmt_record_t *file, const char *path)
{
    const uint64_t seconds = rmt_record_u64(file, "timeout-s", 0);
    if (seconds)
        fprintf(out, "%s %llu\n", strrchr(path, '/') + 1, (unsigned long long) seconds);
}

static int
s_plan_files(const rmt_records_t *files, FILE *limits, rmt_records_t *actions,
             rmt_error_t *error)
{
    size_t scripts = 0;
    for (size_t i = 0; i < rmt_records_count(files); i++) {
        const rmt_record_t *file = rmt_records_at(files, i);
        const char *class = rmt_record_text(file, "class", "");
        const char *name = rmt_record_text(file, "name", "");
        const bool is_script = strcmp(class, "script") == 0;
        size_t size = 0;
        const void *content = rmt_record_get(file, "content", &size);
        if (!s_is_name(name) || !content || (!is_script && strcmp(class, "file") != 0))
            return rmt_fail(error, RMT_E_USAGE,
                            "the first boot file '%s' of class '%s' has a bad name, an "
                            "unknown class or no content",
                            name, class);
        if (is_script && ++scripts > SCRIPT_COUNT_MAX)
            return rmt_fail(error, RMT_E_USAGE, "the order has more than %d scripts",
                            SCRIPT_COUNT_MAX);
        rmt_auto_str path = is_script
                                ? rmt_text(FOLDER "/scripts/%02zu-%s", scripts, name)
                                : rmt_text(FOLDER "/firstboot/%s", name);
        const char *mode = rmt_record_text(file, "mode", is_script ? "0700" : "0600");
        rmt_action_write(actions, path, is_script ? "script" : "first-boot",
                         (unsigned) strtoul(mode, NULL, 8) & 0777, content, size);
        if (is_script)
            s_print_limit(limits, file, path);
    }
    return 0;
}

int
rmt_personal_first_boot(int root_fd, const char *command, const rmt_records_t *files,
                        rmt_records_t *actions, rmt_error_t *error)
{
    assert(files);
    assert(actions);
    if (!s_is_line(command))
        return rmt_fail(error, RMT_E_USAGE,
                        "the first boot command must be one line with an absolute path");
    char *limits = NULL;
    size_t size;
    FILE *out = open_memstream(&limits, &size);
    const int rc = s_plan_files(files, out, actions, error);
    if (fclose(out))
        abort();
    if (rc == 0 && size)
        s_write(actions, FOLDER "/firstboot/scripts", 0600, limits);
    free(limits);
    return rc == -1 ? -1 : s_plan_starter(root_fd, command, actions, error);
}
