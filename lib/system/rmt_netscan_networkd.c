// The units of systemd-networkd and of udev's links, with their drop-in folders, in all
// folders that they are read from.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_ini.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define OWN "/etc/systemd/network"

// The first one that has a name is read; the others of this name are not.
static const char *const s_folders[] = {
    OWN, "/run/systemd/network", "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network", "/lib/systemd/network"};
#define FOLDER_COUNT (sizeof s_folders / sizeof *s_folders)

// IF_FIXED: not 0.0.0.0/28 or ::/64, which stand for a free network that networkd finds.
typedef enum { ALWAYS, IF_FIXED, IF_ADDRESS, IF_MAC } when_t;

// What belongs to the one machine, by the kind of unit. An empty value sets nothing.
static const struct {
    const char *unit, *section, *key;
    when_t when;
    const char *why;
} s_rows[] = {
    {"network", "Match", "MACAddress", ALWAYS, "is bound to a MAC"},
    {"network", "Match", "PermanentMACAddress", ALWAYS, "is bound to a MAC"},
    {"network", "Link", "MACAddress", ALWAYS, "sets a MAC"},
    {"network", "Network", "Address", IF_FIXED, "sets an address"},
    {"network", "Network", "Gateway", IF_ADDRESS, "sets a gateway"},
    {"network", "Address", "Address", IF_FIXED, "sets an address"},
    {"network", "Address", "Peer", IF_FIXED, "sets an address"},
    {"network", "Route", "PreferredSource", IF_ADDRESS, "uses an address"},
    {"network", "RoutingPolicyRule", "From", IF_ADDRESS, "uses an address"},
    {"network", "BridgeFDB", "MACAddress", ALWAYS, "sets a MAC"},
    {"network", "Neighbor", "LinkLayerAddress", ALWAYS, "sets a MAC"},
    {"network", "DHCPv4", "RequestAddress", ALWAYS, "asks for an address"},
    {"network", "DHCPv4", "Hostname", ALWAYS, "sends a name"},
    {"network", "DHCP", "Hostname", ALWAYS, "sends a name"},
    {"network", "DHCPv6", "Hostname", ALWAYS, "sends a name"},
    {"network", "DHCPv4", "DUIDRawData", ALWAYS, "sends an identity"},
    {"network", "DHCPv6", "DUIDRawData", ALWAYS, "sends an identity"},
    {"network", "DHCPv4", "IAID", ALWAYS, "sends an identity"},
    {"network", "IPv6AcceptRA", "Token", ALWAYS, "sets an address"},
    {"netdev", "NetDev", "MACAddress", IF_MAC, "sets a MAC"},
    {"netdev", "Peer", "MACAddress", IF_MAC, "sets a MAC"},
    {"netdev", "Tunnel", "Local", IF_ADDRESS, "uses an address"},
    {"netdev", "VXLAN", "Local", IF_ADDRESS, "uses an address"},
    {"netdev", "WireGuard", "PrivateKey", ALWAYS, "holds the key of a tunnel"},
    {"netdev", "WireGuard", "PrivateKeyFile", ALWAYS, "names the key of a tunnel"},
    {"netdev", "MACsecTransmitAssociation", "Key", ALWAYS, "holds the key of a tunnel"},
    {"netdev", "MACsecTransmitAssociation", "KeyFile", ALWAYS, "names a tunnel's key"},
    {"link", "Match", "MACAddress", ALWAYS, "is bound to a MAC"},
    {"link", "Match", "PermanentMACAddress", ALWAYS, "is bound to a MAC"},
    {"link", "Link", "MACAddress", ALWAYS, "sets a MAC"},
};

// Keys of [Network] by which an interface is a part of another one, or carries one.
static const struct {
    const char *key, *kind;
} s_parts[] = {{"Bond", "bond"},       {"Bridge", "bridge"},
               {"VLAN", "vlan"},       {"MACVLAN", "macvlan"},
               {"MACVTAP", "macvtap"}, {"IPVLAN", "ipvlan"},
               {"VXLAN", "vxlan"},     {"VRF", "vrf"},
               {"Tunnel", "tunnel"},   {"BatmanAdvanced", "batadv"}};

typedef struct {
    const char *unit; // network, netdev or link
    unsigned line;    // The first one that belongs to the machine; 0 for none
    char why[80];
    char kind[24], name[40]; // Of a netdev
    char *key_file;
} unit_t;

static bool
s_is_met(when_t when, const char *value)
{
    switch (when) {
    case ALWAYS:
        return value[0] != '\0';
    case IF_FIXED:
        return value[0] && strncmp(value, "0.0.0.0", 7) != 0 &&
               strncmp(value, "::/", 3) != 0;
    case IF_ADDRESS:
        return rmt_netscan_is_address(value);
    default:
        return rmt_netscan_is_mac(value);
    }
}

static void
s_find(unit_t *unit, unsigned line, const char *why, const char *value)
{
    if (!unit->line) {
        unit->line = line;
        snprintf(unit->why, sizeof unit->why, "%s: %.40s", why,
                 strstr(why, "holds") ? "***" : value);
    }
}

static int
s_take_line(void *context, rmt_netscan_t *scan, const rmt_ini_line_t *line)
{
    unit_t *unit = context;
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strcmp(s_rows[i].unit, unit->unit) == 0 &&
            strcmp(s_rows[i].section, line->section) == 0 &&
            strcmp(s_rows[i].key, line->key) == 0 &&
            s_is_met(s_rows[i].when, line->value))
            s_find(unit, line->line, s_rows[i].why, line->value);
    }
    const bool is_network = strcmp(line->section, "Network") == 0;
    for (size_t i = 0; is_network && i < sizeof s_parts / sizeof *s_parts; i++) {
        if (strcmp(s_parts[i].key, line->key) != 0 || !line->value[0])
            continue;
        rmt_netscan_shape(scan, s_parts[i].kind, line->value);
        s_find(unit, line->line, "is a part of another interface", line->value);
    }
    if (strcmp(line->section, "NetDev") == 0 && strcmp(line->key, "Kind") == 0)
        snprintf(unit->kind, sizeof unit->kind, "%s", line->value);
    if (strcmp(line->section, "NetDev") == 0 && strcmp(line->key, "Name") == 0)
        snprintf(unit->name, sizeof unit->name, "%s", line->value);
    if (strstr(line->key, "KeyFile") && line->value[0] == '/' && !unit->key_file)
        unit->key_file = rmt_text("%s", line->value);
    return 0;
}

static int
s_read_unit(rmt_netscan_t *scan, const char *path, const char *kind, const char *own)
{
    unit_t unit = {.unit = kind};
    const int rc = rmt_ini_read(scan, path, true, s_take_line, &unit);
    rmt_auto_str key_file = unit.key_file;
    if (rc == -1)
        return -1;
    if (unit.kind[0]) {
        rmt_netscan_shape(scan, unit.kind, unit.name);
        s_find(&unit, 1, "makes an interface", unit.name);
    }
    if (unit.line)
        rmt_netscan_hide(scan, path, unit.line, unit.why, own);
    if (key_file && rmt_rooted_kind(scan->root_fd, key_file) == S_IFREG)
        rmt_netscan_take(scan, key_file, 1, "is the key of a tunnel", "tunnel");
    return 0;
}

// Whether a folder that comes earlier has the name, which then counts alone.
static bool
s_is_hidden(int root_fd, size_t folder, const char *name)
{
    for (size_t i = 0; i < folder; i++) {
        rmt_auto_str path = rmt_text("%s/%s", s_folders[i], name);
        if (rmt_rooted_kind(root_fd, path))
            return true;
    }
    return false;
}

// NAME.KIND, or all of NAME.KIND.d.
static int
s_read_name(rmt_netscan_t *scan, size_t folder, const char *name, const char *kind)
{
    rmt_auto_str path = rmt_text("%s/%s", s_folders[folder], name);
    rmt_auto_str own = rmt_text(OWN "/%s", name);
    const mode_t mode = rmt_rooted_kind(scan->root_fd, path);
    if (mode != S_IFDIR)
        return s_is_hidden(scan->root_fd, folder, name)
                   ? 0
                   : s_read_unit(scan, path, kind, OWN);
    rmt_auto_str names = rmt_rooted_list(scan->root_fd, path);
    for (const char *file = names; *file; file += strlen(file) + 1) {
        rmt_auto_str below = rmt_text("%s/%s", path, file);
        rmt_auto_str beside = rmt_text("%s/%s", name, file);
        if (fnmatch("*.conf", file, FNM_PERIOD) == 0 &&
            !s_is_hidden(scan->root_fd, folder, beside) &&
            s_read_unit(scan, below, kind, own) == -1)
            return -1;
    }
    return 0;
}

static bool
s_is_foreign(const rmt_ini_line_t *line)
{
    return strcmp(line->key, "DUIDRawData") == 0 && line->value[0];
}

static int
s_strip_settings(rmt_netscan_t *scan, const char *path)
{
    return rmt_ini_strip(scan, path, path, true, s_is_foreign);
}

int
rmt_netscan_networkd(rmt_netscan_t *scan)
{
    static const char *const kinds[] = {"network", "netdev", "link"};
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        // Where /lib is a symlink, this is the folder before.
        if (i + 1 == FOLDER_COUNT && rmt_rooted_kind(scan->root_fd, "/lib") == S_IFLNK)
            continue;
        rmt_auto_str names = rmt_rooted_list(scan->root_fd, s_folders[i]);
        for (const char *name = names; *name; name += strlen(name) + 1) {
            for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
                rmt_auto_str file = rmt_text("*.%s", kinds[k]);
                rmt_auto_str folder = rmt_text("*.%s.d", kinds[k]);
                if ((fnmatch(file, name, FNM_PERIOD) == 0 ||
                     fnmatch(folder, name, FNM_PERIOD) == 0) &&
                    s_read_name(scan, i, name, kinds[k]) == -1)
                    return -1;
            }
        }
    }
    if (s_strip_settings(scan, "/etc/systemd/networkd.conf") == -1)
        return -1;
    return rmt_netscan_each(scan, "/etc/systemd/networkd.conf.d", "*.conf",
                            s_strip_settings);
}
