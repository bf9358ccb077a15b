// Scripts and units that are run at a start or with an interface: a command in one of
// them that gives a machine its address, MAC or name cannot be taken away, and refuses
// the plan.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_command.h"
#include "system/rmt_ini.h"
#include "system/rmt_lines.h"
#include "system/rmt_shell.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define NESTED_MAX 3
#define SCRIPT_SIZE_MAX ((size_t) 1024 * 1024)

typedef struct {
    rmt_netscan_t *scan;
    const char *path;
    unsigned line;  // Of the text that is looked at, 0 for a whole file
    bool is_strict; // A local script
    unsigned nested;
} script_t;

static void s_look(const script_t *self, char *text);

static void
s_judge(const script_t *self, const rmt_command_t *command, unsigned line)
{
    char what[120];
    if (command->count && rmt_command_judge(command, self->is_strict, what, sizeof what))
        rmt_netscan_refuse(self->scan, self->path, self->line ? self->line : line,
                           "%s by a command", what);
}

// sh -c 'TEXT'
static void
s_look_inside(const script_t *self, const rmt_shell_t *shell,
              const rmt_command_t *command)
{
    if (!shell->is_quoted || command->count < 2 || self->nested == NESTED_MAX ||
        command->words[command->count - 2][0] != '-' ||
        !strchr(command->words[command->count - 2], 'c'))
        return;
    script_t below = *self;
    below.nested++;
    below.line = self->line ? self->line : shell->line;
    rmt_auto_str text = rmt_text("%s", shell->word);
    s_look(&below, text);
}

static void
s_look(const script_t *self, char *text)
{
    rmt_shell_t shell;
    rmt_command_t command = {.count = 0};
    unsigned line = 0;
    bool is_file = false; // The word that follows is one that output goes to
    rmt_shell_begin(&shell, text);
    for (;;) {
        const rmt_shell_kind_t kind = rmt_shell_next(&shell);
        if (kind == RMT_SHELL_WORD) {
            line = command.count ? line : shell.line;
            if (!is_file && command.count < RMT_COMMAND_WORDS_MAX) {
                command.dynamic[command.count] = shell.is_dynamic;
                command.words[command.count++] = shell.word;
                s_look_inside(self, &shell, &command);
            }
            is_file = false;
            continue;
        }
        is_file = kind == RMT_SHELL_MARK && (shell.mark == '<' || shell.mark == '>');
        if (is_file)
            continue;
        s_judge(self, &command, line);
        command.count = 0;
        if (kind == RMT_SHELL_EOF)
            return;
    }
}

// ---- Files

// A program that is no text has a NUL byte, and is not looked at.
static int
s_load(rmt_netscan_t *scan, const char *path, char **text_out)
{
    size_t size = 0;
    rmt_auto_str text = NULL;
    if (rmt_rooted_kind(scan->root_fd, path) == S_IFLNK) {
        rmt_auto_str target = rmt_rooted_readlink(scan->root_fd, path);
        if (target && strcmp(target, "/dev/null") == 0)
            return 0;
    }
    if (rmt_rooted_load(scan->root_fd, path, &text, &size, scan->error) == -1)
        return scan->error->code == RMT_E_TOO_BIG ? 0 : -1;
    if (text && strlen(text) == size && size <= SCRIPT_SIZE_MAX)
        *text_out = rmt_take(&text);
    return 0;
}

static int
s_read_script(rmt_netscan_t *scan, const char *path, bool is_strict)
{
    rmt_auto_str text = NULL;
    if (s_load(scan, path, &text) == -1)
        return -1;
    const script_t script = {.scan = scan, .path = path, .is_strict = is_strict};
    s_look(&script, text);
    return 0;
}

static int
s_read_local(rmt_netscan_t *scan, const char *path)
{
    return s_read_script(scan, path, true);
}

static int
s_read_package(rmt_netscan_t *scan, const char *path)
{
    return s_read_script(scan, path, false);
}

// ---- Units: their commands, and the local scripts that these name

static int
s_follow(rmt_netscan_t *scan, const char *value)
{
    static const char *const local[] = {"/usr/local/", "/opt/", "/root/",
                                        "/etc/",       "/srv/", "/home/"};
    rmt_auto_str words = rmt_text("%s", value);
    char *rest = words;
    for (const char *word; (word = rmt_lines_word(&rest, " \t\"';"));) {
        word += strspn(word, "-@+!:|");
        for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
            rmt_auto_str text = NULL;
            if (strncmp(word, local[i], strlen(local[i])) != 0)
                continue;
            if (s_load(scan, word, &text) == -1)
                return -1;
            if (!text || strncmp(text, "#!", 2) != 0)
                continue;
            const script_t script = {.scan = scan, .path = word, .is_strict = true};
            s_look(&script, text);
        }
    }
    return 0;
}

static int
s_take_exec(void *context, rmt_netscan_t *scan, const rmt_ini_line_t *line)
{
    (void) context;
    if (strncmp(line->key, "Exec", 4) != 0 || strcmp(line->section, "Service") != 0)
        return 0;
    rmt_auto_str text = rmt_text("%s", line->value);
    const script_t script = {
        .scan = scan, .path = line->path, .line = line->line, .is_strict = true};
    s_look(&script, text);
    return s_follow(scan, line->value);
}

static int
s_read_unit(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str target = rmt_rooted_readlink(scan->root_fd, path);
    // A link is of a package, or hides a unit.
    return target ? 0 : rmt_ini_read(scan, path, true, s_take_exec, NULL);
}

static int
s_read_units(rmt_netscan_t *scan, const char *folder)
{
    rmt_auto_str names = rmt_rooted_list(scan->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str below = rmt_text("%s/%s", folder, name);
        if (fnmatch("*.service.d", name, 0) == 0 &&
            rmt_netscan_each(scan, below, "*.conf", s_read_unit) == -1)
            return -1;
    }
    return rmt_netscan_each(scan, folder, "*.service", s_read_unit);
}

// ---- cron: five times, or one word with @, then the user in a table of the system

static int
s_read_cron(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (s_load(scan, path, &text) == -1)
        return -1;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    const bool is_system =
        strncmp(path, "/etc/cron", 9) == 0 && strncmp(path, "/etc/crontabs/", 14) != 0;
    for (char *line; (line = rmt_lines_next(&lines));) {
        char *rest = rmt_lines_trim(line);
        if (rest[0] == '#' || !rest[0])
            continue;
        const int times = rest[0] == '@' ? 1 : 5;
        for (int i = 0; i < times + is_system; i++)
            (void) rmt_lines_word(&rest, " \t");
        const script_t script = {
            .scan = scan, .path = path, .line = lines.number, .is_strict = true};
        s_look(&script, rest);
        if (s_follow(scan, rest) == -1)
            return -1;
    }
    return 0;
}

// ---- Addresses that a daemon moves between machines

static int
s_read_keepalived(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    bool is_inside = false;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        line[strcspn(line, "#!")] = '\0';
        is_inside = is_inside || strstr(line, "virtual_ipaddress");
        char *rest = line;
        for (const char *word; is_inside && (word = rmt_lines_word(&rest, " \t{"));) {
            is_inside = !strchr(word, '}');
            if (is_inside && rmt_netscan_is_address(word))
                rmt_netscan_refuse(scan, path, lines.number,
                                   "gives the machine the shared address %s", word);
        }
    }
    return 0;
}

static const struct {
    const char *folder, *pattern;
    rmt_netscan_file_fn *read;
} s_files[] = {
    {"/etc", "rc.local", s_read_local},
    {"/etc/rc.d", "rc.local", s_read_local},
    {"/etc/rc.d", "net", s_read_local},
    {"/etc/rc.d", "rc.inet1", s_read_package},
    {"/etc/rc.d/init.d", "*", s_read_package},
    {"/etc/init.d", "boot.local", s_read_local},
    {"/etc/init.d", "after.local", s_read_local},
    {"/etc/init.d", "rcS", s_read_local},
    {"/etc/init.d", "*", s_read_package},
    {"/etc/local.d", "*.start", s_read_local},
    {"/etc/runit", "[123]", s_read_local},
    {"/etc/runit/core-services", "*.sh", s_read_local},
    {"/etc/network/if-pre-up.d", "*", s_read_package},
    {"/etc/network/if-up.d", "*", s_read_package},
    {"/etc/NetworkManager/dispatcher.d", "*", s_read_package},
    {"/etc/NetworkManager/dispatcher.d/pre-up.d", "*", s_read_package},
    {"/etc/networkd-dispatcher/routable.d", "*", s_read_package},
    {"/etc/networkd-dispatcher/configured.d", "*", s_read_package},
    {"/etc/networkd-dispatcher/carrier.d", "*", s_read_package},
    {"/etc/dhcp/dhclient-enter-hooks.d", "*", s_read_package},
    {"/etc/dhcp/dhclient-exit-hooks.d", "*", s_read_package},
    {"/etc", "crontab", s_read_cron},
    {"/etc/cron.d", "*", s_read_cron},
    {"/var/spool/cron", "root", s_read_cron},
    {"/var/spool/cron/crontabs", "root", s_read_cron},
    {"/etc/crontabs", "root", s_read_cron},
    {"/etc/keepalived", "*.conf", s_read_keepalived},
};

int
rmt_netscan_scripts(rmt_netscan_t *scan)
{
    for (size_t i = 0; i < sizeof s_files / sizeof *s_files; i++) {
        if (rmt_netscan_each(scan, s_files[i].folder, s_files[i].pattern,
                             s_files[i].read) == -1)
            return -1;
    }
    rmt_auto_str services = rmt_rooted_list(scan->root_fd, "/etc/sv");
    for (const char *name = services; *name; name += strlen(name) + 1) {
        rmt_auto_str folder = rmt_text("/etc/sv/%s", name);
        if (rmt_netscan_each(scan, folder, "run", s_read_package) == -1)
            return -1;
    }
    return s_read_units(scan, "/etc/systemd/system");
}
