// The words of each stack for the same settings.
#include "system/rmt_stack.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_io.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HEADER "# Written by ramet for this computer.\n"
#define PERMANENT_MAC_SINCE 245 // Version of systemd that has PermanentMACAddress=

typedef struct {
    FILE *out;
    const rmt_stack_t *stack;
    const rmt_network_t *network;
    const rmt_interface_t *one; // NULL for a file of all interfaces
} page_t;

// The DNS servers with a text between them.
static void
s_print_dns(FILE *out, const rmt_interface_t *one, const char *between)
{
    for (size_t i = 0; i < one->dns_count; i++)
        fprintf(out, "%s%s", i ? between : "", one->dns[i].text);
}

static const char *
s_mode(const rmt_interface_t *bond)
{
    return bond->mode[0] ? bond->mode : "active-backup";
}

static bool
s_has_family(const rmt_interface_t *one, bool is_v6)
{
    for (size_t i = 0; i < one->address_count; i++) {
        if (one->addresses[i].is_v6 == is_v6)
            return true;
    }
    return false;
}

// ---- ifupdown

// Older ones and that of busybox take an IPv4 address and its mask apart.
static void
s_print_ifupdown_address(const page_t *page, const rmt_address_t *address)
{
    if (!page->stack->is_plain) {
        fprintf(page->out, "    address %s/%u\n", address->text, address->prefix);
        return;
    }
    fprintf(page->out, "    address %s\n", address->text);
    if (address->is_v6) {
        fprintf(page->out, "    netmask %u\n", address->prefix);
        return;
    }
    const struct in_addr mask = {
        htonl((uint32_t) (0xffffffffull << (32 - address->prefix)))};
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &mask, text, sizeof text);
    fprintf(page->out, "    netmask %s\n", text);
}

// What an interface is made of, below its first stanza.
static void
s_print_ifupdown_shape(FILE *out, const rmt_interface_t *one)
{
    if (one->shape == RMT_SHAPE_VLAN)
        fprintf(out, "    vlan-raw-device %s\n    vlan-id %u\n", one->link, one->vlan);
    if (one->shape == RMT_SHAPE_PLAIN || one->shape == RMT_SHAPE_VLAN)
        return;
    fputs(one->shape == RMT_SHAPE_BOND ? "    bond-slaves" : "    bridge_ports", out);
    for (size_t i = 0; i < one->port_count; i++)
        fprintf(out, " %s", one->ports[i].name);
    fputs(one->port_count ? "\n" : " none\n", out);
    if (one->shape == RMT_SHAPE_BOND)
        fprintf(out, "    bond-mode %s\n    bond-miimon 100\n", s_mode(one));
}

static void
s_print_ifupdown(const page_t *page, const rmt_interface_t *one)
{
    // A MAC is surer than a name, which depends on the kernel and its helpers.
    const bool named = page->stack->is_plain || one->shape != RMT_SHAPE_PLAIN ||
                       (one->name[0] && !one->mac[0]);
    const char *logical = named ? one->name : one->label;
    if (named)
        fprintf(page->out, "\nauto %s\n", logical);
    else if (one->mac[0])
        fprintf(page->out, "\nauto mac/%s=%s\n", one->mac, logical);
    else
        fprintf(page->out, "\nauto /e*/1=%s\n", logical);
    if (!one->address_count)
        fprintf(page->out, "iface %s inet %s\n", logical,
                one->is_bare ? "manual" : "dhcp");
    if (!one->address_count)
        s_print_ifupdown_shape(page->out, one);
    bool has_gateway[2] = {false, false};
    for (size_t i = 0; i < one->address_count; i++) {
        const rmt_address_t *address = &one->addresses[i];
        const rmt_network_gateway_t *gateway = &one->gateway[address->is_v6];
        fprintf(page->out, "iface %s %s static\n", logical,
                address->is_v6 ? "inet6" : "inet");
        s_print_ifupdown_address(page, address);
        if (i == 0)
            s_print_ifupdown_shape(page->out, one);
        if (gateway->address.text[0] && !has_gateway[address->is_v6])
            fprintf(page->out, "    gateway %s\n", gateway->address.text);
        has_gateway[address->is_v6] = true;
        if (i == 0 && one->dns_count) {
            fputs("    dns-nameservers ", page->out);
            s_print_dns(page->out, one, " ");
            fputc('\n', page->out);
        }
        if (i == 0 && one->domain[0])
            fprintf(page->out, "    dns-search %s\n", one->domain);
    }
}

// Plain ones, bonds, VLANs, bridges.
static int
s_ifupdown_order(rmt_shape_t shape)
{
    return shape == RMT_SHAPE_BRIDGE ? 3 : shape == RMT_SHAPE_VLAN ? 2 : (int) shape;
}

static void
s_write_ifupdown(const page_t *page)
{
    fputs(HEADER, page->out);
    if (!page->stack->is_plain && !page->stack->is_alone)
        fputs("source /etc/network/interfaces.d/*\n\n", page->out);
    fputs("auto lo\niface lo inet loopback\n", page->out);
    // They are started one after the other: what others are made of comes first. A port
    // is started by what it belongs to.
    for (rmt_shape_t shape = RMT_SHAPE_PLAIN; shape <= RMT_SHAPE_VLAN; shape++) {
        for (size_t i = 0; i < page->network->count; i++) {
            const rmt_interface_t *one = &page->network->interfaces[i];
            if (s_ifupdown_order(one->shape) == (int) shape &&
                !(one->shape == RMT_SHAPE_PLAIN && one->master[0]))
                s_print_ifupdown(page, one);
        }
    }
}

// ---- systemd-networkd

// What the interface is a port of, and the VLANs that lie on it.
static void
s_print_networkd_parts(const page_t *page)
{
    const rmt_interface_t *one = page->one;
    if (one->master[0])
        fprintf(page->out, "%s=%s\n",
                one->master_shape == RMT_SHAPE_BOND ? "Bond" : "Bridge", one->master);
    for (size_t i = 0; one->name[0] && i < page->network->count; i++) {
        const rmt_interface_t *other = &page->network->interfaces[i];
        if (strcmp(other->link, one->name) == 0)
            fprintf(page->out, "VLAN=%s\n", other->name);
    }
}

static void
s_write_netdev(const page_t *page)
{
    const rmt_interface_t *one = page->one;
    if (one->shape == RMT_SHAPE_PLAIN)
        return;
    fprintf(page->out, HEADER "[NetDev]\nName=%s\nKind=%s\n", one->name,
            one->shape == RMT_SHAPE_BOND     ? "bond"
            : one->shape == RMT_SHAPE_BRIDGE ? "bridge"
                                             : "vlan");
    if (one->shape == RMT_SHAPE_BOND)
        fprintf(page->out, "\n[Bond]\nMode=%s\nMIIMonitorSec=100ms\n", s_mode(one));
    if (one->shape == RMT_SHAPE_VLAN)
        fprintf(page->out, "\n[VLAN]\nId=%u\n", one->vlan);
}

static void
s_write_networkd(const page_t *page)
{
    const rmt_interface_t *one = page->one;
    const unsigned version = page->stack->systemd;
    const bool is_old = version && version < PERMANENT_MAC_SINCE;
    fputs(HEADER "[Match]\n", page->out);
    // An old one would take no notice of the key, and match everything. The MAC that
    // it knows is shared by what lies on the interface, such as a VLAN.
    if (one->mac[0] && is_old)
        fprintf(page->out, "MACAddress=%s\nType=ether\n", one->mac);
    else if (one->mac[0])
        fprintf(page->out, "PermanentMACAddress=%s\n", one->mac);
    else if (one->name[0])
        fprintf(page->out, "Name=%s\n", one->name);
    else
        fputs("Type=ether\n", page->out);
    fputs("\n[Network]\n", page->out);
    s_print_networkd_parts(page);
    if (!one->address_count)
        fputs(one->is_bare ? "LinkLocalAddressing=no\n" : "DHCP=yes\n", page->out);
    for (size_t i = 0; i < one->address_count; i++)
        fprintf(page->out, "Address=%s/%u\n", one->addresses[i].text,
                one->addresses[i].prefix);
    for (int kind = 0; one->address_count && kind < 2; kind++) {
        if (one->gateway[kind].address.text[0] && !one->gateway[kind].is_on_link)
            fprintf(page->out, "Gateway=%s\n", one->gateway[kind].address.text);
    }
    for (size_t i = 0; i < one->dns_count; i++)
        fprintf(page->out, "DNS=%s\n", one->dns[i].text);
    if (one->domain[0])
        fprintf(page->out, "Domains=%s\n", one->domain);
    for (int kind = 0; one->address_count && kind < 2; kind++) {
        if (one->gateway[kind].address.text[0] && one->gateway[kind].is_on_link)
            fprintf(page->out, "\n[Route]\nGateway=%s\nGatewayOnLink=yes\n",
                    one->gateway[kind].address.text);
    }
}

// ---- NetworkManager

static void
s_print_manager_family(const page_t *page, bool is_v6)
{
    const rmt_interface_t *one = page->one;
    fprintf(page->out, "\n[%s]\n", is_v6 ? "ipv6" : "ipv4");
    if (!s_has_family(one, is_v6)) {
        // A static address of one kind alone says that nothing else is wanted of DHCP.
        fprintf(page->out, "method=%s\n",
                !one->is_bare && (one->address_count == 0 || is_v6) ? "auto"
                                                                    : "disabled");
    } else {
        fputs("method=manual\n", page->out);
        unsigned number = 0;
        for (size_t i = 0; i < one->address_count; i++) {
            if (one->addresses[i].is_v6 != is_v6)
                continue;
            const char *gateway = number ? "" : one->gateway[is_v6].address.text;
            fprintf(page->out, "address%u=%s/%u%s%s\n", ++number, one->addresses[i].text,
                    one->addresses[i].prefix, gateway[0] ? "," : "", gateway);
        }
    }
    bool has_dns = false;
    for (size_t i = 0; i < one->dns_count; i++) {
        if (one->dns[i].is_v6 != is_v6)
            continue;
        fprintf(page->out, "%s%s;", has_dns ? "" : "dns=", one->dns[i].text);
        has_dns = true;
    }
    if (has_dns)
        fputc('\n', page->out);
    if (one->domain[0] && (has_dns || !is_v6))
        fprintf(page->out, "dns-search=%s;\n", one->domain);
}

static const char *
s_manager_type(rmt_shape_t shape)
{
    static const char *const types[] = {"ethernet", "bond", "bridge", "vlan"};
    return types[shape];
}

static void
s_print_manager_shape(FILE *out, const rmt_interface_t *one)
{
    fprintf(out, "\n[%s]\n", s_manager_type(one->shape));
    if (one->shape == RMT_SHAPE_BOND)
        fprintf(out, "mode=%s\nmiimon=100\n", s_mode(one));
    if (one->shape == RMT_SHAPE_BRIDGE)
        fputs("stp=false\n", out);
    if (one->shape == RMT_SHAPE_VLAN)
        fprintf(out, "id=%u\nparent=%s\n", one->vlan, one->link);
    if (one->shape == RMT_SHAPE_PLAIN && one->mac[0])
        fprintf(out, "mac-address=%s\n", one->mac);
}

static void
s_write_manager(const page_t *page)
{
    const rmt_interface_t *one = page->one;
    char uuid[RMT_RANDOM_UUID_SIZE];
    fprintf(page->out, HEADER "[connection]\nid=%s\nuuid=%s\ntype=%s\nautoconnect=true\n",
            one->label, rmt_random_uuid(uuid), s_manager_type(one->shape));
    if (one->name[0] && !one->mac[0])
        fprintf(page->out, "interface-name=%s\n", one->name);
    if (one->master[0])
        fprintf(page->out, "master=%s\nslave-type=%s\n", one->master,
                s_manager_type(one->master_shape));
    s_print_manager_shape(page->out, one);
    if (one->master[0])
        return;
    s_print_manager_family(page, false);
    s_print_manager_family(page, true);
}

// ---- netplan

static void
s_print_netplan_routes(FILE *out, const rmt_interface_t *one)
{
    bool has_any = false;
    for (int kind = 0; one->address_count && kind < 2; kind++) {
        if (!one->gateway[kind].address.text[0])
            continue;
        fprintf(out, "%s        - to: \"%s\"\n          via: \"%s\"\n",
                has_any ? "" : "      routes:\n", kind ? "::/0" : "0.0.0.0/0",
                one->gateway[kind].address.text);
        if (one->gateway[kind].is_on_link)
            fputs("          on-link: true\n", out);
        has_any = true;
    }
}

// What the file calls an interface: one that is made is called as the file says.
static const char *
s_netplan_id(const rmt_interface_t *one)
{
    return one->shape == RMT_SHAPE_PLAIN ? one->label : one->name;
}

// What the file calls the interface of a name or MAC.
static const char *
s_netplan_part(const rmt_network_t *network, const char *name, const char *mac)
{
    for (size_t i = 0; i < network->count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        if ((name[0] && strcmp(one->name, name) == 0) ||
            (mac[0] && strcmp(one->mac, mac) == 0))
            return s_netplan_id(one);
    }
    return name;
}

static void
s_print_netplan_shape(const page_t *page, const rmt_interface_t *one)
{
    FILE *out = page->out;
    if (one->shape == RMT_SHAPE_VLAN)
        fprintf(out, "      id: %u\n      link: %s\n", one->vlan,
                s_netplan_part(page->network, one->link, ""));
    if (one->shape == RMT_SHAPE_BOND || one->shape == RMT_SHAPE_BRIDGE) {
        fputs("      interfaces: [", out);
        for (size_t i = 0; i < one->port_count; i++)
            fprintf(out, "%s%s", i ? ", " : "",
                    s_netplan_part(page->network, one->ports[i].name, one->ports[i].mac));
        fputs("]\n", out);
    }
    if (one->shape == RMT_SHAPE_BOND)
        fprintf(out, "      parameters: {mode: %s, mii-monitor-interval: 100}\n",
                s_mode(one));
    if (one->shape != RMT_SHAPE_PLAIN)
        return;
    if (one->mac[0])
        fprintf(out, "      match:\n        macaddress: \"%s\"\n", one->mac);
    else
        fprintf(out, "      match:\n        name: \"%s\"\n",
                one->name[0] ? one->name : "e*");
}

static void
s_print_netplan(const page_t *page, const rmt_interface_t *one)
{
    FILE *out = page->out;
    fprintf(out, "    %s:\n", s_netplan_id(one));
    s_print_netplan_shape(page, one);
    if (!one->address_count && one->is_bare) {
        fputs("      dhcp4: false\n      link-local: []\n", out);
    } else if (!one->address_count) {
        fputs("      dhcp4: true\n      dhcp6: true\n", out);
    } else {
        fputs("      dhcp4: false\n      addresses: [", out);
        for (size_t i = 0; i < one->address_count; i++)
            fprintf(out, "%s\"%s/%u\"", i ? ", " : "", one->addresses[i].text,
                    one->addresses[i].prefix);
        fputs("]\n", out);
        s_print_netplan_routes(out, one);
    }
    if (!one->dns_count && !one->domain[0])
        return;
    fputs("      nameservers:\n", out);
    if (one->dns_count) {
        fputs("        addresses: [\"", out);
        s_print_dns(out, one, "\", \"");
        fputs("\"]\n", out);
    }
    if (one->domain[0])
        fprintf(out, "        search: [\"%s\"]\n", one->domain);
}

static void
s_write_netplan(const page_t *page)
{
    fputs(HEADER "network:\n  version: 2\n", page->out);
    if (page->stack->is_managed)
        fputs("  renderer: NetworkManager\n", page->out);
    static const char *const kinds[] = {"ethernets", "bonds", "bridges", "vlans"};
    for (rmt_shape_t shape = RMT_SHAPE_PLAIN; shape <= RMT_SHAPE_VLAN; shape++) {
        bool has_any = false;
        for (size_t i = 0; i < page->network->count; i++) {
            const rmt_interface_t *one = &page->network->interfaces[i];
            if (one->shape != shape)
                continue;
            if (!has_any)
                fprintf(page->out, "  %s:\n", kinds[shape]);
            has_any = true;
            s_print_netplan(page, one);
        }
    }
}

// ---- The table

static const struct {
    const char *stack;
    bool is_each; // One file for each interface, %s is its label
    const char *folder, *start, *end;
    unsigned mode;
    void (*write)(const page_t *page);
} s_rows[] = {
    {"ifupdown", false, "/etc/network", "interfaces", "", 0644, s_write_ifupdown},
    {"networkd", true, "/etc/systemd/network", "10-", ".network", 0644, s_write_networkd},
    {"networkd", true, "/etc/systemd/network", "10-", ".netdev", 0644, s_write_netdev},
    {"networkmanager", true, "/etc/NetworkManager/system-connections", "",
     ".nmconnection", 0600, s_write_manager},
    {"netplan", false, "/etc/netplan", "10-ramet", ".yaml", 0600, s_write_netplan},
};

bool
rmt_stack_is_carried(const char *name)
{
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strcmp(s_rows[i].stack, name) == 0)
            return true;
    }
    return strcmp(name, "none") == 0;
}

static void
s_write_page(const page_t *blank, size_t row, rmt_records_t *actions)
{
    page_t page = *blank;
    char *text = NULL;
    size_t size = 0;
    page.out = open_memstream(&text, &size);
    s_rows[row].write(&page);
    if (fclose(page.out))
        abort();
    if (size == 0) { // Nothing to say of this interface
        free(text);
        return;
    }
    rmt_auto_str path = rmt_text("%s/%s%s%s", s_rows[row].folder, s_rows[row].start,
                                 page.one ? page.one->label : "", s_rows[row].end);
    rmt_action_write(actions, path, "network", s_rows[row].mode, text, size);
    free(text);
}

void
rmt_stack_write(const rmt_stack_t *stack, const rmt_network_t *network,
                rmt_records_t *actions)
{
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strcmp(s_rows[i].stack, stack->name) != 0)
            continue;
        page_t page = {.stack = stack, .network = network};
        for (size_t k = 0; s_rows[i].is_each && k < network->count; k++) {
            page.one = &network->interfaces[k];
            s_write_page(&page, i, actions);
        }
        if (!s_rows[i].is_each)
            s_write_page(&page, i, actions);
    }
}
