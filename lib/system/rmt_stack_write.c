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

static void
s_print_ifupdown(const page_t *page, const rmt_interface_t *one)
{
    // A MAC is surer than a name, which depends on the kernel and its helpers.
    const bool named = page->stack->is_plain || (one->name[0] && !one->mac[0]);
    const char *logical = named ? one->name : one->label;
    if (named)
        fprintf(page->out, "\nauto %s\n", logical);
    else if (one->mac[0])
        fprintf(page->out, "\nauto mac/%s=%s\n", one->mac, logical);
    else
        fprintf(page->out, "\nauto /e*/1=%s\n", logical);
    if (!one->address_count)
        fprintf(page->out, "iface %s inet dhcp\n", logical);
    bool has_gateway[2] = {false, false};
    for (size_t i = 0; i < one->address_count; i++) {
        const rmt_address_t *address = &one->addresses[i];
        const rmt_network_gateway_t *gateway = &one->gateway[address->is_v6];
        fprintf(page->out, "iface %s %s static\n", logical,
                address->is_v6 ? "inet6" : "inet");
        s_print_ifupdown_address(page, address);
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

static void
s_write_ifupdown(const page_t *page)
{
    fputs(HEADER, page->out);
    if (!page->stack->is_plain)
        fputs("source /etc/network/interfaces.d/*\n\n", page->out);
    fputs("auto lo\niface lo inet loopback\n", page->out);
    for (size_t i = 0; i < page->network->count; i++)
        s_print_ifupdown(page, &page->network->interfaces[i]);
}

// ---- systemd-networkd

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
    if (!one->address_count)
        fputs("DHCP=yes\n", page->out);
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
                one->address_count == 0 || is_v6 ? "auto" : "disabled");
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

static void
s_write_manager(const page_t *page)
{
    const rmt_interface_t *one = page->one;
    char uuid[RMT_RANDOM_UUID_SIZE];
    fprintf(page->out,
            HEADER "[connection]\nid=%s\nuuid=%s\ntype=ethernet\nautoconnect=true\n",
            one->label, rmt_random_uuid(uuid));
    if (one->name[0] && !one->mac[0])
        fprintf(page->out, "interface-name=%s\n", one->name);
    fputs("\n[ethernet]\n", page->out);
    if (one->mac[0])
        fprintf(page->out, "mac-address=%s\n", one->mac);
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

static void
s_print_netplan(FILE *out, const rmt_interface_t *one)
{
    fprintf(out, "    %s:\n      match:\n", one->label);
    if (one->mac[0])
        fprintf(out, "        macaddress: \"%s\"\n", one->mac);
    else
        fprintf(out, "        name: \"%s\"\n", one->name[0] ? one->name : "e*");
    if (!one->address_count) {
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
    fputs("  ethernets:\n", page->out);
    for (size_t i = 0; i < page->network->count; i++)
        s_print_netplan(page->out, &page->network->interfaces[i]);
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
