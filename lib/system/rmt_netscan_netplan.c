// netplan's files, and the network settings that cloud-init is given in files.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_lines.h"
#include "system/rmt_yaml.h"

#include <stdio.h>
#include <string.h>

#define OWN "/etc/netplan"

// What below "network" is, and what it is called.
typedef enum { PLAIN, SHAPE, WORD } kind_t;
static const struct {
    const char *key, *shape;
    kind_t kind;
} s_kinds[] = {
    {"version", "", WORD},
    {"renderer", "", WORD},
    {"ethernets", "", PLAIN},
    {"wifis", "", PLAIN},
    {"modems", "", PLAIN},
    {"bonds", "bond", SHAPE},
    {"bridges", "bridge", SHAPE},
    {"vlans", "vlan", SHAPE},
    {"tunnels", "tunnel", SHAPE},
    {"vrfs", "vrf", SHAPE},
    {"dummy-devices", "dummy", SHAPE},
    {"virtual-ethernets", "veth", SHAPE},
    {"nm-devices", "device of NetworkManager", SHAPE},
    {"openvswitch", "openvswitch", SHAPE},
};

// What an interface is given that belongs to the one machine.
static bool
s_is_own(const rmt_yaml_t *yaml, int interface)
{
    static const char *const keys[] = {"addresses", "macaddress",         "gateway4",
                                       "gateway6",  "ipv6-address-token", "routes"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (rmt_yaml_find(yaml, interface, keys[i]))
            return true;
    }
    const int match = rmt_yaml_find(yaml, interface, "match");
    return rmt_yaml_find(yaml, match, "macaddress") != 0;
}

typedef struct {
    rmt_netscan_t *scan;
    const rmt_yaml_t *yaml;
    const char *path;
    unsigned own; // First line that belongs to the machine; 0 for none
} plan_t;

static void
s_take_interfaces(plan_t *self, size_t row, int interfaces)
{
    const rmt_yaml_t *yaml = self->yaml;
    const bool is_shape = s_kinds[row].kind == SHAPE;
    if (is_shape && strcmp(s_kinds[row].key, "openvswitch") == 0)
        rmt_netscan_shape(self->scan, s_kinds[row].shape, "");
    for (size_t i = 0; i < rmt_yaml_pairs(yaml, interfaces); i++) {
        if (is_shape && strcmp(s_kinds[row].key, "openvswitch") != 0)
            rmt_netscan_shape(self->scan, s_kinds[row].shape,
                              rmt_yaml_key(yaml, interfaces, i));
        if ((is_shape || s_is_own(yaml, rmt_yaml_value(yaml, interfaces, i))) &&
            !self->own)
            self->own = rmt_yaml_key_line(yaml, interfaces, i);
    }
}

static void
s_take_network(plan_t *self, int network)
{
    const rmt_yaml_t *yaml = self->yaml;
    const size_t count = sizeof s_kinds / sizeof *s_kinds;
    for (size_t i = 0; i < rmt_yaml_pairs(yaml, network); i++) {
        const char *key = rmt_yaml_key(yaml, network, i);
        const int value = rmt_yaml_value(yaml, network, i);
        size_t row = 0;
        while (row < count && strcmp(s_kinds[row].key, key) != 0)
            row++;
        if (row == count)
            rmt_netscan_refuse(self->scan, self->path,
                               rmt_yaml_key_line(yaml, network, i),
                               "has the key '%.40s', which ramet does not know", key);
        else if (s_kinds[row].kind != WORD)
            s_take_interfaces(self, row, value);
        else if (strcmp(key, "renderer") == 0)
            snprintf(self->scan->renderer, sizeof self->scan->renderer, "%s",
                     rmt_yaml_text(yaml, value));
    }
}

// 1: *yaml_out is what the file has; 0: it has nothing, or is none of YAML.
static int
s_load(rmt_netscan_t *scan, const char *path, rmt_yaml_t **yaml_out)
{
    char problem[120];
    unsigned line;
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    if (!text)
        return 0;
    *yaml_out = rmt_yaml_new(text, problem, &line);
    if (!*yaml_out)
        rmt_netscan_refuse(scan, path, line, "is not in the form of YAML: %s", problem);
    return *yaml_out ? 1 : 0;
}

static int
s_read_plan(rmt_netscan_t *scan, const char *path)
{
    rmt_auto(rmt_yaml) yaml = NULL;
    const int found = s_load(scan, path, &yaml);
    if (found == -1)
        return -1;
    plan_t plan = {.scan = scan, .yaml = yaml, .path = path};
    const bool is_own = strncmp(path, OWN "/", sizeof OWN) == 0;
    if (found == 1) {
        const int root = rmt_yaml_root(yaml);
        const int network = rmt_yaml_find(yaml, root, "network");
        if (root && !rmt_yaml_is_mapping(yaml, root))
            rmt_netscan_refuse(scan, path, 1, "has no mapping 'network:'");
        s_take_network(&plan, network);
    }
    // All of /etc/netplan is this machine's: there is one page for all interfaces.
    if (is_own && scan->is_known)
        rmt_netscan_take(scan, path, plan.own, "sets the network", "network");
    else if (plan.own)
        rmt_netscan_hide(scan, path, plan.own, "sets an interface", OWN);
    return 0;
}

static int
s_read_package(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str own = rmt_text(OWN "%s", strrchr(path, '/'));
    return rmt_rooted_kind(scan->root_fd, own) ? 0 : s_read_plan(scan, path);
}

// ---- cloud-init

// The text without one pair of its outer mapping. Caller owns the result.
static char *
s_without(const char *text, unsigned first, unsigned end)
{
    char *kept = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&kept, &size);
    unsigned line = 1;
    for (const char *p = text; *p; line++) {
        const size_t length = strcspn(p, "\n") + (strchr(p, '\n') ? 1 : 0);
        if (line < first || line >= end)
            fwrite(p, 1, length, out);
        p += length;
    }
    if (fclose(out))
        abort();
    return kept;
}

static int
s_cut_network(rmt_netscan_t *scan, const char *path, const rmt_yaml_t *yaml, size_t index)
{
    const int root = rmt_yaml_root(yaml);
    const size_t count = rmt_yaml_pairs(yaml, root);
    const unsigned first = rmt_yaml_key_line(yaml, root, index);
    const unsigned end =
        index + 1 < count ? rmt_yaml_key_line(yaml, root, index + 1) : ~0u;
    if (count == 1) {
        rmt_netscan_take(scan, path, first, "sets the network", "network");
        return 0;
    }
    if (rmt_yaml_is_flow(yaml, root)) {
        rmt_netscan_refuse(scan, path, first,
                           "sets the network beside other settings in braces");
        return 0;
    }
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1 || !text)
        return text ? -1 : 0;
    rmt_auto_str kept = s_without(text, first, end);
    rmt_netscan_write(scan, path, 0644, kept);
    return 0;
}

static int
s_read_cloud(rmt_netscan_t *scan, const char *path)
{
    rmt_auto(rmt_yaml) yaml = NULL;
    const int found = s_load(scan, path, &yaml);
    if (found != 1)
        return found;
    const int root = rmt_yaml_root(yaml);
    for (size_t i = 0; i < rmt_yaml_pairs(yaml, root); i++) {
        const int value = rmt_yaml_value(yaml, root, i);
        const bool is_off =
            strcmp(rmt_yaml_text(yaml, rmt_yaml_find(yaml, value, "config")),
                   "disabled") == 0;
        if (strcmp(rmt_yaml_key(yaml, root, i), "network") == 0 && !is_off)
            return s_cut_network(scan, path, yaml, i);
    }
    return 0;
}

static int
s_take_seed(rmt_netscan_t *scan, const char *path)
{
    rmt_netscan_take(scan, path, 0, "sets the network", "network");
    return 0;
}

int
rmt_netscan_netplan(rmt_netscan_t *scan)
{
    static const struct {
        const char *folder, *pattern;
        rmt_netscan_file_fn *read;
    } rows[] = {
        {"/lib/netplan", "*.yaml", s_read_package},
        {"/usr/lib/netplan", "*.yaml", s_read_package},
        {OWN, "*.yaml", s_read_plan},
        {"/run/netplan", "*.yaml", s_read_plan},
        {"/etc/cloud", "cloud.cfg", s_read_cloud},
        {"/etc/cloud/cloud.cfg.d", "*.cfg", s_read_cloud},
        {"/var/lib/cloud/seed/nocloud", "network-config", s_take_seed},
        {"/var/lib/cloud/seed/nocloud-net", "network-config", s_take_seed},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        // Where /lib is a symlink, it is the next row.
        if (i == 0 && rmt_rooted_kind(scan->root_fd, "/lib") == S_IFLNK)
            continue;
        if (rmt_netscan_each(scan, rows[i].folder, rows[i].pattern, rows[i].read) == -1)
            return -1;
    }
    return 0;
}
