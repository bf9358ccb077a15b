#include "system/rmt_stack.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_netscan.h"
#include "system/rmt_unit.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static bool
s_has(int root_fd, const char *const *paths)
{
    for (; *paths; paths++) {
        // A link counts as present even if its target does not exist yet.
        if (rmt_rooted_exists(root_fd, *paths) ||
            rmt_rooted_kind(root_fd, *paths) == S_IFLNK)
            return true;
    }
    return false;
}

static bool
s_has_file(int root_fd, const char *folder, const char *pattern)
{
    rmt_auto_str names = rmt_rooted_list(root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        if (fnmatch(pattern, name, FNM_PERIOD) == 0)
            return true;
    }
    return false;
}

typedef struct {
    bool netplan, ifup, interfaces, manager, networkd; // There
    bool ifup_on, manager_on, networkd_on;             // Started
} found_t;

static void
s_look(int root_fd, found_t *found)
{
    static const char *const netplan[] = {"/usr/sbin/netplan", "/sbin/netplan", NULL};
    static const char *const ifup[] = {"/usr/sbin/ifup", "/sbin/ifup", NULL};
    static const char *const interfaces[] = {"/etc/network/interfaces", NULL};
    static const char *const manager[] = {"/usr/sbin/NetworkManager", NULL};
    static const char *const networkd[] = {"/usr/lib/systemd/systemd-networkd",
                                           "/lib/systemd/systemd-networkd", NULL};
    found->netplan =
        s_has(root_fd, netplan) && (s_has_file(root_fd, "/etc/netplan", "*.yaml") ||
                                    s_has_file(root_fd, "/usr/lib/netplan", "*.yaml") ||
                                    s_has_file(root_fd, "/lib/netplan", "*.yaml"));
    found->ifup = s_has(root_fd, ifup);
    found->interfaces = s_has(root_fd, interfaces);
    found->manager = s_has(root_fd, manager);
    found->networkd = s_has(root_fd, networkd);
    found->ifup_on = found->ifup && (rmt_unit_is_enabled(root_fd, "networking") ||
                                     rmt_unit_is_enabled(root_fd, "ifupdown") ||
                                     rmt_unit_is_enabled(root_fd, "network"));
    found->manager_on = rmt_unit_is_enabled(root_fd, "NetworkManager") ||
                        rmt_unit_is_enabled(root_fd, "network-manager");
    found->networkd_on = rmt_unit_is_enabled(root_fd, "systemd-networkd");
}

// Stacks that are found and not supported: their files would give the image's address to
// every copy.
static const char *
s_foreign(int root_fd, const found_t *found)
{
    static const char *const ifcfg[] = {"/etc/sysconfig/network-scripts", NULL};
    if (rmt_unit_is_enabled(root_fd, "wicked"))
        return "wicked";
    if (rmt_unit_is_enabled(root_fd, "connman"))
        return "connman";
    const bool is_other = found->manager_on || found->networkd_on || found->manager;
    return !is_other && s_has(root_fd, ifcfg) ? "ifcfg" : NULL;
}

// What is started comes before what is only there; among those that are started the one
// that has something to say.
static const char *
s_choose(int root_fd, const found_t *found, const rmt_stack_t *stack, bool *enabled_out)
{
    *enabled_out = true;
    if (found->netplan)
        return "netplan";
    if (found->ifup_on && stack->first[0])
        return "ifupdown";
    if (found->networkd_on &&
        (!found->manager_on || s_has_file(root_fd, "/etc/systemd/network", "*.network")))
        return "networkd";
    if (found->manager_on)
        return "networkmanager";
    *enabled_out = found->ifup_on;
    if (found->ifup || found->interfaces)
        return "ifupdown";
    return found->manager ? "networkmanager" : found->networkd ? "networkd" : "none";
}

// Patterns came with ifupdown 0.8.28; busybox, ifupdown2, ifupdown-ng and older ones have
// none.
static int
s_look_whether_plain(int root_fd, bool *is_plain_out, rmt_error_t *error)
{
    static const char *const paths[] = {"/sbin/ifup", "/usr/sbin/ifup"};
    static const char *const others[] = {"/usr/share/ifupdown2", "/etc/network/ifupdown2",
                                         "/usr/libexec/ifupdown-ng", NULL};
    *is_plain_out = s_has(root_fd, others);
    for (size_t i = 0; !*is_plain_out && i < sizeof paths / sizeof *paths; i++) {
        rmt_auto_str target = rmt_rooted_readlink(root_fd, paths[i]);
        *is_plain_out =
            target && (strstr(target, "busybox") || strstr(target, "ifupdown"));
    }
    if (*is_plain_out)
        return 0;
    rmt_auto_str status = NULL;
    if (rmt_rooted_load(root_fd, "/var/lib/dpkg/status", &status, NULL, error) == -1)
        return -1;
    const char *package = status ? strstr(status, "\nPackage: ifupdown\n") : NULL;
    const char *version = package ? strstr(package + 1, "\nVersion: ") : NULL;
    const char *end = package ? strstr(package, "\n\n") : NULL;
    unsigned major = 0, minor = 0, patch = 0;
    if (!version || (end && version > end) ||
        sscanf(version, "\nVersion: %u.%u.%u", &major, &minor, &patch) < 2)
        return 0;
    *is_plain_out = major == 0 && (minor < 8 || (minor == 8 && patch < 28));
    return 0;
}

// systemd names a library of its own after its version.
static unsigned
s_systemd(int root_fd)
{
    static const char *const folders[] = {"/usr/lib/systemd", "/lib/systemd",
                                          "/usr/lib/x86_64-linux-gnu/systemd",
                                          "/usr/lib/aarch64-linux-gnu/systemd"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        rmt_auto_str names = rmt_rooted_list(root_fd, folders[i]);
        for (const char *name = names; *name; name += strlen(name) + 1) {
            unsigned version;
            if (sscanf(name, "libsystemd-shared-%u", &version) == 1)
                return version;
        }
    }
    return 0;
}

int
rmt_stack_look(int root_fd, rmt_stack_t *stack_out, rmt_error_t *error)
{
    rmt_stack_t stack = {.name = "none"};
    found_t found = {0};
    rmt_netscan_t scan;
    s_look(root_fd, &found);
    if (rmt_netscan_glance(&scan, root_fd, error) == -1)
        return -1;
    memcpy(stack.first, scan.first, sizeof stack.first);
    stack.is_alone = scan.is_odd;
    stack.has_main = scan.has_main;
    const char *foreign = s_foreign(root_fd, &found);
    stack.name = foreign ? foreign : s_choose(root_fd, &found, &stack, &stack.is_enabled);
    if (s_look_whether_plain(root_fd, &stack.is_plain, error) == -1)
        return -1;
    stack.is_managed = strcmp(stack.name, "netplan") == 0 &&
                       strcmp(scan.renderer, "NetworkManager") == 0;
    stack.systemd = s_systemd(root_fd);
    *stack_out = stack;
    return 0;
}

bool
rmt_stack_is_by_name(const rmt_stack_t *stack)
{
    return stack->is_plain && strcmp(stack->name, "ifupdown") == 0;
}
