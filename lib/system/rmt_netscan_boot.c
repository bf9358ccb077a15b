// What gives a machine an address, a MAC or a name before any network stack runs: the
// kernel's command line where a loader keeps it, the settings of an initramfs, and the
// rules of udev.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_action.h"
#include "system/rmt_command.h"
#include "system/rmt_lines.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

// ---- ip=

// ip=CLIENT:SERVER:GATEWAY:MASK:NAME:DEVICE:..., IPv6 addresses in brackets; and forms
// without any address, such as ip=dhcp and ip=eth0:dhcp.
static bool
s_is_fixed(const char *value)
{
    char first[64];
    if (value[0] == '[') {
        snprintf(first, sizeof first, "%.*s", (int) strcspn(value + 1, "]"), value + 1);
        return rmt_netscan_is_address(first);
    }
    snprintf(first, sizeof first, "%.*s", (int) strcspn(value, ":"), value);
    return rmt_netscan_is_address(first);
}

// The name in the fifth field, which the kernel takes as its own.
static bool
s_is_named(const char *value)
{
    for (int colons = 0; *value; value++) {
        if (*value == '[')
            value += strcspn(value, "]");
        if (*value == ':' && ++colons == 4)
            return value[1] && value[1] != ':';
        if (!*value)
            break;
    }
    return false;
}

static void
s_judge_word(rmt_netscan_t *scan, const char *path, unsigned line, const char *word)
{
    static const char *const shapes[] = {"bond=", "vlan=", "bridge=", "team="};
    if (strncmp(word, "ip=", 3) == 0 && s_is_fixed(word + 3))
        rmt_netscan_refuse(scan, path, line, "sets an address at the start: %.60s", word);
    else if ((strncmp(word, "ip=", 3) == 0 && s_is_named(word + 3)) ||
             strncmp(word, "systemd.hostname=", 17) == 0)
        rmt_netscan_refuse(scan, path, line, "sets a name at the start: %.60s", word);
    else if (strncmp(word, "ifname=", 7) == 0)
        rmt_netscan_refuse(scan, path, line, "names an interface by its MAC: %.60s",
                           word);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strncmp(word, shapes[i], strlen(shapes[i])) == 0)
            rmt_netscan_refuse(scan, path, line,
                               "makes an interface of others at the start: %.60s", word);
    }
}

static int
s_read_words(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        char *rest = rmt_lines_trim(line);
        if (rest[0] == '#')
            continue;
        // A value in quotes has words of its own: GRUB_CMDLINE_LINUX="ip=..."; that of
        // GRUB's environment has them without quotes: kernelopts=ip=... ro.
        for (const char *word; (word = rmt_lines_word(&rest, " \t\"'"));)
            s_judge_word(scan, path, lines.number,
                         strncmp(word, "kernelopts=", 11) == 0 ? word + 11 : word);
    }
    return 0;
}

// initramfs-tools keeps the same word as IP=.
static int
s_read_initramfs(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        line = rmt_lines_trim(line);
        if (strncmp(line, "IP=", 3) != 0)
            continue;
        char *rest = line + 3;
        const char *value = rmt_lines_word(&rest, "\"' \t");
        rmt_auto_str word = rmt_text("ip=%s", value ? value : "");
        s_judge_word(scan, path, lines.number, word);
    }
    return 0;
}

// ---- udev

typedef struct {
    rmt_netscan_t *scan;
    const char *path;
    unsigned line;
    bool is_bound, is_named; // To a MAC; by NAME=
} rule_t;

static void
s_judge_run(const rule_t *self, char *text)
{
    char what[120];
    rmt_command_t command = {.count = 0};
    for (char *word;
         command.count < RMT_COMMAND_WORDS_MAX && (word = rmt_lines_word(&text, " \t"));)
        command.words[command.count++] = word;
    if (rmt_command_judge(&command, false, what, sizeof what))
        rmt_netscan_refuse(self->scan, self->path, self->line, "%s by a command", what);
}

// One key of a rule, such as ATTR{address}=="52:54:00:12:34:56".
static void
s_take_key(rule_t *self, const char *name, const char *mark, char *value)
{
    const bool is_match = strncmp(mark, "==", 2) == 0;
    const bool is_set = !is_match && mark[0] != '!';
    const bool is_mac = strstr(name, "{address}") && rmt_netscan_is_mac(value);
    self->is_bound = self->is_bound || (is_match && is_mac);
    self->is_named = self->is_named || (is_set && strcmp(name, "NAME") == 0);
    if (is_set && is_mac)
        rmt_netscan_refuse(self->scan, self->path, self->line, "sets the MAC %s", value);
    if (is_set && strncmp(name, "RUN", 3) == 0)
        s_judge_run(self, value);
}

// Whether a rule names an interface by the MAC of the machine's card; such a rule goes.
// One that sets a MAC, or runs a command that does, refuses the plan.
static bool
s_judge_rule(rmt_netscan_t *scan, const char *path, unsigned line, const char *text)
{
    rule_t rule = {.scan = scan, .path = path, .line = line};
    for (const char *p = text; *p;) {
        p += strspn(p, " \t,");
        const char *mark = p + strcspn(p, "=!+-:\"");
        const char *quote = strchr(mark, '"');
        const char *end = quote ? strchr(quote + 1, '"') : NULL;
        if (!end)
            break;
        rmt_auto_str name = rmt_text("%.*s", (int) (mark - p), p);
        rmt_auto_str value = rmt_text("%.*s", (int) (end - quote - 1), quote + 1);
        s_take_key(&rule, rmt_lines_trim(name), mark, value);
        p = end + 1;
    }
    return rule.is_bound && rule.is_named;
}

static int
s_read_rules(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (strstr(path, "persistent-net")) // An identity, which goes as a whole
        return 0;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    char *kept = NULL;
    size_t size = 0;
    bool has_any = false;
    FILE *out = open_memstream(&kept, &size);
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_SPACED);
    for (char *line; (line = rmt_lines_next(&lines));) {
        const bool is_own = line[strspn(line, " \t")] != '#' &&
                            s_judge_rule(scan, path, lines.number, line);
        has_any = has_any || is_own;
        if (!is_own)
            fprintf(out, "%s\n", line);
    }
    if (fclose(out))
        abort();
    if (has_any)
        rmt_netscan_write(scan, path, 0644, kept);
    free(kept);
    return 0;
}

// Tables that name interfaces by their MACs.
static int
s_take_table(rmt_netscan_t *scan, const char *path)
{
    rmt_netscan_take(scan, path, 1, "names interfaces by their MACs", "device-names");
    return 0;
}

int
rmt_netscan_boot(rmt_netscan_t *scan)
{
    static const rmt_netscan_row_t rows[] = {
        {"/etc/default", "grub", s_read_words},
        {"/etc/default/grub.d", "*.cfg", s_read_words},
        {"/boot/grub", "grub.cfg", s_read_words},
        {"/boot/grub", "menu.lst", s_read_words},
        {"/boot/grub2", "grub.cfg", s_read_words},
        {"/boot/grub", "grubenv", s_read_words},
        {"/boot/grub2", "grubenv", s_read_words},
        {"/boot/loader/entries", "*.conf", s_read_words},
        {"/boot/efi/loader/entries", "*.conf", s_read_words},
        {"/efi/loader/entries", "*.conf", s_read_words},
        {"/boot/extlinux", "extlinux.conf", s_read_words},
        {"/boot/syslinux", "syslinux.cfg", s_read_words},
        {"/boot/firmware", "cmdline.txt", s_read_words},
        {"/boot", "cmdline.txt", s_read_words},
        {"/etc/kernel", "cmdline", s_read_words},
        {"/etc/cmdline.d", "*.conf", s_read_words},
        {"/etc/dracut.conf.d", "*.conf", s_read_words},
        {"/etc/initramfs-tools", "initramfs.conf", s_read_initramfs},
        {"/etc/initramfs-tools/conf.d", "*", s_read_initramfs},
        {"/etc/udev/rules.d", "*.rules", s_read_rules},
        {"/etc", "iftab", s_take_table},
        {"/etc", "mactab", s_take_table},
    };
    return rmt_netscan_rows(scan, rows, sizeof rows / sizeof *rows);
}
