// What gives a machine an address, a MAC, a key or a name beside its network stack (M18,
// P23, [3.40]): rc files, DHCP clients, tunnels, commands, and what comes before any
// stack.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include "unit/netscan_table.h"
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_os.h"

static void
test_rc_files_of_other_systems_are_read(void **state)
{
    static const netscan_row_t rows[] = {
        {"etc/conf.d/net", "config_eth0=\"192.0.2.9/24\n2001:db8::9/64\"\n", GONE, NULL},
        {"etc/conf.d/net", "config_eth0=( \"192.0.2.9 netmask 255.255.255.0\" )\n", GONE,
         NULL},
        {"etc/conf.d/net", "mac_eth0=\"02:00:00:00:00:09\"\n", GONE, NULL},
        {"etc/conf.d/net", "config_eth0=\"dhcp\"\ndns_servers_eth0=\"192.0.2.1\"\n", KEPT,
         NULL},
        {"etc/netctl/home",
         "Interface=e1\nConnection=ethernet\nAddress=('192.0.2.9/24')\n", GONE, NULL},
        {"etc/netctl/lab",
         "Interface=br0\nConnection=bridge\nBindsToInterfaces=(e1 e2)\n", GONE, NULL},
        {"etc/netctl/lan", "Interface=e1\nConnection=ethernet\nIP=dhcp\n", KEPT, NULL},
        {"etc/network.d/lan", "INTERFACE=eth0\nADDR=\"192.0.2.9\"\n", GONE, NULL},
        {"etc/rc.conf", "HARDWARECLOCK=UTC\nifconfig_em0=\"inet 192.0.2.9/24\"\n",
         REFUSED, "2 sets address 192.0.2.9/24"},
        {"etc/rc.conf", "HARDWARECLOCK=UTC\nNAMESERVERS=\"192.0.2.1\"\n", REFUSED,
         "2 sets address"},
        {"etc/rc.conf", "KEYMAP=\"us\"\ndns_servers=192.0.2.1\n", KEPT, NULL},
        {"etc/rc.d/rc.inet1.conf", "IPADDR[0]=\"192.0.2.9\"\n", REFUSED,
         "1 sets address"},
        {"etc/conf.d/net", "config_eth0=(\n", REFUSED, "1 has a list without"},
    };
    TRY(state, rows);
}

static void
test_dhcp_clients_keep_what_is_not_the_machines(void **state)
{
    static const netscan_row_t rows[] = {
        {"etc/dhcpcd.conf",
         "duid\ninterface eth0\nstatic ip_address=192.0.2.9/24\n"
         "static routers=192.0.2.1\nmetric 200\n",
         EDITED, "duid\ninterface eth0\nmetric 200\n"},
        {"etc/dhcpcd.conf", "hostname\nduid\npersistent\n", KEPT, NULL},
        {"etc/dhcpcd.conf", "persistent\nhostname\told\nclientid 00:11\n", EDITED,
         "persistent\n"},
        {"etc/dhcp/dhclient.conf",
         "timeout 60;\nsend host-name = gethostname();\nrequest subnet-mask;\n", KEPT,
         NULL},
        {"etc/dhcp/dhclient.conf",
         "timeout 60;\nsend  dhcp-client-identifier\n \"old;name\"; # send x;\nretry "
         "9;\n",
         EDITED, "timeout 60; # send x;\nretry 9;\n"},
        {"etc/dhclient-eth0.conf",
         "alias {\n interface \"eth0\";\n fixed-address 192.0.2.9;\n}\nretry 9;\n",
         EDITED, "\nretry 9;\n"},
        {"etc/dhclient.conf",
         "interface \"eth0\" {\n send dhcp-client-identifier 1:2;\n retry 9;\n}\n",
         EDITED, "interface \"eth0\" {\n retry 9;\n}\n"},
        {"etc/dhclient.conf", "interface \"eth0\" {\n retry 9;\n", REFUSED,
         "3 is not in"},
        {"etc/dhclient.conf", "retry 9;\n}\n", REFUSED, "2 is not in"},
    };
    TRY(state, rows);
}

static void
test_keys_of_tunnels_go(void **state)
{
    static const netscan_row_t rows[] = {
        {"etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = x\n", GONE, NULL},
        {"etc/wireguard/private.key", "x\n", GONE, NULL},
        {"etc/wireguard/peer.pub", "x\n", KEPT, NULL},
        {"etc/openvpn/client/hq.conf", "client\n<key>\nx\n</key>\n", GONE, NULL},
        {"etc/openvpn/hq.conf", "dev tun\nifconfig 192.0.2.9 192.0.2.10\n", GONE, NULL},
        {"etc/openvpn/hq.conf", "dev tun\n; key client.key\n", KEPT, NULL},
        {"etc/ipsec.secrets", "# none\ninclude /var/lib/strongswan/x.inc\n", KEPT, NULL},
        {"etc/ipsec.secrets", ": RSA moon.pem\n", GONE, NULL},
        {"etc/ipsec.d/private/moon.pem", "x\n", GONE, NULL},
        {"etc/swanctl/private/moon.pem", "x\n", GONE, NULL},
        {"etc/tinc/vpn/rsa_key.priv", "x\n", GONE, NULL},
        {"etc/nebula/host.key", "x\n", GONE, NULL},
    };
    TRY(state, rows);
}

static void
test_a_file_that_openvpn_names_goes_with_it(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    netscan_make_stack();
    root_tree_put("etc/openvpn/hq.conf", "ca ca.crt\nkey \"keys/me.key\"\n");
    root_tree_put("etc/openvpn/keys/me.key", "x\n");
    root_tree_put("etc/openvpn/ca.crt", "x\n");
    rmt_auto(rmt_records) actions = rmt_records_new();
    RMT_OK(netscan_plan(TARGET, actions, &error));
    assert_string_equal(netscan_class(actions, "/etc/openvpn/hq.conf"), "remove");
    assert_string_equal(netscan_class(actions, "/etc/openvpn/keys/me.key"), "remove");
    assert_string_equal(netscan_class(actions, "/etc/openvpn/ca.crt"), "");
}

static void
test_commands_that_set_an_address_refuse_the_plan(void **state)
{
    static const netscan_row_t rows[] = {
        {"etc/rc.local", "#!/bin/sh\nip addr add 192.0.2.9/24 dev eth0\n", REFUSED,
         "2 sets address 192.0.2.9/24 by a command"},
        {"etc/rc.local", "if true; then /sbin/ip -4 a a dev eth0 192.0.2.9/24; fi\n",
         REFUSED, "1 sets address"},
        {"etc/rc.local", "\nifconfig eth0 \\\n 192.0.2.9 netmask 255.255.255.0 up\n",
         REFUSED, "2 sets address 192.0.2.9"},
        {"etc/rc.local", "ip addr add $MY dev eth0\n", REFUSED, "1 sets address $MY"},
        {"etc/rc.local", "sh -c 'true && ip a r 192.0.2.9/24 dev e0'\n", REFUSED,
         "1 sets address"},
        {"etc/rc.local", "ip link set dev eth0 address 02:00:00:00:00:09\n", REFUSED,
         "1 sets MAC"},
        {"etc/rc.local", "ip link add link eth0 name v7 type vlan id 7\n", REFUSED,
         "1 makes an interface of type vlan"},
        {"etc/rc.local", "brctl addbr br0\n", REFUSED, "1 makes an interface of others"},
        {"etc/local.d/net.start", "hostname old\n", REFUSED, "1 sets the name old"},
        {"etc/rc.local",
         "#!/bin/sh\n# ip addr add 192.0.2.9/24 dev eth0\n"
         "echo ip addr add 192.0.2.9/24 dev eth0\nip addr show dev eth0\n"
         "hostname -F /etc/hostname\nifconfig lo 127.0.0.1\nip link set e0 up\n",
         KEPT, NULL},
        {"etc/init.d/vendor", "#!/bin/sh\nip addr add $A dev eth0\n", KEPT, NULL},
        {"etc/init.d/vendor", "#!/bin/sh\nip addr add 192.0.2.9/24 dev eth0\n", REFUSED,
         "2 sets address"},
        {"etc/crontab", "@reboot root ip addr add 192.0.2.9/24 dev e0\n", REFUSED,
         "1 sets address"},
        {"etc/cron.d/net", "*/5 * * * * root ifconfig e0 192.0.2.9\n", REFUSED,
         "1 sets address"},
        {"etc/systemd/system/x.service",
         "[Service]\nType=oneshot\nExecStart=-/sbin/ip addr add 192.0.2.9/24 dev eth0\n",
         REFUSED, "3 sets address"},
        {"etc/systemd/system/x.service.d/y.conf",
         "[Service]\nExecStartPre=/bin/sh -c 'ifconfig e0 192.0.2.9'\n", REFUSED,
         "2 sets address"},
        {"etc/keepalived/keepalived.conf",
         "vrrp_instance a {\n virtual_ipaddress {\n  192.0.2.9/24 dev e0\n }\n}\n",
         REFUSED, "3 gives the machine the shared address"},
    };
    TRY(state, rows);
}

static void
test_a_unit_is_followed_into_its_own_script(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    netscan_make_stack();
    root_tree_put("etc/systemd/system/x.service",
                  "[Service]\nExecStart=/usr/local/sbin/up now\n");
    root_tree_put("usr/local/sbin/up", "#!/bin/sh\nip addr add 192.0.2.9/24 dev e0\n");
    rmt_auto(rmt_records) actions = rmt_records_new();
    RMT_FAILS(netscan_plan(TARGET, actions, &error), RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "/usr/local/sbin/up:2 sets address"));
}

static void
test_what_comes_before_any_stack_is_read(void **state)
{
    static const netscan_row_t rows[] = {
        {"etc/default/grub",
         "A=1\nGRUB_CMDLINE_LINUX=\"quiet ip=192.0.2.9::192.0.2.1\"\n", REFUSED,
         "2 sets an address at the start"},
        {"boot/grub/grub.cfg", "linux /vmlinuz ip=[2001:db8::9]::::x:e0:none\n", REFUSED,
         "1 sets an address"},
        {"etc/kernel/cmdline", "ip=::::old:eth0:dhcp\n", REFUSED, "1 sets a name"},
        {"boot/grub2/grubenv",
         "# GRUB Environment Block\nsaved_entry=a\nkernelopts=ro "
         "ip=192.0.2.9::192.0.2.1\n",
         REFUSED, "3 sets an address"},
        {"boot/grub/grubenv", "kernelopts=ip=192.0.2.9:::::eth0 ro\n####", REFUSED,
         "1 sets an address"},
        {"boot/loader/entries/a.conf", "title A\noptions ro ip=192.0.2.9::::h\n", REFUSED,
         "2 sets an address"},
        {"etc/kernel/cmdline", "vlan=v7:eth0\n", REFUSED, "1 makes an interface"},
        {"etc/kernel/cmdline", "ip=dhcp ip=eth0:dhcp quiet\n", KEPT, NULL},
        {"etc/initramfs-tools/initramfs.conf", "IP=192.0.2.9::192.0.2.1:::e0\n", REFUSED,
         "1 sets an address"},
        {"etc/initramfs-tools/initramfs.conf", "MODULES=most\nIP=\n", KEPT, NULL},
        {"etc/udev/rules.d/75-a.rules",
         "SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:00:00:09\", NAME=\"lan\"\n"
         "KERNEL==\"x\", MODE=\"0660\"\n",
         EDITED, "KERNEL==\"x\", MODE=\"0660\"\n"},
        {"etc/udev/rules.d/76-a.rules",
         "SUBSYSTEM==\"net\", \\\n RUN+=\"/sbin/ip link set e0 address "
         "02:00:00:00:00:09\"\n",
         REFUSED, "1 sets MAC"},
        {"etc/udev/rules.d/77-a.rules", "SUBSYSTEM==\"net\", NAME=\"lan%n\"\n", KEPT,
         NULL},
        {"etc/mactab", "lan 52:54:00:00:00:09\n", GONE, NULL},
    };
    TRY(state, rows);
}

// ---- Without a stack that ramet knows

static void
test_without_a_known_stack_an_address_refuses_the_plan(void **state)
{
    static const netscan_row_t rows[] = {
        {"etc/conf.d/net", "config_eth0=\"192.0.2.9/24\"\n", REFUSED, "1 sets address"},
        {"etc/netctl/home", "Address=('192.0.2.9/24')\n", REFUSED, "1 sets address"},
        {ND "a.network", "[Network]\nAddress=192.0.2.9/24\n", REFUSED,
         "2 sets an address"},
        {"etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = x\n", REFUSED, "1 holds"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        if (i > 0)
            assert_int_equal(root_tree_setup(state), 0);
        root_tree_put("etc/os-release", "ID=other\n");
        root_tree_put(rows[i].path, rows[i].text);
        rmt_auto(rmt_records) actions = rmt_records_new();
        rmt_auto(rmt_records) facts = NULL;
        RMT_FAILS(netscan_plan("class=target name=a", actions, &error),
                  RMT_E_UNSUPPORTED);
        rmt_auto_str start = rmt_text("/%s:%s", rows[i].path, rows[i].want);
        assert_int_equal(strncmp(error.text, start, strlen(start)), 0);
        // The image tells the same, so that the plan knows.
        RMT_OK(rmt_os_examine(root_tree_fd(), &facts, &error));
        assert_string_equal(
            rmt_record_text(rmt_records_at(facts, 0), "network-refusal", ""), error.text);
        if (i + 1 < sizeof rows / sizeof *rows)
            assert_int_equal(root_tree_teardown(state), 0);
    }
}

#define TREE_TEST(test)                                                                  \
    cmocka_unit_test_setup_teardown(test, root_tree_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_rc_files_of_other_systems_are_read),
        TREE_TEST(test_dhcp_clients_keep_what_is_not_the_machines),
        TREE_TEST(test_keys_of_tunnels_go),
        TREE_TEST(test_a_file_that_openvpn_names_goes_with_it),
        TREE_TEST(test_commands_that_set_an_address_refuse_the_plan),
        TREE_TEST(test_a_unit_is_followed_into_its_own_script),
        TREE_TEST(test_what_comes_before_any_stack_is_read),
        TREE_TEST(test_without_a_known_stack_an_address_refuses_the_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
