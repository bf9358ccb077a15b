#include "system/rmt_init.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_lines.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

// What /sbin/init may lead to. A program that reads /etc/inittab starts what stands
// there.
static const struct {
    const char *program; // Pattern of fnmatch
    const char *name;    // NULL: as its tables say
} s_programs[] = {
    {"systemd", "systemd"},  {"openrc-init", "openrc"}, {"runit", "runit"},
    {"runit-init", "runit"}, {"busybox*", NULL},        {"init", NULL},
    {"sysvinit", NULL},      {"upstart", NULL},
};

static bool
s_has(int root_fd, const char *const *paths)
{
    for (; *paths; paths++)
        if (rmt_rooted_exists(root_fd, *paths))
            return true;
    return false;
}

// The last part of what /sbin/init is or points to; "" where there is none.
static char *
s_program(int root_fd)
{
    rmt_auto_str real = rmt_rooted_real(root_fd, "/sbin/init");
    rmt_auto_str folder = rmt_rooted_real(root_fd, "/sbin");
    rmt_auto_str link = rmt_text("%s/init", folder ? folder : "/sbin");
    rmt_auto_str target = real ? NULL : rmt_rooted_readlink(root_fd, link);
    const char *path = real ? real : target ? target : "";
    const char *slash = strrchr(path, '/');
    return rmt_text("%s", slash ? slash + 1 : path);
}

// ---- /etc/inittab: ID:LEVELS:ACTION:PROGRAM

typedef struct {
    bool has_any;    // There is a table
    bool has_level;  // It names the level to start with, as busybox's does not
    bool has_openrc; // It starts OpenRC
} table_t;

static int
s_read_table(int root_fd, table_t *table_out, rmt_error_t *error)
{
    rmt_auto_str text = NULL;
    if (rmt_rooted_load(root_fd, "/etc/inittab", &text, NULL, error) == -1)
        return -1;
    table_out->has_any = text != NULL;
    if (!text)
        return 0;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        line = rmt_lines_trim(line);
        if (line[0] == '#')
            continue;
        table_out->has_level = table_out->has_level || strstr(line, ":initdefault:");
        table_out->has_openrc =
            table_out->has_openrc || strstr(line, "/openrc") || strstr(line, "/sbin/rc ");
    }
    return 0;
}

// ---- Which one

// "none" for what has no table that starts services.
static const char *
s_by_tables(int root_fd, const table_t *table, bool is_busybox)
{
    static const char *const levels[] = {"/etc/runlevels/default", NULL};
    static const char *const systemd[] = {"/lib/systemd/systemd",
                                          "/usr/lib/systemd/systemd", NULL};
    static const char *const scripts[] = {"/etc/init.d/rcS", "/etc/rc2.d",
                                          "/etc/rc3.d",      "/etc/rc.d/rc2.d",
                                          "/etc/rc.d/rc3.d", NULL};
    // Folders of rc scripts remain on systems of systemd, and say nothing there.
    static const char *const others[] = {"/etc/rc4.d", "/etc/rc5.d", "/etc/rc.d/rc4.d",
                                         "/etc/rc.d/rc5.d", NULL};
    if (table->has_openrc && s_has(root_fd, levels))
        return "openrc";
    if (table->has_any && table->has_level && !is_busybox)
        return "sysv";
    if (is_busybox || table->has_any)
        return table->has_any || s_has(root_fd, scripts) ? "busybox" : "none";
    if (s_has(root_fd, systemd))
        return "systemd";
    return s_has(root_fd, scripts) || s_has(root_fd, others) ? "sysv" : "none";
}

// An init without a name of its own that has a folder of settings.
static const char *
s_by_folder(int root_fd)
{
    static const struct {
        const char *folder;
        const char *name;
    } rows[] = {{"/etc/s6-linux-init", "s6-linux-init"},
                {"/etc/s6-rc", "s6-rc"},
                {"/etc/dinit.d", "dinit"},
                {"/etc/finit.d", "finit"},
                {"/etc/66", "66"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rmt_rooted_exists(root_fd, rows[i].folder))
            return rows[i].name;
    return NULL;
}

int
rmt_init_look(int root_fd, rmt_init_t *init_out, rmt_error_t *error)
{
    static const char *const systemd[] = {"/lib/systemd/systemd",
                                          "/usr/lib/systemd/systemd", NULL};
    table_t table = {.has_any = false};
    rmt_auto_str program = s_program(root_fd);
    const char *name = program;
    if (s_read_table(root_fd, &table, error) == -1)
        return -1;
    for (size_t i = 0; i < sizeof s_programs / sizeof *s_programs; i++) {
        if (fnmatch(s_programs[i].program, program, 0) != 0)
            continue;
        name = s_programs[i].name;
        break;
    }
    const bool is_busybox = strncmp(program, "busybox", 7) == 0;
    if (name && !*name) // No /sbin/init: a system may be cut down to what it needs
        name = s_has(root_fd, systemd) ? "systemd" : NULL;
    if (!name)
        name = s_by_tables(root_fd, &table, is_busybox);
    const char *other = strcmp(name, "none") == 0 ? s_by_folder(root_fd) : NULL;
    snprintf(init_out->name, sizeof init_out->name, "%s", other ? other : name);
    return 0;
}
