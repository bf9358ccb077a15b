// ifcfg files of Red Hat's and SUSE's systems, which are assignments of a shell, with the
// routes and keys beside them; and wicked's XML.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_lines.h"
#include "system/rmt_shell.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// What a variable says: that the file belongs to the machine, or that the interface is
// more than a plain one. A pattern of fnmatch for the name, and one for the value.
static const struct {
    const char *name, *value, *why, *kind;
} s_rows[] = {
    {"IPADDR*", "?*", "sets an address", NULL},
    {"IPV6ADDR*", "?*", "sets an address", NULL},
    {"GATEWAY*", "?*", "sets a gateway", NULL},
    {"IPV6_DEFAULTGW*", "?*", "sets a gateway", NULL},
    {"REMOTE_IPADDR*", "?*", "sets an address", NULL},
    {"HWADDR*", "?*", "is bound to a MAC", NULL},
    {"MACADDR", "*:*", "sets a MAC", NULL},
    {"LLADDR", "?*", "sets a MAC", NULL},
    {"DHCP_HOSTNAME*", "?*", "sends a name", NULL},
    {"DHCP_FQDN*", "?*", "sends a name", NULL},
    {"DHCP_CLIENT_ID*", "?*", "sends an identity", NULL},
    {"BONDING_*", "?*", "is a part of a bond", "bond"},
    {"MASTER", "?*", "is a part of a bond", "bond"},
    {"TEAM_*", "?*", "is a part of a team", "team"},
    {"DEVICETYPE", "[Tt]eam*", "is a part of a team", "team"},
    {"DEVICETYPE", "[Oo][Vv][Ss]*", "is a part of Open vSwitch", "openvswitch"},
    {"VLAN", "[Yy1]*", "is a VLAN", "vlan"},
    {"VLAN_ID", "?*", "is a VLAN", "vlan"},
    {"ETHERDEVICE", "?*", "is a VLAN", "vlan"},
    {"PHYSDEV", "?*", "is a VLAN", "vlan"},
    {"BRIDGE", "?*", "is a part of a bridge", "bridge"},
    {"BRIDGE_*", "?*", "is a part of a bridge", "bridge"},
    {"TUNNEL*", "?*", "is a tunnel", "tunnel"},
    {"MACVLAN_*", "?*", "is a macvlan", "macvlan"},
    {"VXLAN*", "?*", "is a VXLAN", "vxlan"},
    {"TYPE", "Bond", "is a bond", "bond"},
    {"TYPE", "Vlan", "is a VLAN", "vlan"},
    {"TYPE", "Bridge", "is a bridge", "bridge"},
    {"TYPE", "Team*", "is a team", "team"},
    {"TYPE", "OVS*", "is a part of Open vSwitch", "openvswitch"},
    {"TYPE", "GRE", "is a tunnel", "tunnel"},
    {"TYPE", "IPIP", "is a tunnel", "tunnel"},
    {"TYPE", "IPSEC", "is a tunnel", "tunnel"},
    {"TYPE", "sit", "is a tunnel", "tunnel"},
    {"TYPE", "InfiniBand", "is of InfiniBand", "infiniband"},
    {"TYPE", "[Ee]thernet", "sets an interface", NULL},
};

typedef struct {
    unsigned line; // The first one that belongs to the machine; 0 for none
    const char *why;
    const char *kind;          // Of the shape, or NULL
    char device[40], name[40]; // DEVICE, and the master or bridge
    bool is_wireless, has_type;
    unsigned first; // Line of the first variable
} ifcfg_t;

static int
s_take(void *context, rmt_netscan_t *scan, const rmt_shell_set_t *set)
{
    ifcfg_t *self = context;
    if (!set->name[0]) {
        if (strcmp(set->value, "export") != 0)
            rmt_netscan_refuse(scan, set->path, set->line,
                               "is not only NAME=value: '%.60s'", set->value);
        return 0;
    }
    self->first = self->first ? self->first : set->line;
    if (strcmp(set->name, "DEVICE") == 0)
        snprintf(self->device, sizeof self->device, "%s", set->value);
    if (strcmp(set->name, "MASTER") == 0 || strcmp(set->name, "BRIDGE") == 0 ||
        strcmp(set->name, "TEAM_MASTER") == 0)
        snprintf(self->name, sizeof self->name, "%s", set->value);
    self->has_type = self->has_type || strcmp(set->name, "TYPE") == 0;
    self->is_wireless =
        self->is_wireless ||
        (strcmp(set->name, "TYPE") == 0 && strcasecmp(set->value, "Wireless") == 0) ||
        strncmp(set->name, "WIRELESS", 8) == 0 || strcmp(set->name, "ESSID") == 0;
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (fnmatch(s_rows[i].name, set->name, 0) != 0 ||
            fnmatch(s_rows[i].value, set->value, 0) != 0)
            continue;
        if (!self->line) {
            self->line = set->line;
            self->why = s_rows[i].why;
        }
        if (s_rows[i].kind && !self->kind)
            self->kind = s_rows[i].kind;
    }
    return 0;
}

static bool
s_is_lo(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    return strcmp(name, "ifcfg-lo") == 0 || fnmatch("*.template", name, 0) == 0;
}

static int
s_read(rmt_netscan_t *scan, const char *path, bool is_redhat)
{
    ifcfg_t self = {.line = 0};
    if (s_is_lo(path))
        return 0;
    if (rmt_shell_read(scan, path, s_take, &self) == -1)
        return -1;
    // Without a type it is Ethernet, which ramet sets.
    if (is_redhat && !self.line && self.first && !self.is_wireless && !self.has_type) {
        self.line = self.first;
        self.why = "sets an interface";
    }
    if (self.kind)
        rmt_netscan_shape(scan, self.kind,
                          self.name[0]     ? self.name
                          : self.device[0] ? self.device
                                           : strrchr(path, '-') + 1);
    if (self.line)
        rmt_netscan_take(scan, path, self.line, self.why, "network");
    return 0;
}

static int
s_read_redhat(rmt_netscan_t *scan, const char *path)
{
    return s_read(scan, path, true);
}

static int
s_read_suse(rmt_netscan_t *scan, const char *path)
{
    return s_read(scan, path, false);
}

// Routes and rules: a file with a word in it.
static int
s_take_words(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        line = rmt_lines_trim(line);
        if (line[0] && line[0] != '#') {
            rmt_netscan_take(scan, path, lines.number, "sets a route", "network");
            break;
        }
    }
    return 0;
}

static int
s_take_key(rmt_netscan_t *scan, const char *path)
{
    rmt_netscan_take(scan, path, 1, "is the key of a tunnel", "tunnel");
    return 0;
}

static int
s_take_file(rmt_netscan_t *scan, const char *path)
{
    rmt_netscan_take(scan, path, 1, "sets an interface", "network");
    return 0;
}

// Of Red Hat's file for the whole system the gateway goes.
static int
s_read_system(rmt_netscan_t *scan, const char *path)
{
    static const char *const keys[] = {
        "GATEWAY=", "GATEWAYDEV=", "IPV6_DEFAULTGW=", "IPV6_DEFAULTDEV="};
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    char *kept = NULL;
    size_t size = 0;
    bool has_any = false;
    FILE *out = open_memstream(&kept, &size);
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        bool is_own = false;
        const char *word = line + strspn(line, " \t");
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            is_own = is_own || strncmp(word, keys[i], strlen(keys[i])) == 0;
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

int
rmt_netscan_ifcfg(rmt_netscan_t *scan)
{
#define REDHAT "/etc/sysconfig/network-scripts"
#define SUSE "/etc/sysconfig/network"
    static const rmt_netscan_row_t rows[] = {
        {REDHAT, "ifcfg-*", s_read_redhat},
        {REDHAT, "route-*", s_take_words},
        {REDHAT, "route6-*", s_take_words},
        {REDHAT, "rule-*", s_take_words},
        {REDHAT, "rule6-*", s_take_words},
        {REDHAT, "keys-*", s_take_key},
        {"/etc/sysconfig", "network", s_read_system},
        {SUSE, "ifcfg-*", s_read_suse},
        {SUSE, "ifroute-*", s_take_words},
        {SUSE, "ifrule-*", s_take_words},
        {SUSE, "routes", s_take_words},
        {"/etc/wicked/ifconfig", "*.xml", s_take_file},
    };
    return rmt_netscan_rows(scan, rows, sizeof rows / sizeof *rows);
}
