#include "rmt_network.h"
#include "rmt_action.h"
#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_rooted.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define INTERFACES "/etc/network/interfaces"
#define NETWORKD "/etc/systemd/network"
#define NETWORKD_UNIT "systemd-networkd.service"
#define CONNECTIONS "/etc/NetworkManager/system-connections"
#define HEADER "# Written by ramet for this computer.\n"

static bool
s_is_address(const char *text, bool *is_v6_out)
{
    unsigned char bytes[16];
    *is_v6_out = strchr(text, ':') != NULL;
    return inet_pton(*is_v6_out ? AF_INET6 : AF_INET, text, bytes) == 1;
}

// Bits of a mask such as 255.255.255.0; -1 when it has holes.
static int
s_mask_bits(const char *text)
{
    struct in_addr mask;
    if (inet_pton(AF_INET, text, &mask) != 1)
        return -1;
    const uint32_t bits = ntohl(mask.s_addr);
    int count = 0;
    while (count < 32 && bits & (1u << (31 - count)))
        count++;
    return count < 32 && bits << count ? -1 : count;
}

// Address with its length, which stands behind it, in prefix or in mask.
static int
s_parse_address(const rmt_record_t *target, rmt_network_t *network, rmt_error_t *error)
{
    const char *text = rmt_record_text(target, "address", "");
    if (!text[0])
        return 0;
    const size_t size = strcspn(text, "/");
    if (size >= sizeof network->address)
        return rmt_fail(error, RMT_E_USAGE, "address '%s' is too long", text);
    memcpy(network->address, text, size);
    network->address[size] = '\0';
    if (!s_is_address(network->address, &network->is_v6))
        return rmt_fail(error, RMT_E_USAGE, "address '%s' is none", text);
    const char *mask = rmt_record_text(target, "mask", "");
    const char *prefix =
        text[size] ? text + size + 1 : rmt_record_text(target, "prefix", "");
    int bits = -1;
    if (prefix[0] && strspn(prefix, "0123456789") == strlen(prefix) && strlen(prefix) < 4)
        bits = (int) strtol(prefix, NULL, 10);
    else if (!prefix[0] && mask[0])
        bits = s_mask_bits(mask);
    if (bits < 1 || bits > (network->is_v6 ? 128 : 32))
        return rmt_fail(error, RMT_E_USAGE, "address '%s' has no right prefix or mask",
                        text);
    network->prefix = (unsigned) bits;
    return 0;
}

static int
s_parse_dns(const rmt_record_t *target, rmt_network_t *network, rmt_error_t *error)
{
    rmt_auto_str text = rmt_text("%s", rmt_record_text(target, "dns", ""));
    char *rest = text;
    for (char *word = strsep(&rest, ", "); word; word = strsep(&rest, ", ")) {
        bool is_v6;
        if (!word[0])
            continue;
        if (!s_is_address(word, &is_v6) || network->dns_count == RMT_NETWORK_DNS_MAX)
            return rmt_fail(error, RMT_E_USAGE, "dns '%s' is no address or one too many",
                            word);
        snprintf(network->dns[network->dns_count++], RMT_NETWORK_TEXT_SIZE, "%s", word);
    }
    return 0;
}

static bool
s_is_mac(const char *text)
{
    for (int i = 0; i < 17; i++) {
        if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char) text[i]))
            return false;
    }
    return text[17] == '\0';
}

// Only bytes of these classes, at most size of them.
static bool
s_is_word(const char *text, const char *more, size_t size)
{
    size_t i = 0;
    for (; text[i]; i++) {
        if (!isalnum((unsigned char) text[i]) && !strchr(more, text[i]))
            return false;
    }
    return i <= size;
}

int
rmt_network_parse(const rmt_record_t *target, rmt_network_t *network_out,
                  rmt_error_t *error)
{
    rmt_network_t network = {.prefix = 0};
    const char *gateway = rmt_record_text(target, "gateway", "");
    const char *domain = rmt_record_text(target, "domain", "");
    const char *mac = rmt_record_text(target, "mac", "");
    const char *interface = rmt_record_text(target, "interface", "");
    bool is_v6 = false;
    if (s_parse_address(target, &network, error) == -1 ||
        s_parse_dns(target, &network, error) == -1)
        return -1;
    if (gateway[0] && (!s_is_address(gateway, &is_v6) ||
                       (network.address[0] && is_v6 != network.is_v6)))
        return rmt_fail(error, RMT_E_USAGE, "gateway '%s' is no address of that kind",
                        gateway);
    if (!s_is_word(domain, ".-", sizeof network.domain - 1))
        return rmt_fail(error, RMT_E_USAGE, "domain '%s' is none", domain);
    if (mac[0] && !s_is_mac(mac))
        return rmt_fail(error, RMT_E_USAGE, "mac '%s' is none", mac);
    if (!s_is_word(interface, ".-_", sizeof network.interface - 1))
        return rmt_fail(error, RMT_E_USAGE, "interface '%s' is none", interface);
    snprintf(network.gateway, sizeof network.gateway, "%s", gateway);
    snprintf(network.domain, sizeof network.domain, "%s", domain);
    snprintf(network.interface, sizeof network.interface, "%s", interface);
    for (size_t i = 0; mac[i]; i++)
        network.mac[i] = (char) tolower((unsigned char) mac[i]);
    *network_out = network;
    return 0;
}

// The DNS servers with a text before each but the first.
static void
s_print_dns(FILE *out, const rmt_network_t *network, const char *between)
{
    for (size_t i = 0; i < network->dns_count; i++)
        fprintf(out, "%s%s", i ? between : "", network->dns[i]);
}

static void
s_write_ifupdown(FILE *out, const rmt_network_t *network)
{
    // A MAC is surer than a name, which depends on the kernel and its helpers.
    const bool named = network->interface[0] && !network->mac[0];
    const char *logical = named ? network->interface : "ramet";
    fprintf(out,
            HEADER "source " INTERFACES ".d/*\n\nauto lo\niface lo inet loopback\n\n");
    if (named)
        fprintf(out, "auto %s\n", logical);
    else if (network->mac[0])
        fprintf(out, "auto mac/%s=%s\n", network->mac, logical);
    else
        fprintf(out, "auto /e*/1=%s\n", logical);
    if (!network->address[0]) {
        fprintf(out, "iface %s inet dhcp\n", logical);
        return;
    }
    fprintf(out, "iface %s %s static\n    address %s/%u\n", logical,
            network->is_v6 ? "inet6" : "inet", network->address, network->prefix);
    if (network->gateway[0])
        fprintf(out, "    gateway %s\n", network->gateway);
    if (network->dns_count) {
        fputs("    dns-nameservers ", out);
        s_print_dns(out, network, " ");
        fputc('\n', out);
    }
    if (network->domain[0])
        fprintf(out, "    dns-search %s\n", network->domain);
}

static void
s_write_networkd(FILE *out, const rmt_network_t *network)
{
    fputs(HEADER "[Match]\n", out);
    if (network->mac[0])
        fprintf(out, "PermanentMACAddress=%s\n", network->mac);
    else if (network->interface[0])
        fprintf(out, "Name=%s\n", network->interface);
    else
        fputs("Type=ether\n", out);
    fputs("\n[Network]\n", out);
    if (network->address[0])
        fprintf(out, "Address=%s/%u\n", network->address, network->prefix);
    else
        fputs("DHCP=yes\n", out);
    if (network->address[0] && network->gateway[0])
        fprintf(out, "Gateway=%s\n", network->gateway);
    for (size_t i = 0; i < network->dns_count; i++)
        fprintf(out, "DNS=%s\n", network->dns[i]);
    if (network->domain[0])
        fprintf(out, "Domains=%s\n", network->domain);
}

static void
s_write_networkmanager(FILE *out, const rmt_network_t *network)
{
    const char *own = network->is_v6 ? "ipv6" : "ipv4";
    fputs(HEADER "[connection]\nid=ramet\ntype=ethernet\nautoconnect=true\n", out);
    if (network->interface[0] && !network->mac[0])
        fprintf(out, "interface-name=%s\n", network->interface);
    fputs("\n[ethernet]\n", out);
    if (network->mac[0])
        fprintf(out, "mac-address=%s\n", network->mac);
    fprintf(out, "\n[%s]\n", own);
    if (network->address[0]) {
        fprintf(out, "method=manual\naddress1=%s/%u%s%s\n", network->address,
                network->prefix, network->gateway[0] ? "," : "", network->gateway);
    } else {
        fputs("method=auto\n", out);
    }
    bool is_v6;
    if (network->dns_count) {
        fputs("dns=", out);
        for (size_t i = 0; i < network->dns_count; i++) {
            if (s_is_address(network->dns[i], &is_v6) && is_v6 == network->is_v6)
                fprintf(out, "%s;", network->dns[i]);
        }
        fputc('\n', out);
    }
    if (network->domain[0])
        fprintf(out, "dns-search=%s;\n", network->domain);
    fprintf(out, "\n[%s]\nmethod=auto\n", network->is_v6 ? "ipv4" : "ipv6");
}

static void
s_write_netplan(FILE *out, const rmt_network_t *network)
{
    fputs(HEADER "network:\n  version: 2\n  ethernets:\n    ramet:\n      match:\n", out);
    if (network->mac[0])
        fprintf(out, "        macaddress: \"%s\"\n", network->mac);
    else
        fprintf(out, "        name: \"%s\"\n",
                network->interface[0] ? network->interface : "e*");
    if (!network->address[0]) {
        fputs("      dhcp4: true\n", out);
    } else {
        fprintf(out, "      dhcp4: false\n      addresses: [\"%s/%u\"]\n",
                network->address, network->prefix);
        if (network->gateway[0])
            fprintf(out, "      routes:\n        - to: \"%s\"\n          via: \"%s\"\n",
                    network->is_v6 ? "::/0" : "0.0.0.0/0", network->gateway);
    }
    if (!network->dns_count && !network->domain[0])
        return;
    fputs("      nameservers:\n", out);
    if (network->dns_count) {
        fputs("        addresses: [\"", out);
        s_print_dns(out, network, "\", \"");
        fputs("\"]\n", out);
    }
    if (network->domain[0])
        fprintf(out, "        search: [\"%s\"]\n", network->domain);
}

// How a stack is told, and which files of the image's machine would speak against.
typedef struct {
    const char *name;
    const char *path;
    unsigned mode;
    void (*write)(FILE *out, const rmt_network_t *network);
    const char *rival_folder;
    const char *rival_end;  // Of file names; "" for all
    const char *rival_line; // Such a file is taken away when it has this; "" always
} setter_t;

static const setter_t s_stacks[] = {
    {"ifupdown", INTERFACES, 0644, s_write_ifupdown, INTERFACES ".d", "", "iface "},
    {"networkd", NETWORKD "/10-ramet.network", 0644, s_write_networkd, NETWORKD,
     ".network", "Address="},
    {"networkmanager", CONNECTIONS "/ramet.nmconnection", 0600, s_write_networkmanager,
     CONNECTIONS, "", "type=ethernet"},
    {"netplan", "/etc/netplan/10-ramet.yaml", 0600, s_write_netplan, "/etc/netplan",
     ".yaml", ""},
};

static bool
s_ends_with(const char *text, const char *end)
{
    const size_t size = strlen(text);
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

// A file of the image that sets an address of the image's machine would give that
// address to each copy. One that networkd reads before ours would win over it.
static void
s_plan_rivals(int root_fd, const setter_t *stack, rmt_records_t *actions)
{
    rmt_auto_str names = rmt_rooted_list(root_fd, stack->rival_folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", stack->rival_folder, name);
        if (!s_ends_with(name, stack->rival_end) || strcmp(path, stack->path) == 0 ||
            rmt_rooted_kind(root_fd, path) != S_IFREG)
            continue;
        rmt_auto_str text = rmt_rooted_load(root_fd, path, NULL);
        const bool before = strcmp(stack->rival_end, ".network") == 0 &&
                            strcmp(name, strrchr(stack->path, '/') + 1) < 0;
        if (before || (text && strstr(text, stack->rival_line)))
            rmt_action_remove(actions, path, "network");
    }
}

// Where neither name nor MAC is known, the copy's interface is called as the image's
// was: the hardware is the same.
static void
s_guess_interface(int root_fd, rmt_network_t *network)
{
    rmt_auto_str text = rmt_rooted_load(root_fd, INTERFACES, NULL);
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char name[16];
        if (sscanf(line, " iface %15s", name) == 1 && strcmp(name, "lo") != 0 &&
            s_is_word(name, ".-_", sizeof name)) {
            memcpy(network->interface, name, sizeof name);
            return;
        }
    }
}

static void
s_plan_stack(int root_fd, const setter_t *stack, const rmt_network_t *wanted,
             rmt_records_t *actions)
{
    rmt_network_t network = *wanted;
    if (strcmp(stack->name, "ifupdown") == 0 && !network.interface[0] && !network.mac[0])
        s_guess_interface(root_fd, &network);
    s_plan_rivals(root_fd, stack, actions);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    stack->write(out, &network);
    if (fclose(out))
        abort();
    rmt_action_write(actions, stack->path, "network", stack->mode, text, size);
    free(text);
    static const char wants[] =
        "/etc/systemd/system/multi-user.target.wants/" NETWORKD_UNIT;
    if (strcmp(stack->name, "networkd") == 0 && !rmt_rooted_kind(root_fd, wants))
        rmt_action_link(actions, wants, "network", "/lib/systemd/system/" NETWORKD_UNIT);
}

static void
s_plan_resolver(int root_fd, const rmt_network_t *network, rmt_records_t *actions)
{
    // A symlink belongs to a resolver that is told by the stack.
    if (network->dns_count == 0 ||
        rmt_rooted_kind(root_fd, "/etc/resolv.conf") != S_IFREG)
        return;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (network->domain[0])
        fprintf(out, "search %s\n", network->domain);
    for (size_t i = 0; i < network->dns_count; i++)
        fprintf(out, "nameserver %s\n", network->dns[i]);
    if (fclose(out))
        abort();
    rmt_action_write(actions, "/etc/resolv.conf", "resolver", 0644, text, size);
    free(text);
}

int
rmt_network_plan(int root_fd, const char *stack, const rmt_network_t *network,
                 rmt_records_t *actions, rmt_error_t *error)
{
    static const char cloud[] = "network: {config: disabled}\n";
    assert(actions);
    const setter_t *row = NULL;
    for (size_t i = 0; i < sizeof s_stacks / sizeof *s_stacks; i++) {
        if (strcmp(s_stacks[i].name, stack) == 0)
            row = &s_stacks[i];
    }
    if (!row && network->address[0])
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "address %s is wanted, and the image has no network stack to set it",
            network->address);
    if (row)
        s_plan_stack(root_fd, row, network, actions);
    if (row && rmt_rooted_exists(root_fd, "/etc/cloud/cloud.cfg.d"))
        rmt_action_write(actions, "/etc/cloud/cloud.cfg.d/99-ramet.cfg", "network", 0644,
                         cloud, sizeof cloud - 1);
    s_plan_resolver(root_fd, network, actions);
    return 0;
}
