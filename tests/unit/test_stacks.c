// The words of every network stack, held against golden files (M18, P23): which stack is
// in force, what it is told, and what is switched off beside it.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "base/rmt_io.h"
#include "system/rmt_network_plan.h"
#include "system/rmt_personal.h"
#include "system/rmt_stack.h"

static void
s_enable(const char *unit)
{
    rmt_auto_str link = rmt_text("etc/systemd/system/multi-user.target.wants/%s", unit);
    rmt_auto_str target = rmt_text("/lib/systemd/system/%s", unit);
    root_tree_link(link, target);
}

// ---- Trees, one for each stack

static void
s_make_ifupdown(void)
{
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("etc/network/if-pre-up.d/ifenslave", "");
    root_tree_put("etc/network/if-pre-up.d/bridge", "");
    root_tree_put("etc/network/if-pre-up.d/vlan", "");
    root_tree_put("etc/network/interfaces", "iface ens3 inet dhcp\n");
    s_enable("networking.service");
}

static void
s_make_plain(void)
{
    root_tree_link("sbin/ifup", "/bin/busybox");
    root_tree_put("etc/network/interfaces", "iface eth7 inet dhcp\n");
}

static void
s_make_networkd(void)
{
    root_tree_put("usr/lib/systemd/systemd-networkd", "");
    root_tree_put("usr/lib/systemd/libsystemd-shared-252.so", "");
    s_enable("systemd-networkd.service");
}

static void
s_make_old_networkd(void)
{
    root_tree_put("usr/lib/systemd/systemd-networkd", "");
    root_tree_put("usr/lib/systemd/libsystemd-shared-237.so", "");
    s_enable("systemd-networkd.service");
}

static void
s_make_manager(void)
{
    root_tree_put("usr/sbin/NetworkManager", "");
    s_enable("NetworkManager.service");
}

static void
s_make_netplan(void)
{
    root_tree_put("usr/sbin/netplan", "");
    root_tree_put("etc/netplan/50-cloud-init.yaml", "network: {version: 2}\n");
}

static void
s_make_managed_netplan(void)
{
    root_tree_put("usr/sbin/netplan", "");
    root_tree_put("etc/netplan/01-all.yaml", "network:\n  renderer: NetworkManager\n");
}

static const struct {
    const char *name; // Of the golden file
    const char *stack;
    void (*make)(void);
} s_trees[] = {
    {"ifupdown", "ifupdown", s_make_ifupdown},
    {"ifupdown-plain", "ifupdown", s_make_plain},
    {"networkd", "networkd", s_make_networkd},
    {"networkd-237", "networkd", s_make_old_networkd},
    {"networkmanager", "networkmanager", s_make_manager},
    {"netplan", "netplan", s_make_netplan},
    {"netplan-networkmanager", "netplan", s_make_managed_netplan},
};

#define MAIN                                                                             \
    "address=10.0.0.17/24 gateway=10.0.0.1 dns=10.0.0.2,10.0.0.3 domain=lan "            \
    "mac=52:54:00:AB:CD:EF "
static const struct {
    const char *name;
    const char *target;
} s_targets[] = {
    {"one interface", MAIN},
    {"DHCP", ""},
    {"DHCP on one MAC of many forms", "mac=02-54-00-0A-bc-0D"},
    {"a mask, a name, no gateway", "address=10.1.2.3 mask=255.255.254.0 interface=ens9"},
    {"IPv4 and IPv6",
     "address=10.0.0.17/24,fd00:7::17/64 gateway=10.0.0.1,fe80::1 "
     "dns=10.0.0.2,fd00:7::2 domain=lan mac=52:54:00:ab:cd:ef interface=ens9"},
    {"IPv6 alone", "address=fd00:7::17/64 gateway=fd00:7::1 interface=ens9"},
    {"a gateway outside", "address=10.0.0.17/32 gateway=172.16.0.1 interface=ens9"},
    {"two interfaces",
     MAIN "interface=ens3 net.data.mac=52:54:00:00:00:02 net.data.interface=ens4 "
          "net.data.address=10.1.0.7/16,10.1.0.8/16"},
    {"two interfaces, the second with DHCP",
     MAIN "interface=ens3 net.store.mac=52:54:00:00:00:02 net.store.interface=ens4"},
    {"a bond with a bridge on its VLAN",
     "net.bond0.ports=ens3,ens4 net.bond0.mode=802.3ad net.v7.link=bond0 net.v7.vlan=7 "
     "net.v7.interface=bond0.7 net.br7.kind=bridge net.br7.ports=bond0.7 "
     "net.br7.address=10.7.0.17/24 net.br7.gateway=10.7.0.1"},
    {"a bond of two MACs",
     "net.bond0.ports=52:54:00:AB:CD:EF,52:54:00:00:00:02 net.bond0.address=10.0.0.7/24"},
    {"the main interface as a bond",
     "interface=bond0 kind=bond ports=ens3,ens4 address=10.0.0.17/24 gateway=10.0.0.1 "
     "dns=10.0.0.2"},
    {"a VLAN on a card", "net.v9.link=ens3 net.v9.vlan=9 net.v9.interface=ens3.9"},
};

static void
s_print_actions(FILE *out, const rmt_records_t *actions)
{
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *action = rmt_records_at(actions, i);
        const char *class = rmt_record_text(action, "class", "");
        fprintf(out, "-- %s %s %s%s\n", class, rmt_record_text(action, "path", ""),
                rmt_record_text(action, "mode", ""),
                rmt_record_text(action, "target", ""));
        rmt_auto_str text = rmt_text("%s", rmt_record_text(action, "content", ""));
        char *uuid = strstr(text, "\nuuid=");
        if (uuid)
            memset(uuid + 6, '?', 36); // Another one each time
        fputs(text, out);
    }
}

static void
s_print_tree(FILE *out, size_t tree)
{
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof s_targets / sizeof *s_targets; i++) {
        rmt_auto_str line = rmt_text("class=target name=a %s", s_targets[i].target);
        rmt_auto(rmt_records) records = rmt_facts_parse(line, &error);
        RMT_OK(records);
        rmt_auto(rmt_records) actions = rmt_records_new();
        rmt_network_t network;
        fprintf(out, "==== %s\n", s_targets[i].name);
        if (rmt_network_parse(rmt_records_at(records, 0), &network, &error) == -1)
            fail_msg("%s: %s: %s", s_trees[tree].name, s_targets[i].name, error.text);
        if (rmt_network_plan(root_tree_fd(), &network, actions, &error) == -1)
            fprintf(out, "refused: %s\n", error.text);
        else
            s_print_actions(out, actions);
    }
}

// RAMET_GOLDEN=write makes the files anew; read what changed before you keep it.
static void
s_hold_against(const char *name, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_str path =
        rmt_text("%s/tests/golden/network/%s", getenv("RAMET_SOURCE"), name);
    const char *mode = getenv("RAMET_GOLDEN");
    if (mode && strcmp(mode, "write") == 0) {
        RMT_OK(rmt_io_save(path, text, strlen(text), 0644, &error));
        return;
    }
    rmt_auto_ptr golden = NULL;
    size_t size;
    if (rmt_io_load(path, 1000000, &golden, &size, &error) == -1)
        fail_msg("%s", error.text);
    if (strcmp(golden, text) != 0)
        fail_msg("%s differs; this was made:\n%s", path, text);
}

static void
test_each_stack_is_told_in_its_own_words(void **state)
{
    for (size_t i = 0; i < sizeof s_trees / sizeof *s_trees; i++) {
        if (i > 0)
            assert_int_equal(root_tree_setup(state), 0);
        s_trees[i].make();
        rmt_stack_t stack;
        rmt_error_t error = {0};
        RMT_OK(rmt_stack_look(root_tree_fd(), &stack, &error));
        assert_string_equal(stack.name, s_trees[i].stack);
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        s_print_tree(out, i);
        fclose(out);
        s_hold_against(s_trees[i].name, text);
        free(text);
        if (i + 1 < sizeof s_trees / sizeof *s_trees)
            assert_int_equal(root_tree_teardown(state), 0);
    }
}

// ---- Which one is in force

static const char *
s_stack(void)
{
    rmt_stack_t stack;
    rmt_error_t error = {0};
    RMT_OK(rmt_stack_look(root_tree_fd(), &stack, &error));
    return stack.name;
}

static void
test_units_that_start_count_more_than_programs_that_are_there(void **state)
{
    (void) state;
    root_tree_put("usr/sbin/NetworkManager", "");
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("usr/sbin/netplan", "");
    root_tree_put("usr/lib/systemd/systemd-networkd", "");
    assert_string_equal(s_stack(), "ifupdown");
    s_enable("NetworkManager.service");
    assert_string_equal(s_stack(), "networkmanager");
    // Debian's desktop: both run, and ifupdown has nothing but lo.
    s_enable("networking.service");
    root_tree_put("etc/network/interfaces", "auto lo\niface lo inet loopback\n");
    assert_string_equal(s_stack(), "networkmanager");
    root_tree_put("etc/network/interfaces.d/ens3", "iface ens3 inet dhcp\n");
    assert_string_equal(s_stack(), "ifupdown");
    root_tree_link("etc/systemd/system/networking.service", "/dev/null");
    assert_string_equal(s_stack(), "networkmanager");
    s_enable("systemd-networkd.service");
    assert_string_equal(s_stack(), "networkmanager");
    root_tree_put("etc/systemd/network/50-a.network", "[Match]\n");
    assert_string_equal(s_stack(), "networkd");
    root_tree_put("etc/netplan/a.yaml", "network:\n");
    assert_string_equal(s_stack(), "netplan");
}

static void
test_services_of_system_v_and_openrc_count(void **state)
{
    (void) state;
    root_tree_put("sbin/ifup", "");
    root_tree_put("usr/sbin/NetworkManager", "");
    root_tree_put("etc/network/interfaces", "iface eth0 inet dhcp\n");
    root_tree_link("etc/rcS.d/S10networking", "../init.d/networking");
    root_tree_link("etc/rc2.d/S02network-manager", "../init.d/network-manager");
    assert_string_equal(s_stack(), "ifupdown");
    root_tree_link("etc/runlevels/boot/networking", "/etc/init.d/networking");
    assert_string_equal(s_stack(), "ifupdown");
}

static void
test_a_stack_that_is_not_carried_is_refused_by_name(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const char *const units[] = {"wicked", "connman"};
    rmt_auto(rmt_records) records = rmt_facts_parse("class=target name=a", &error);
    for (size_t i = 0; i < 2; i++) {
        rmt_auto_str unit = rmt_text("%s.service", units[i]);
        rmt_auto_str path =
            rmt_text("etc/systemd/system/multi-user.target.wants/%s", unit);
        s_enable(unit);
        rmt_network_t network;
        RMT_OK(rmt_network_parse(rmt_records_at(records, 0), &network, &error));
        rmt_auto(rmt_records) actions = rmt_records_new();
        RMT_FAILS(rmt_network_plan(root_tree_fd(), &network, actions, &error),
                  RMT_E_UNSUPPORTED);
        assert_non_null(strstr(error.text, units[i]));
        assert_int_equal(unlinkat(root_tree_fd(), path, 0), 0);
    }
    root_tree_put("etc/sysconfig/network-scripts/ifcfg-eth0", "IPADDR=10.0.0.9\n");
    assert_string_equal(s_stack(), "ifcfg");
}

// ---- What is switched off beside it

static void
s_personalise(const char *target)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(target, &error);
    rmt_auto(rmt_records) actions = NULL;
    root_tree_put("etc/os-release", "ID=debian\n");
    if (rmt_personal_plan(root_tree_fd(), rmt_records_at(records, 0), &actions, &error) ==
            -1 ||
        rmt_personal_apply(root_tree_fd(), actions, &error) == -1)
        fail_msg("%s", error.text);
}

static void
test_competitors_let_go_of_the_interface(void **state)
{
    (void) state;
    s_make_ifupdown();
    s_make_manager();
    s_enable("systemd-networkd.service");
    root_tree_link("etc/systemd/system/sockets.target.wants/systemd-networkd.socket",
                   "/x");
    root_tree_put("etc/systemd/network/50-a.network", "[Network]\nAddress=10.0.0.9/24\n");
    root_tree_put("etc/systemd/network/60-b.network",
                  "[Match]\nType=wlan\n[Network]\nDHCP=yes\n");
    root_tree_put("etc/netplan/a.yaml", "network:\n"); // netplan itself is not there
    root_tree_put("etc/NetworkManager/system-connections/wired.nmconnection",
                  "[connection]\ntype=ethernet\n");
    root_tree_put("etc/NetworkManager/system-connections/wlan.nmconnection",
                  "[connection]\ntype=wifi\n");
    root_tree_put("etc/cloud/cloud.cfg", "");
    s_personalise("class=target name=a " MAIN);
    root_tree_expect(
        "etc/NetworkManager/conf.d/99-ramet.conf",
        "# Written by ramet: another stack sets these.\n[main]\nno-auto-default=*\n\n"
        "[keyfile]\nunmanaged-devices=mac:52:54:00:ab:cd:ef\n");
    static const char *const gone[] = {
        "etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
        "etc/systemd/system/sockets.target.wants/systemd-networkd.socket",
        "etc/systemd/network/50-a.network",
        "etc/netplan/a.yaml",
        "etc/NetworkManager/system-connections/wired.nmconnection",
    };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        if (root_tree_has(gone[i]))
            fail_msg("%s is still there", gone[i]);
    }
    assert_true(root_tree_has("etc/systemd/network/60-b.network"));
    assert_true(root_tree_has("etc/NetworkManager/system-connections/wlan.nmconnection"));
    root_tree_expect("etc/cloud/cloud.cfg.d/99-ramet.cfg",
                     "# Written by ramet, which sets all this.\ndatasource_list: [None]\n"
                     "network: {config: disabled}\npreserve_hostname: true\n"
                     "manage_etc_hosts: false\nssh_deletekeys: false\n");
}

static void
test_ifupdown_beside_another_stack_keeps_lo_alone(void **state)
{
    (void) state;
    s_make_netplan();
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("etc/network/interfaces",
                  "iface ens3 inet static\n address 10.0.0.9/24\n");
    s_personalise("class=target name=a " MAIN);
    root_tree_expect(
        "etc/network/interfaces",
        "# Written by ramet: another stack sets the interfaces.\n"
        "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n");
}

static void
test_the_resolvers_link_stays_and_the_resolver_is_told(void **state)
{
    (void) state;
    static const char resolver[] = "../run/systemd/resolve/stub-resolv.conf";
    s_make_ifupdown();
    root_tree_link("etc/resolv.conf", resolver);
    s_personalise("class=target name=a " MAIN);
    char target[64] = "";
    assert_int_equal(readlinkat(root_tree_fd(), "etc/resolv.conf", target, 63),
                     sizeof resolver - 1);
    assert_string_equal(target, resolver);
    root_tree_expect("etc/systemd/resolved.conf.d/99-ramet.conf",
                     "# Written by ramet for this computer.\n[Resolve]\nDomains=lan\n"
                     "DNS=10.0.0.2\nDNS=10.0.0.3\n");
}

static void
test_interfaces_that_cannot_be_told_apart_are_refused(void **state)
{
    (void) state;
    static const char *const bad[] = {
        "address=10.0.0.7/24 net.data.mac=52:54:00:00:00:02",
        MAIN "net.data.mac=52:54:00:ab:cd:ef",
        MAIN "net.data.mac=52:54:00:00:00:02 net.data.address=10.1.0.1/24 "
             "net.data.gateway=10.1.0.254",
        MAIN "net.data=1",
        MAIN "net.main.mac=52:54:00:00:00:02",
        "mac=53:54:00:00:00:02",
        "address=10.0.0.7/24 gateway=10.0.0.1,10.0.0.2",
        "address=10.0.0.7/24,fd00::1 mask=255.255.255.0",
        "net.b.ports=ens3,ens3",
        "net.b.ports=ens3/4",
        "net.b.ports=ens3 net.c.ports=ens3",
        "net.b.ports=b",
        "net.b.kind=bond",
        "net.b.kind=ring net.b.ports=ens3",
        "net.b.mode=802.3ad",
        "net.b.ports=ens3 net.b.mode=fast",
        "net.b.ports=ens3 net.b.vlan=7",
        "net.b.ports=ens3 net.b.mac=52:54:00:00:00:02",
        "net.b.vlan=7",
        "net.b.link=ens3",
        "net.b.link=ens3 net.b.vlan=4095",
        "net.b.link=ens3 net.b.vlan=07",
        "net.b.ports=c net.c.kind=bridge net.c.ports=b",
        "net.b.link=b net.b.vlan=7",
        "net.b.ports=ens3 net.data.interface=ens3 net.data.address=10.0.0.7/24",
        "net.a-role-with-17-char.ports=ens3",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rmt_auto_str line = rmt_text("class=target name=a %s", bad[i]);
        rmt_error_t error = {0};
        rmt_auto(rmt_records) records = rmt_facts_parse(line, &error);
        RMT_OK(records);
        rmt_network_t network;
        if (rmt_network_parse(rmt_records_at(records, 0), &network, &error) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(error.code, RMT_E_USAGE);
    }
}

static void
test_the_label_of_a_replaced_file_is_kept(void **state)
{
    (void) state;
    static const char label[] = "system_u:object_r:hostname_etc_t:s0";
    s_make_ifupdown();
    root_tree_put("etc/hostname", "golden\n");
    rmt_auto_str path = rmt_text("%s/etc/hostname", root_tree_path());
    if (setxattr(path, "security.selinux", label, sizeof label, 0) == -1)
        fail_msg(
            "labels cannot be set here; run this as root on a file system with them");
    s_personalise("class=target name=a");
    char found[64] = "";
    assert_int_equal(getxattr(path, "security.selinux", found, sizeof found),
                     sizeof label);
    assert_string_equal(found, label);
}

#define TREE_TEST(test)                                                                  \
    cmocka_unit_test_setup_teardown(test, root_tree_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_each_stack_is_told_in_its_own_words),
        TREE_TEST(test_units_that_start_count_more_than_programs_that_are_there),
        TREE_TEST(test_services_of_system_v_and_openrc_count),
        TREE_TEST(test_a_stack_that_is_not_carried_is_refused_by_name),
        TREE_TEST(test_competitors_let_go_of_the_interface),
        TREE_TEST(test_ifupdown_beside_another_stack_keeps_lo_alone),
        TREE_TEST(test_the_resolvers_link_stays_and_the_resolver_is_told),
        TREE_TEST(test_interfaces_that_cannot_be_told_apart_are_refused),
        TREE_TEST(test_the_label_of_a_replaced_file_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
