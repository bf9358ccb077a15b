// Settings that rc scripts read: netifrc, netctl and its forerunner, rc.conf, rc.inet1.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_lines.h"
#include "system/rmt_shell.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

// Addresses of other machines.
static const char *const s_others[] = {"dns*",    "DNS*",    "*nameserver*", "ntp*",
                                       "NTP*",    "*_DNS_*", "*_NTP_*",      "syslog*",
                                       "*route*", "Routes*"};
// Variables that make an interface of others.
static const struct {
    const char *name, *kind;
} s_shapes[] = {
    {"bridge_*", "bridge"},       {"slaves_*", "bond"},
    {"vlans_*", "vlan"},          {"vlan_*", "vlan"},
    {"wireguard_*", "wireguard"}, {"iptunnel_*", "tunnel"},
    {"BRNICS*", "bridge"},        {"BONDNICS*", "bond"},
    {"VLANS*", "vlan"},           {"cloned_interfaces", "cloned interface"},
};

typedef struct {
    unsigned line;
    char why[80];
    char connection[24], interface[40]; // netctl
} rc_t;

static void
s_find(rc_t *self, unsigned line, const char *why, const char *value)
{
    if (self->line)
        return;
    self->line = line;
    snprintf(self->why, sizeof self->why, "%s %.50s", why, value);
}

static int
s_take(void *context, rmt_netscan_t *scan, const rmt_shell_set_t *set)
{
    rc_t *self = context;
    for (size_t i = 0; i < sizeof s_others / sizeof *s_others; i++) {
        if (fnmatch(s_others[i], set->name, 0) == 0)
            return 0;
    }
    if (strcmp(set->name, "Connection") == 0)
        snprintf(self->connection, sizeof self->connection, "%s", set->value);
    if (strcmp(set->name, "Interface") == 0)
        snprintf(self->interface, sizeof self->interface, "%s", set->value);
    for (size_t i = 0; i < sizeof s_shapes / sizeof *s_shapes; i++) {
        if (fnmatch(s_shapes[i].name, set->name, 0) == 0 && set->value[0]) {
            const char *end = strchr(set->name, '_');
            rmt_netscan_shape(scan, s_shapes[i].kind, end ? end + 1 : set->name);
            s_find(self, set->line, "makes an interface of others:", set->name);
        }
    }
    rmt_auto_str words = rmt_text("%s", set->value);
    char *rest = words;
    for (const char *word; (word = rmt_lines_word(&rest, " \t\n\",;"));) {
        const bool is_mask = strncmp(word, "255.", 4) == 0;
        if (set->name[0] && rmt_netscan_is_address(word) && !is_mask)
            s_find(self, set->line, "sets address", word);
        if (set->name[0] && rmt_netscan_is_mac(word))
            s_find(self, set->line, "sets MAC", word);
    }
    return 0;
}

// A file that only sets the network.
static int
s_read_own(rmt_netscan_t *scan, const char *path)
{
    static const char *const plain[] = {"", "ethernet", "wireless", "mobile_ppp",
                                        "pppoe"};
    rc_t self = {.line = 0};
    if (rmt_shell_read(scan, path, s_take, &self) == -1)
        return -1;
    bool is_plain = false;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        is_plain = is_plain || strcmp(self.connection, plain[i]) == 0;
    if (!is_plain) {
        rmt_netscan_shape(scan, self.connection, self.interface);
        s_find(&self, 1, "makes an interface of type", self.connection);
    }
    if (self.line)
        rmt_netscan_take(scan, path, self.line, self.why, "network");
    return 0;
}

// A file that sets other things too, in the words of one kind of system.
static int
s_read_shared(rmt_netscan_t *scan, const char *path)
{
    rc_t self = {.line = 0};
    if (rmt_shell_read(scan, path, s_take, &self) == -1)
        return -1;
    if (self.line)
        rmt_netscan_refuse(scan, path, self.line, "%s, which ramet cannot set there",
                           self.why);
    return 0;
}

int
rmt_netscan_rc(rmt_netscan_t *scan)
{
    static const rmt_netscan_row_t rows[] = {
        {"/etc/conf.d", "net", s_read_own},
        {"/etc/conf.d", "net.*", s_read_own},
        {"/etc/netctl", "*", s_read_own},
        {"/etc/network.d", "*", s_read_own},
        {"/etc", "rc.conf", s_read_shared},
        {"/etc/rc.conf.d", "*", s_read_shared},
        {"/etc/rc.d", "rc.inet1.conf", s_read_shared},
    };
    return rmt_netscan_rows(scan, rows, sizeof rows / sizeof *rows);
}
