#include "system/rmt_network_plan.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_netscan.h"
#include "system/rmt_stack.h"
#include "system/rmt_unit.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define INTERFACES "/etc/network/interfaces"
#define NETWORKD "/etc/systemd/network"
#define WANTS "/etc/systemd/system/multi-user.target.wants/"

static bool
s_is(const rmt_stack_t *stack, const char *name)
{
    return strcmp(stack->name, name) == 0;
}

// ---- Settings of the image's own machine

// What its files say of its network, whichever stack reads them, now or when that stack
// is started later: what would give each copy an address, a MAC or a key goes.
static int
s_plan_rivals(int root_fd, const rmt_stack_t *stack, rmt_records_t *actions,
              rmt_error_t *error)
{
    rmt_netscan_t scan;
    if (rmt_netscan_run(&scan, root_fd, !s_is(stack, "none"), actions, error) == -1)
        return -1;
    rmt_netscan_end(&scan);
    return scan.refusal[0] ? rmt_fail(error, RMT_E_UNSUPPORTED, "%s", scan.refusal) : 0;
}

// networkd reads files in the order of their names, and the first that fits wins.
static void
s_plan_earlier(int root_fd, rmt_records_t *actions)
{
    rmt_auto_str names = rmt_rooted_list(root_fd, NETWORKD);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text(NETWORKD "/%s", name);
        if (fnmatch("*.network", name, FNM_PERIOD) == 0 && strcmp(name, "10-ramet") < 0 &&
            rmt_rooted_kind(root_fd, path) != S_IFDIR &&
            !rmt_records_find(actions, "path", path))
            rmt_action_remove(actions, path, "network");
    }
}

// ---- Competitors

static void
s_write_line(rmt_records_t *actions, const char *path, const char *what, const char *text)
{
    rmt_action_write(actions, path, what, 0644, text, strlen(text));
}

// NetworkManager keeps its other connections, and leaves these interfaces alone.
static void
s_plan_unmanaged(const rmt_network_t *network, rmt_records_t *actions)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fputs("# Written by ramet: another stack sets these.\n"
          "[main]\nno-auto-default=*\n\n[keyfile]\nunmanaged-devices=",
          out);
    for (size_t i = 0; i < network->count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        const char *kind = one->mac[0]    ? "mac:"
                           : one->name[0] ? "interface-name:"
                                          : "type:ethernet";
        fprintf(out, "%s%s%s", i ? ";" : "", kind, one->mac[0] ? one->mac : one->name);
    }
    fputc('\n', out);
    if (fclose(out))
        abort();
    rmt_action_write(actions, "/etc/NetworkManager/conf.d/99-ramet.conf", "network", 0644,
                     text, size);
    free(text);
}

static void
s_plan_competitors(int root_fd, const rmt_stack_t *stack, const rmt_network_t *network,
                   rmt_records_t *actions)
{
    static const char *const networkd[] = {
        "systemd-networkd.service", "systemd-networkd.socket",
        "systemd-networkd-wait-online.service", "systemd-network-generator.service"};
    const bool is_networkd =
        s_is(stack, "networkd") || (s_is(stack, "netplan") && !stack->is_managed);
    const bool is_manager =
        s_is(stack, "networkmanager") || (s_is(stack, "netplan") && stack->is_managed);
    for (size_t i = 0; !is_networkd && i < sizeof networkd / sizeof *networkd; i++)
        rmt_unit_disable(root_fd, networkd[i], actions);
    rmt_unit_disable(root_fd, "dhcpcd.service", actions);
    if (!is_manager && (rmt_unit_is_enabled(root_fd, "NetworkManager") ||
                        rmt_unit_is_enabled(root_fd, "network-manager")))
        s_plan_unmanaged(network, actions);
    if (!s_is(stack, "ifupdown") && stack->has_main) {
        rmt_auto_str text =
            rmt_text("# Written by ramet: another stack sets the interfaces.\n"
                     "%s\nauto lo\niface lo inet loopback\n",
                     stack->is_alone ? "" : "source " INTERFACES ".d/*\n");
        s_write_line(actions, INTERFACES, "network", text);
    }
}

// A stack that was only there, and nothing else was, is started from now on.
static void
s_plan_enabling(int root_fd, const rmt_stack_t *stack, rmt_records_t *actions)
{
    static const struct {
        const char *stack;
        const char *unit;
    } rows[] = {{"networkd", "systemd-networkd.service"},
                {"networkmanager", "NetworkManager.service"},
                {"ifupdown", "networking.service"}};
    for (size_t i = 0; !stack->is_enabled && i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str unit = rmt_text("/usr/lib/systemd/system/%s", rows[i].unit);
        rmt_auto_str other = rmt_text("/lib/systemd/system/%s", rows[i].unit);
        rmt_auto_str link = rmt_text(WANTS "%s", rows[i].unit);
        // networkd is a part of systemd, so that its unit is where systemd's are.
        if (s_is(stack, rows[i].stack) && (i == 0 || rmt_rooted_exists(root_fd, unit) ||
                                           rmt_rooted_exists(root_fd, other)))
            rmt_action_link(actions, link, "network",
                            rmt_rooted_exists(root_fd, unit) ? unit : other);
    }
}

// ---- Names

static void
s_print_names(FILE *out, const rmt_network_t *network, const char *domain_key,
              const char *dns_key)
{
    for (size_t i = 0; i < network->count; i++) {
        if (network->interfaces[i].domain[0]) {
            fprintf(out, "%s%s\n", domain_key, network->interfaces[i].domain);
            break;
        }
    }
    for (size_t i = 0; i < network->count; i++) {
        for (size_t k = 0; k < network->interfaces[i].dns_count; k++)
            fprintf(out, "%s%s\n", dns_key, network->interfaces[i].dns[k].text);
    }
}

// What /etc/resolv.conf is stays: a symlink belongs to a resolver. Its stack tells it,
// except for ifupdown, which does not know systemd's.
static void
s_plan_resolver(int root_fd, const rmt_stack_t *stack, const rmt_network_t *network,
                rmt_records_t *actions)
{
    bool has_dns = false;
    for (size_t i = 0; i < network->count; i++)
        has_dns = has_dns || network->interfaces[i].dns_count;
    if (!has_dns)
        return;
    const mode_t kind = rmt_rooted_kind(root_fd, "/etc/resolv.conf");
    rmt_auto_str target = rmt_rooted_readlink(root_fd, "/etc/resolv.conf");
    const bool is_file = kind == S_IFREG ||
                         (kind == 0 && (s_is(stack, "ifupdown") || s_is(stack, "none")));
    const bool is_systemd =
        target && strstr(target, "systemd/resolve") && s_is(stack, "ifupdown");
    if (!is_file && !is_systemd)
        return;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (is_systemd)
        fputs("# Written by ramet for this computer.\n[Resolve]\n", out);
    s_print_names(out, network,
                  is_file ? "search " : "Domains=", is_file ? "nameserver " : "DNS=");
    if (fclose(out))
        abort();
    rmt_action_write(actions,
                     is_file ? "/etc/resolv.conf"
                             : "/etc/systemd/resolved.conf.d/99-ramet.conf",
                     "resolver", 0644, text, size);
    free(text);
}

// cloud-init would set networks, names and keys anew from what it knows of the source.
static void
s_plan_cloud_init(int root_fd, rmt_records_t *actions)
{
    if (rmt_rooted_exists(root_fd, "/etc/cloud/cloud.cfg.d") ||
        rmt_rooted_exists(root_fd, "/etc/cloud/cloud.cfg"))
        s_write_line(actions, "/etc/cloud/cloud.cfg.d/99-ramet.cfg", "network",
                     "# Written by ramet, which sets all this.\n"
                     "datasource_list: [None]\n"
                     "network: {config: disabled}\n"
                     "preserve_hostname: true\n"
                     "manage_etc_hosts: false\n"
                     "ssh_deletekeys: false\n");
}

// ---- The plan

// An ifupdown without patterns goes by names: that of the record, else that of the
// image's interface, which is called the same as the hardware is the same.
static void
s_name_interface(const rmt_stack_t *stack, rmt_network_t *network)
{
    rmt_interface_t *first = &network->interfaces[0];
    if (!s_is(stack, "ifupdown") || first->name[0] || network->count > 1)
        return;
    if (stack->is_plain || !first->mac[0])
        snprintf(first->name, sizeof first->name, "%s",
                 stack->first[0] || !stack->is_plain ? stack->first : "eth0");
}

// A stack that knows names alone needs one for each of several interfaces.
static int
s_check_names(const rmt_network_t *network, rmt_error_t *error)
{
    for (size_t i = 0; network->count > 1 && i < network->count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        const bool is_main = strcmp(one->role, "main") == 0;
        if (!one->name[0])
            return rmt_fail(error, RMT_E_USAGE,
                            "the image's ifupdown finds interfaces by name alone; set "
                            "%s%s%sinterface=, such as eth0",
                            is_main ? "" : "net.", is_main ? "" : one->role,
                            is_main ? "" : ".");
    }
    return 0;
}

// ifupdown's helpers find ports by name, and a VLAN's number in its name.
static int
s_check_ifupdown(const rmt_network_t *network, rmt_error_t *error)
{
    for (size_t i = 0; i < network->count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        if (one->master[0] && !one->name[0])
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "the image's ifupdown finds the ports of %s by name; write "
                            "the name of port %s",
                            one->master, one->mac);
        rmt_auto_str dotted = rmt_text("%s.%u", one->link, one->vlan);
        rmt_auto_str short_one = rmt_text("vlan%u", one->vlan);
        if (one->shape == RMT_SHAPE_VLAN && strcmp(one->name, dotted) != 0 &&
            strcmp(one->name, short_one) != 0)
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "the image's ifupdown knows a VLAN by its name; set the "
                            "interface of role %s to %s",
                            one->role, dotted);
    }
    return 0;
}

// The programs that make an interface for ifupdown are packages of their own.
static int
s_check_helpers(int root_fd, const rmt_network_t *network, rmt_error_t *error)
{
    static const struct {
        rmt_shape_t shape;
        const char *package;
        const char *paths[4];
    } rows[] = {
        {RMT_SHAPE_BOND,
         "ifenslave",
         {"/etc/network/if-pre-up.d/ifenslave", "/usr/share/ifupdown2",
          "/usr/libexec/ifupdown-ng/bond", NULL}},
        {RMT_SHAPE_VLAN,
         "vlan",
         {"/etc/network/if-pre-up.d/vlan", "/usr/share/ifupdown2",
          "/usr/libexec/ifupdown-ng/vlan", NULL}},
        {RMT_SHAPE_BRIDGE,
         "bridge-utils",
         {"/etc/network/if-pre-up.d/bridge", "/usr/share/ifupdown2",
          "/usr/libexec/ifupdown-ng/bridge", NULL}},
    };
    for (size_t i = 0; i < network->count; i++) {
        for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
            bool has_any = rows[row].shape != network->interfaces[i].shape;
            for (size_t k = 0; rows[row].paths[k]; k++)
                has_any = has_any || rmt_rooted_exists(root_fd, rows[row].paths[k]) ||
                          rmt_rooted_kind(root_fd, rows[row].paths[k]) == S_IFLNK;
            if (!has_any)
                return rmt_fail(error, RMT_E_UNSUPPORTED,
                                "the record has interface %s, and the image's ifupdown "
                                "cannot make it; install %s on the source",
                                network->interfaces[i].name, rows[row].package);
        }
    }
    return 0;
}

int
rmt_network_check(const rmt_network_t *network, const char *stack, bool is_by_name,
                  rmt_error_t *error)
{
    if (!rmt_stack_is_carried(stack))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the image sets its network with %s, which is not supported: "
                        "every target would have the source's address",
                        stack);
    for (size_t i = 0; strcmp(stack, "none") == 0 && i < network->count; i++) {
        if (network->interfaces[i].address_count)
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "the target's record has address %s, and the image has no "
                            "network stack that can set it",
                            network->interfaces[i].addresses[0].text);
    }
    if (network->is_shaped && strcmp(stack, "none") == 0)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the target's record has an interface made of others, and the "
                        "image has no network stack that can make it");
    if (strcmp(stack, "ifupdown") == 0 && s_check_ifupdown(network, error) == -1)
        return -1;
    return is_by_name ? s_check_names(network, error) : 0;
}

int
rmt_network_plan(int root_fd, const rmt_network_t *wanted, rmt_records_t *actions,
                 rmt_error_t *error)
{
    assert(actions);
    rmt_stack_t stack;
    rmt_network_t network = *wanted;
    if (rmt_stack_look(root_fd, &stack, error) == -1 ||
        rmt_network_check(&network, stack.name, rmt_stack_is_by_name(&stack), error) ==
            -1)
        return -1;
    s_name_interface(&stack, &network);
    if (s_is(&stack, "ifupdown") && s_check_helpers(root_fd, &network, error) == -1)
        return -1;
    if (s_plan_rivals(root_fd, &stack, actions, error) == -1)
        return -1;
    if (!s_is(&stack, "none")) {
        s_plan_competitors(root_fd, &stack, &network, actions);
        if (s_is(&stack, "networkd"))
            s_plan_earlier(root_fd, actions);
        rmt_stack_write(&stack, &network, actions);
        s_plan_enabling(root_fd, &stack, actions);
        s_plan_cloud_init(root_fd, actions);
    }
    s_plan_resolver(root_fd, &stack, &network, actions);
    return 0;
}
