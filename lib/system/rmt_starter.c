#include "system/rmt_starter.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_action.h"
#include "system/rmt_init.h"
#include "system/rmt_personal.h"

#include <ctype.h>
#include <string.h>

#define FOLDER "/usr/lib/ramet"
#define NAME RMT_PERSONAL_MARK
#define UNIT NAME ".service"
#define UNIT_FOLDER "/etc/systemd/system"

// The agent's output is kept where its key is, and goes with it. Where nothing can be
// written the agent starts as well: a shell runs no command whose output it cannot open,
// and ends itself when that is a built-in one.
#define CHOOSE_LOG                                                                       \
    "log=" FOLDER "/firstboot/log\n"                                                     \
    "(: >>\"$log\") 2>/dev/null || log=/dev/null\n"

// The agent goes on until a broker answers, so that nothing may wait for its end.
#define IN_BACKGROUND                                                                    \
    "[ ! -f " FOLDER "/firstboot/key ] || {\n" CHOOSE_LOG                                \
    "$command </dev/null >>\"$log\" 2>&1 &\n"                                            \
    "}"

static void
s_write(rmt_records_t *actions, const char *path, unsigned mode, const char *text)
{
    rmt_action_write(actions, path, "first-boot", mode, text, strlen(text));
}

// The first of these that is a folder, or NULL.
static const char *
s_folder(int root_fd, const char *const *paths)
{
    while (*paths && rmt_rooted_kind(root_fd, *paths) != S_IFDIR)
        paths++;
    return *paths;
}

// ---- systemd

// After multi-user.target, so that the report can tell which units failed; not a one-shot
// unit, which the boot would wait for, as it goes on until a broker answers. Wrong
// settings or a wrong key (64, 77, 78) are not changed by another start.
static int
s_plan_systemd(int root_fd, const char *command, rmt_records_t *actions,
               rmt_error_t *error)
{
    (void) root_fd;
    (void) error;
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
    return 0;
}

// ---- OpenRC

// A service of the level that a system ends its start with. What it is run by is older
// than its name.
static int
s_plan_openrc(int root_fd, const char *command, rmt_records_t *actions,
              rmt_error_t *error)
{
    static const char *const programs[] = {"/sbin/openrc-run", "/usr/sbin/openrc-run",
                                           "/usr/bin/openrc-run", "/sbin/runscript",
                                           NULL};
    static const char *const levels[] = {"/etc/runlevels/default", NULL};
    const char *const *program = programs;
    while (*program && !rmt_rooted_exists(root_fd, *program))
        program++;
    if (!*program || !s_folder(root_fd, levels))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the image starts its services with OpenRC, and has no %s; make "
                        "it on the source: rc-update add local default",
                        *program ? levels[0] : programs[0]);
    rmt_auto_str script =
        rmt_text("#!%s\n"
                 "description=\"First boot of a system that ramet has installed\"\n"
                 "command='%s'\n"
                 "depend() {\n"
                 "  after *\n"
                 "}\n"
                 "start() {\n" IN_BACKGROUND "\n"
                 "  eend 0\n"
                 "}\n"
                 "stop() {\n"
                 "  return 0\n"
                 "}\n",
                 *program, command);
    s_write(actions, "/etc/init.d/" NAME, 0755, script);
    rmt_action_link(actions, "/etc/runlevels/default/" NAME, "first-boot",
                    "/etc/init.d/" NAME);
    return 0;
}

// ---- runit

// runsv starts `run` again whenever it ends, and `finish` in between: it ends the service
// when another start changes nothing.
static int
s_plan_runit(int root_fd, const char *command, rmt_records_t *actions, rmt_error_t *error)
{
    static const char *const services[] = {"/etc/runit/sv", "/etc/sv", NULL};
    static const char *const levels[] = {"/etc/runit/runsvdir/default", "/etc/service",
                                         "/var/service", "/service", NULL};
    const char *service = s_folder(root_fd, services);
    const char *level = s_folder(root_fd, levels);
    if (!level)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the image starts its services with runit, and has none of the "
                        "folders that hold them, such as %s",
                        levels[0]);
    rmt_auto_str folder = rmt_text("%s/" NAME, service ? service : "/etc/sv");
    rmt_auto_str run =
        rmt_text("#!/bin/sh\n"
                 "command='%s'\n"
                 "[ -f " FOLDER "/firstboot/key ] || exec sv down %s\n" CHOOSE_LOG
                 "exec $command </dev/null >>\"$log\" 2>&1\n",
                 command, folder);
    rmt_auto_str finish = rmt_text("#!/bin/sh\n"
                                   "case $1 in\n"
                                   "64 | 77 | 78) exec sv down %s ;;\n"
                                   "0) ;;\n"
                                   "*) sleep 60 ;;\n"
                                   "esac\n",
                                   folder);
    rmt_auto_str run_path = rmt_text("%s/run", folder);
    rmt_auto_str finish_path = rmt_text("%s/finish", folder);
    rmt_auto_str link = rmt_text("%s/" NAME, level);
    s_write(actions, run_path, 0755, run);
    s_write(actions, finish_path, 0755, finish);
    rmt_action_link(actions, link, "first-boot", folder);
    return 0;
}

// ---- Tables and scripts of init

static void
s_plan_script(const char *path, const char *command, rmt_records_t *actions)
{
    rmt_auto_str script =
        rmt_text("#!/bin/sh\n"
                 "### BEGIN INIT INFO\n"
                 "# Provides:          " NAME "\n"
                 "# Required-Start:    $remote_fs $network\n"
                 "# Required-Stop:\n"
                 "# Default-Start:     2 3 4 5\n"
                 "# Default-Stop:\n"
                 "# Short-Description: First boot of a system that ramet has installed\n"
                 "### END INIT INFO\n"
                 "command='%s'\n"
                 "case \"$1\" in\n"
                 "start) " IN_BACKGROUND " ;;\n"
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

static bool
s_plan_runlevels(int root_fd, const char *script, rmt_records_t *actions)
{
    bool found = false;
    for (int level = '2'; level <= '5'; level++) {
        rmt_auto_str first = rmt_text("/etc/rc%c.d", level);
        rmt_auto_str second = rmt_text("/etc/rc.d/rc%c.d", level);
        // The links to it of some systems are not followed.
        const char *const folders[] = {first, second, NULL};
        const char *folder = s_folder(root_fd, folders);
        if (!folder)
            continue;
        rmt_auto_str link = rmt_text("%s/S99" NAME, folder);
        rmt_action_link(actions, link, "first-boot", script);
        found = true;
    }
    return found;
}

static char *
s_script_path(int root_fd)
{
    static const char *const folders[] = {"/etc/init.d", "/etc/rc.d/init.d", NULL};
    const char *folder = s_folder(root_fd, folders);
    return rmt_text("%s/" NAME, folder ? folder : "/etc/init.d");
}

// One way alone, or the agent would be started twice. A table of init's own is the
// surest: it needs neither the order of rc scripts nor their dependencies.
static int
s_plan_sysv(int root_fd, const char *command, rmt_records_t *actions, rmt_error_t *error)
{
    rmt_auto_str script = s_script_path(root_fd);
    s_plan_script(script, command, actions);
    if (rmt_rooted_exists(root_fd, "/etc/inittab")) {
        rmt_auto_str line = rmt_text("rmt1:2345:once:%s start", script);
        return s_plan_line(root_fd, "/etc/inittab", 0644, line, actions, error);
    }
    if (s_plan_runlevels(root_fd, script, actions))
        return 0;
    rmt_auto_str line = rmt_text("%s start", script);
    return s_plan_line(root_fd, "/etc/init.d/rcS", 0755, line, actions, error);
}

// Its table knows no levels; without one it runs rcS.
static int
s_plan_busybox(int root_fd, const char *command, rmt_records_t *actions,
               rmt_error_t *error)
{
    rmt_auto_str script = s_script_path(root_fd);
    s_plan_script(script, command, actions);
    if (rmt_rooted_exists(root_fd, "/etc/inittab")) {
        rmt_auto_str line = rmt_text("::once:%s start", script);
        return s_plan_line(root_fd, "/etc/inittab", 0644, line, actions, error);
    }
    rmt_auto_str line = rmt_text("%s start", script);
    return s_plan_line(root_fd, "/etc/init.d/rcS", 0755, line, actions, error);
}

// ---- The table

static const struct {
    const char *init;
    int (*plan)(int root_fd, const char *command, rmt_records_t *actions,
                rmt_error_t *error);
} s_rows[] = {
    {"systemd", s_plan_systemd}, {"openrc", s_plan_openrc}, {"runit", s_plan_runit},
    {"busybox", s_plan_busybox}, {"sysv", s_plan_sysv},
};

int
rmt_starter_plan(int root_fd, const char *command, rmt_records_t *actions,
                 rmt_error_t *error)
{
    rmt_init_t init;
    if (rmt_init_look(root_fd, &init, error) == -1)
        return -1;
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++)
        if (strcmp(s_rows[i].init, init.name) == 0)
            return s_rows[i].plan(root_fd, command, actions, error);
    if (strcmp(init.name, "none") == 0)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the image has no program that starts services at boot: neither "
                        "systemd, nor inittab, rc folders or rcS");
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "the image starts its services with %s, which ramet does not know, "
                    "so that no copy could report; known are systemd, OpenRC, runit, "
                    "sysvinit and busybox",
                    init.name);
}

const char *const RMT_PERSONAL_STARTERS[] = {
    UNIT_FOLDER "/multi-user.target.wants/" UNIT,
    UNIT_FOLDER "/" UNIT,
    "/etc/runlevels/default/" NAME,
    "/etc/runit/runsvdir/default/" NAME,
    "/etc/service/" NAME,
    "/var/service/" NAME,
    "/service/" NAME,
    "/etc/runit/sv/" NAME,
    "/etc/sv/" NAME,
    "/etc/rc2.d/S99" NAME,
    "/etc/rc3.d/S99" NAME,
    "/etc/rc4.d/S99" NAME,
    "/etc/rc5.d/S99" NAME,
    "/etc/rc.d/rc2.d/S99" NAME,
    "/etc/rc.d/rc3.d/S99" NAME,
    "/etc/rc.d/rc4.d/S99" NAME,
    "/etc/rc.d/rc5.d/S99" NAME,
    "/etc/init.d/" NAME,
    "/etc/rc.d/init.d/" NAME,
    NULL,
};

const char *const RMT_PERSONAL_LINES[] = {"/etc/inittab", "/etc/init.d/rcS", NULL};
