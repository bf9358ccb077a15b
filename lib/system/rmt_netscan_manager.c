// The keyfiles of NetworkManager: connections, and its own settings; and those of iwd.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_ini.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define OWN "/etc/NetworkManager/system-connections"
#define CONF "/etc/NetworkManager/conf.d"

// What becomes of a connection of a type.
typedef enum { TAKEN, KEPT, SHAPE, TUNNEL } fate_t;
static const struct {
    const char *type;
    fate_t fate;
} s_types[] = {
    {"ethernet", TAKEN},
    {"802-3-ethernet", TAKEN},
    {"loopback", TAKEN},
    {"wifi", KEPT},
    {"802-11-wireless", KEPT},
    {"wifi-p2p", KEPT},
    {"802-11-olpc-mesh", KEPT},
    {"gsm", KEPT},
    {"cdma", KEPT},
    {"bluetooth", KEPT},
    {"adsl", KEPT},
    {"pppoe", KEPT},
    {"wimax", KEPT},
    {"bond", SHAPE},
    {"team", SHAPE},
    {"vlan", SHAPE},
    {"bridge", SHAPE},
    {"dummy", SHAPE},
    {"generic", SHAPE},
    {"hsr", SHAPE},
    {"infiniband", SHAPE},
    {"ip-tunnel", SHAPE},
    {"macsec", TUNNEL},
    {"macvlan", SHAPE},
    {"ipvlan", SHAPE},
    {"ovs-bridge", SHAPE},
    {"ovs-dpdk", SHAPE},
    {"ovs-interface", SHAPE},
    {"ovs-patch", SHAPE},
    {"ovs-port", SHAPE},
    {"6lowpan", SHAPE},
    {"wpan", SHAPE},
    {"tun", SHAPE},
    {"veth", SHAPE},
    {"vrf", SHAPE},
    {"vxlan", SHAPE},
    {"wireguard", TUNNEL},
    {"vpn", TUNNEL},
};

typedef struct {
    char type[24], name[40], id[40];
    unsigned type_line;
    unsigned line; // The first one that belongs to the machine; 0 for none
    char why[80];
} connection_t;

static void
s_find(connection_t *self, unsigned line, const char *why, const char *value)
{
    if (!self->line) {
        self->line = line;
        snprintf(self->why, sizeof self->why, "%s %.40s", why, value);
    }
}

static void
s_take_ip(connection_t *self, const rmt_ini_line_t *line)
{
    static const char *const identities[] = {"dhcp-hostname",  "dhcp-fqdn",
                                             "dhcp-client-id", "dhcp-duid",
                                             "dhcp-iaid",      "token"};
    if (strncmp(line->key, "address", 7) == 0 && line->value[0])
        s_find(self, line->line, "sets address", line->value);
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
        if (strcmp(line->key, identities[i]) == 0 && line->value[0] &&
            strcmp(line->value, "mac") != 0 && strcmp(line->value, "stable") != 0)
            s_find(self, line->line, "sends identity", line->value);
    }
}

static bool
s_is_cloned(const char *key)
{
    const size_t size = strlen(key);
    static const char end[] = "cloned-mac-address";
    return size >= sizeof end - 1 && strcmp(key + size - (sizeof end - 1), end) == 0;
}

static int
s_take_line(void *context, rmt_netscan_t *scan, const rmt_ini_line_t *line)
{
    connection_t *self = context;
    (void) scan;
    if (strcmp(line->section, "connection") == 0) {
        if (strcmp(line->key, "type") == 0) {
            snprintf(self->type, sizeof self->type, "%s", line->value);
            self->type_line = line->line;
        }
        if (strcmp(line->key, "interface-name") == 0)
            snprintf(self->name, sizeof self->name, "%s", line->value);
        if (strcmp(line->key, "id") == 0)
            snprintf(self->id, sizeof self->id, "%s", line->value);
    }
    if (strcmp(line->section, "ipv4") == 0 || strcmp(line->section, "ipv6") == 0)
        s_take_ip(self, line);
    if (s_is_cloned(line->key) && rmt_netscan_is_mac(line->value))
        s_find(self, line->line, "sets MAC", line->value);
    return 0;
}

static void
s_judge(rmt_netscan_t *scan, const char *path, connection_t *self)
{
    const char *name = self->name[0] ? self->name : self->id;
    size_t row = 0;
    const size_t count = sizeof s_types / sizeof *s_types;
    while (row < count && strcmp(s_types[row].type, self->type) != 0)
        row++;
    if (row == count) {
        rmt_netscan_refuse(scan, path, self->type_line ? self->type_line : 1,
                           self->type[0] ? "is a connection of unknown type '%s'"
                                         : "is a connection without a type%s",
                           self->type);
        return;
    }
    const fate_t fate = s_types[row].fate;
    if (fate == SHAPE || fate == TUNNEL)
        rmt_netscan_shape(scan, self->type, name);
    if (fate != KEPT)
        s_find(self, self->type_line, "sets an interface of type", self->type);
    if (self->line)
        rmt_netscan_hide(scan, path, self->line, self->why, OWN);
}

static int
s_read_connection(rmt_netscan_t *scan, const char *path)
{
    connection_t connection = {.line = 0};
    const size_t size = strlen(path);
    rmt_auto_str text = NULL;
    // An editor's copy is not read, and a file without a word hides another one.
    if (path[size - 1] == '~' || rmt_netscan_load(scan, path, &text) == -1)
        return path[size - 1] == '~' ? 0 : -1;
    if (!text || !text[strspn(text, " \t\r\n")])
        return 0;
    if (rmt_ini_read(scan, path, false, s_take_line, &connection) == -1)
        return -1;
    s_judge(scan, path, &connection);
    return 0;
}

static int
s_read_hidden(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str own = rmt_text(OWN "%s", strrchr(path, '/'));
    return rmt_rooted_kind(scan->root_fd, own) ? 0 : s_read_connection(scan, path);
}

// ---- Its own settings

static bool
s_is_foreign(const rmt_ini_line_t *line)
{
    return (s_is_cloned(line->key) && rmt_netscan_is_mac(line->value)) ||
           (strcmp(line->section, "keyfile") == 0 && strcmp(line->key, "hostname") == 0);
}

static int
s_take_path(void *context, rmt_netscan_t *scan, const rmt_ini_line_t *line)
{
    (void) context;
    if (strcmp(line->section, "keyfile") == 0 && strcmp(line->key, "path") == 0 &&
        strcmp(line->value, OWN) != 0)
        rmt_netscan_refuse(scan, line->path, line->line,
                           "keeps the connections in %.60s, and ramet writes to " OWN,
                           line->value);
    return 0;
}

static int
s_read_settings(rmt_netscan_t *scan, const char *path)
{
    // A file of a package is replaced by one of its name.
    const bool is_own = strncmp(path, "/etc/", 5) == 0;
    rmt_auto_str copy = rmt_text("%s%s", CONF, strrchr(path, '/'));
    if (!is_own && rmt_rooted_kind(scan->root_fd, copy))
        return 0;
    if (rmt_ini_read(scan, path, false, s_take_path, NULL) == -1)
        return -1;
    return rmt_ini_strip(scan, path, is_own ? path : copy, false, s_is_foreign);
}

// ---- iwd

static int
s_take_iwd(void *context, rmt_netscan_t *scan, const rmt_ini_line_t *line)
{
    (void) context;
    if ((strcmp(line->key, "Address") == 0 && rmt_netscan_is_address(line->value)) ||
        (strcmp(line->key, "AddressOverride") == 0 && rmt_netscan_is_mac(line->value)))
        rmt_netscan_take(scan, line->path, line->line, "sets an address", "network");
    return 0;
}

static int
s_read_iwd(rmt_netscan_t *scan, const char *path)
{
    return rmt_ini_read(scan, path, false, s_take_iwd, NULL);
}

int
rmt_netscan_manager(rmt_netscan_t *scan)
{
    static const rmt_netscan_row_t rows[] = {
        {OWN, "*", s_read_connection},
        {"/run/NetworkManager/system-connections", "*.nmconnection", s_read_hidden},
        {"/usr/lib/NetworkManager/system-connections", "*.nmconnection", s_read_hidden},
        {"/etc/NetworkManager", "NetworkManager.conf", s_read_settings},
        {CONF, "*.conf", s_read_settings},
        {"/usr/lib/NetworkManager/conf.d", "*.conf", s_read_settings},
        {"/var/lib/iwd", "*.psk", s_read_iwd},
        {"/var/lib/iwd", "*.8021x", s_read_iwd},
        {"/var/lib/iwd", "*.open", s_read_iwd},
    };
    return rmt_netscan_rows(scan, rows, sizeof rows / sizeof *rows);
}
