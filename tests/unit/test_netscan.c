// The files of every network stack by their own grammar (M18, P23, [3.40], [3.41]): what
// gives a machine an address, a MAC or a key goes, what does not stays, and what is not
// understood refuses the plan by file, line and reason.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include "unit/netscan_table.h"
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_os.h"

#define IFD "etc/network/interfaces.d/"
static void
test_ifupdown_is_read_by_its_grammar(void **state)
{
    static const netscan_row_t rows[] = {
        {IFD "a", "iface\teno1\tinet\tstatic\n\taddress\t192.0.2.9/24\n", GONE, NULL},
        {IFD "b", "  auto   eno1\n  iface   eno1   inet dhcp\n", GONE, NULL},
        {IFD "c", "iface eno1 \\\n  inet static\n address 192.0.2.9\n", GONE, NULL},
        {IFD "d", "ifa\\\nce eno1 inet dhcp\n", GONE, NULL},
        {IFD "e.bak", "iface eno1 inet6 static\r\n address 2001:db8::9/64\r\n", GONE,
         NULL},
        {IFD "f", "iface eno1:1 inet static\n address 192.0.2.10/32\n", GONE, NULL},
        {IFD "g", "allow-hotplug eno1\n", GONE, NULL},
        {IFD "h", "iface office\n address 192.0.2.9/24\niface e1 inherits office\n", GONE,
         NULL},
        {IFD "i", "mapping eno*\n script /bin/which\n map A b\n", GONE, NULL},
        {IFD "j", "iface lo inet loopback\n up ip a a 192.0.2.9/32 dev lo\n", GONE, NULL},
        {IFD "k", "iface lo inet static\n address 192.0.2.9/32\n", GONE, NULL},
        {IFD "l", "template office\n address 192.0.2.9/24\n", GONE, NULL},
        {IFD "m", "auto lo\niface lo inet loopback\n", KEPT, NULL},
        {IFD "n", "# iface eno1 inet static\n\n   # address 192.0.2.9\n", KEPT, NULL},
        {IFD "o", "", KEPT, NULL},
        // Read by nobody: ifupdown would refuse it.
        {IFD "README.txt", "Put your interfaces here.\n", KEPT, NULL},
        {"etc/network/interfaces", "auto lo\n%for i in range(9):\niface e${i}\n%endfor\n",
         REFUSED, "2 is not in the form of interfaces(5)"},
        {"etc/network/interfaces", "auto lo\n\naddress 192.0.2.9/24\n", REFUSED,
         "3 is not in the form of interfaces(5)"},
    };
    TRY(state, rows);
}

static void
test_ifupdown_reads_what_is_sourced(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    netscan_make_stack();
    root_tree_put("etc/network/interfaces",
                  "auto lo\niface lo inet loopback\nsource more/*.cfg  /srv/net/[ab]\n"
                  "source-directory parts\nsource interfaces\n");
    root_tree_put("etc/network/more/one.cfg", "iface eno1 inet dhcp\nsource deep/*\n");
    root_tree_put("etc/network/more/one.txt", "iface eno1 inet dhcp\n");
    root_tree_put("etc/network/more/deep/two", "auto eno2\n");
    root_tree_put("srv/net/a", "iface eno3 inet dhcp\n");
    root_tree_put("srv/net/c", "iface eno3 inet dhcp\n");
    root_tree_put("etc/network/parts/eno4", "iface eno4 inet dhcp\n");
    root_tree_put("etc/network/parts/eno4.bak", "no such words\n");
    rmt_auto(rmt_records) actions = rmt_records_new();
    if (netscan_plan(TARGET, actions, &error) == -1)
        fail_msg("%s", error.text);
    static const char *const gone[] = {"/etc/network/more/one.cfg",
                                       "/etc/network/more/deep/two", "/srv/net/a",
                                       "/etc/network/parts/eno4"};
    static const char *const kept[] = {"/etc/network/more/one.txt", "/srv/net/c",
                                       "/etc/network/parts/eno4.bak"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_string_equal(netscan_class(actions, gone[i]), "remove");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_string_equal(netscan_class(actions, kept[i]), "");
}

#define UL "usr/lib/systemd/network/"
static void
test_networkd_is_read_with_drop_ins_and_all_folders(void **state)
{
    static const netscan_row_t rows[] = {
        {ND "a.network", "[Match]\nName=e*\n[Network]\n Address = 192.0.2.9/24\n", GONE,
         NULL},
        {ND "b.network", "[Match]\nName=e*\n[Address]\nAddress=2001:db8::9/64\n", GONE,
         NULL},
        {ND "c.network", "[Network]\nDHCP=yes\n[Link]\nMACAddress=02:00:00:00:00:09\n",
         GONE, NULL},
        {ND "d.network", "[Match]\nPermanentMACAddress=52:54:00:00:00:09\n", GONE, NULL},
        {ND "e.network", "[Network]\nAddress=\\\n192.0.2.9/24\n", GONE, NULL},
        {ND "f.network", "[Network]\nDHCP=yes\n[DHCPv4]\nHostname=old\n", GONE, NULL},
        {ND "g.network.d/x.conf", "[Network]\nAddress=192.0.2.9/24\n", GONE, NULL},
        {ND "h.network", "[Match]\nName=e*\n[Network]\nBond=bond7\n", GONE, NULL},
        {ND "i.netdev", "[NetDev]\nName=wg3\nKind=wireguard\n[WireGuard]\nPrivateKey=x\n",
         GONE, NULL},
        {ND "j.netdev", "[NetDev]\nName=br7\nKind=bridge\n", GONE, NULL},
        {ND "k.link", "[Match]\nOriginalName=*\n[Link]\nMACAddress=02:00:00:00:00:09\n",
         GONE, NULL},
        {ND "l.link", "[Match]\nMACAddress=52:54:00:00:00:09\n[Link]\nName=lan0\n", GONE,
         NULL},
        {UL "m.network", "[Network]\nAddress=192.0.2.9/24\n", HIDDEN, "/" ND "m.network"},
        {"usr/local/lib/systemd/network/n.network.d/q.conf",
         "[Network]\nAddress=192.0.2.9/24\n", HIDDEN, "/" ND "n.network.d/q.conf"},
        {ND "o.network", "[Match]\nType=wlan\n[Network]\nDHCP=yes\nAddress=\n", KEPT,
         NULL},
        {ND "p.network", "[Match]\nName=wl*\n; Address=192.0.2.9\n[Network]\nDHCP=yes\n",
         KEPT, NULL},
        {ND "q.network.bak", "[Network]\nAddress=192.0.2.9/24\n", KEPT, NULL},
        {ND "r.link",
         "[Match]\nOriginalName=*\n[Link]\nNamePolicy=path\n"
         "MACAddressPolicy=persistent\n",
         KEPT, NULL},
        // As systemd has it for the network cards of containers.
        {UL "80-container-ve.network",
         "[Match]\nKind=veth\n[Network]\nAddress=0.0.0.0/28\nDHCPServer=yes\n", KEPT,
         "/" ND "80-container-ve.network"},
        {UL "81-free.network", "[Address]\nAddress=::/64\n", KEPT,
         "/" ND "81-free.network"},
        {ND "s.network", "[Network]\nDHCP=yes\nwords\n", REFUSED, "3 is neither"},
        {ND "t.network", "Address=192.0.2.9/24\n", REFUSED, "1 is neither"},
        {"etc/systemd/networkd.conf", "[DHCPv4]\nDUIDType=vendor\nDUIDRawData=00:11\n",
         EDITED, "[DHCPv4]\nDUIDType=vendor\n"},
    };
    TRY(state, rows);
}

static void
test_a_masked_unit_counts_no_more(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    netscan_make_stack();
    root_tree_put(UL "a.network", "[Network]\nAddress=192.0.2.9/24\n");
    root_tree_link(ND "a.network", "/dev/null");
    rmt_auto(rmt_records) actions = rmt_records_new();
    RMT_OK(netscan_plan(TARGET, actions, &error));
    assert_string_equal(netscan_class(actions, "/" ND "a.network"), "");
}

static void
test_keyfiles_are_read_as_glib_reads_them(void **state)
{
    static const netscan_row_t rows[] = {
        {NM "a", "[connection]\n type = ethernet \n[ipv4]\nmethod=auto\n", GONE, NULL},
        {NM "b", "[connection]\ntype\t=\t802-3-ethernet\n", GONE, NULL},
        {NM "c",
         "[connection]\ntype=wifi\n[ipv4]\nmethod=manual\naddress1=192.0.2.9/24\n", GONE,
         NULL},
        {NM "d",
         "[connection]\ntype=wifi\n[wifi]\ncloned-mac-address=02:00:00:00:00:09\n", GONE,
         NULL},
        {NM "e", "[connection]\ntype=wifi\n[ipv4]\ndhcp-hostname=old\n", GONE, NULL},
        {NM "f",
         "[connection]\ntype=wireguard\ninterface-name=wg0\n[wireguard]\n"
         "private-key=x\n",
         GONE, NULL},
        {NM "g", "[connection]\ntype=vpn\nid=v\n[vpn]\nservice-type=x\n", GONE, NULL},
        {NM "h", "[connection]\ntype=bridge\ninterface-name=br0\n", GONE, NULL},
        {"usr/lib/NetworkManager/system-connections/i.nmconnection",
         "[connection]\ntype=ethernet\n[ipv4]\naddress1=192.0.2.9/24\n", HIDDEN,
         "/" NM "i.nmconnection"},
        {NM "j",
         "[connection]\ntype=wifi\n[ipv4]\nmethod=auto\n[wifi]\n"
         "cloned-mac-address=stable\n",
         KEPT, NULL},
        {NM "k~", "[connection]\ntype=ethernet\n", KEPT, NULL},
        {NM "l", "[connection]\ntype=quantum\n", REFUSED, "2 is a connection of unknown"},
        {NM "m", "[connection]\nid=x\n", REFUSED, "1 is a connection without a type"},
        {NM "n", "[connection\ntype=ethernet\n", REFUSED, "1 is neither"},
        {"etc/NetworkManager/conf.d/o.conf",
         "[main]\ndns=none\n[connection]\nethernet.cloned-mac-address = "
         "02:00:00:00:00:09\n"
         "wifi.cloned-mac-address=random\n",
         EDITED, "[main]\ndns=none\n[connection]\nwifi.cloned-mac-address=random\n"},
        {"usr/lib/NetworkManager/conf.d/p.conf", "[main]\ndns=none\n", KEPT, NULL},
        {"etc/NetworkManager/NetworkManager.conf", "[keyfile]\nhostname=old\n", EDITED,
         "[keyfile]\n"},
        {"etc/NetworkManager/conf.d/q.conf", "[keyfile]\npath=/srv/nm\n", REFUSED,
         "2 keeps the connections in /srv/nm"},
        {"var/lib/iwd/home.psk", "[IPv4]\nAddress=192.0.2.9\n", GONE, NULL},
        {"var/lib/iwd/home.psk", "[Security]\nPassphrase=x\n", KEPT, NULL},
    };
    TRY(state, rows);
}

static void
test_yaml_is_read_by_its_own_library(void **state)
{
    static const netscan_row_t rows[] = {
        {"etc/netplan/a.yaml", "network: {version: 2}\n", GONE, NULL},
        {"etc/netplan/b.yaml",
         "network:\n  ethernets: {e1: {addresses: [192.0.2.9/24]}}\n", GONE, NULL},
        {"usr/lib/netplan/c.yaml",
         "network:\n  ethernets:\n    e1:\n      match: {macaddress: "
         "'52:54:00:00:00:09'}\n",
         HIDDEN, "/etc/netplan/c.yaml"},
        {"usr/lib/netplan/d.yaml", "network:\n  renderer: NetworkManager\n", KEPT, NULL},
        {"etc/netplan/e.yaml", "network:\n  ethernets:\n\te1: {}\n", REFUSED,
         "3 is not in"},
        {"etc/netplan/f.yaml", "network: {\n", REFUSED, "2 is not in"},
        {"etc/netplan/g.yaml", "network:\n  version: 2\n  quantums: {q0: {}}\n", REFUSED,
         "3 has the key 'quantums'"},
        {"etc/netplan/h.yaml", "network: {}\n---\nnetwork: {}\n", REFUSED, "3 is not in"},
        {"etc/netplan/i.yaml", "- network\n", REFUSED, "1 has no mapping"},
        {"etc/cloud/cloud.cfg.d/50-curtin.cfg",
         "network:\n  version: 1\n  config:\n  - {type: physical, name: e1}\n", GONE,
         NULL},
        {"etc/cloud/cloud.cfg.d/90-x.cfg",
         "locale: C\nnetwork:\n  version: 2\nusers: []\n", EDITED,
         "locale: C\nusers: []\n"},
        {"etc/cloud/cloud.cfg.d/91-x.cfg", "network: {config: disabled}\n", KEPT, NULL},
        {"etc/cloud/cloud.cfg.d/92-x.cfg", "{locale: C, network: {version: 2}}\n",
         REFUSED, "1 sets the network beside other settings"},
        {"var/lib/cloud/seed/nocloud/network-config", "version: 2\n", GONE, NULL},
    };
    TRY(state, rows);
}

#define SU "etc/sysconfig/network/"
static void
test_ifcfg_is_read_as_a_shell_reads_it(void **state)
{
    static const netscan_row_t rows[] = {
        {RH "ifcfg-a", "DEVICE=eth0\nIPADDR='192.0.2.9'\n", GONE, NULL},
        {RH "ifcfg-b", "TYPE='Ethernet'; BOOTPROTO=dhcp\n", GONE, NULL},
        {RH "ifcfg-c", "export DEVICE=\"eth0\" BOOTPROTO=dhcp # mine\n", GONE, NULL},
        {RH "ifcfg-d", "TYPE=Wireless\nESSID=x\nMACADDR=02:00:00:00:00:09\n", GONE, NULL},
        {RH "ifcfg-e", "DEVICE=bond0\nBONDING_OPTS=\"mode=1 miimon=100\"\n", GONE, NULL},
        {RH "ifcfg-f", "TYPE=Wireless\nESSID=\"a b\"\nBOOTPROTO=dhcp\n", KEPT, NULL},
        {RH "ifcfg-lo", "DEVICE=lo\nIPADDR=127.0.0.1\n", KEPT, NULL},
        {RH "ifcfg-g", "DEVICE=eth0\n. /etc/more\n", REFUSED, "2 is not only NAME=value"},
        {RH "ifcfg-h", "DEVICE=eth0\nIPADDR='192.0.2.9\n", REFUSED, "2 has a quote"},
        {RH "route-eth0", "# none\n192.0.2.128/25 via 192.0.2.1\n", GONE, NULL},
        {RH "route-eth1", "# none\n", KEPT, NULL},
        {RH "keys-ipsec0", "IKE_PSK=x\n", GONE, NULL},
        {"etc/sysconfig/network", "NETWORKING=yes\nGATEWAY=192.0.2.1\nNISDOMAIN=x\n",
         EDITED, "NETWORKING=yes\nNISDOMAIN=x\n"},
        {SU "ifcfg-a", "BOOTPROTO='static'\nIPADDR_1=\"192.0.2.9/24\"\n", GONE, NULL},
        {SU "ifcfg-b", "BRIDGE='yes'\nBRIDGE_PORTS='eth0'\n", GONE, NULL},
        {SU "ifcfg-c", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n", KEPT, NULL},
        {SU "routes", "default 192.0.2.1 - -\n", GONE, NULL},
        {"etc/wicked/ifconfig/a.xml", "<interface><name>e1</name></interface>\n", GONE,
         NULL},
    };
    TRY(state, rows);
}

// ---- Shapes

static void
test_shapes_are_named(void **state)
{
    static const struct {
        const char *path, *text, *shapes;
    } rows[] = {
        {"etc/network/interfaces",
         "iface bond3 inet manual\n bond-slaves e1 e2\niface bond3.7 inet manual\n"
         "iface br7 inet dhcp\n bridge_ports bond3.7\n",
         "bond bond3, vlan bond3.7, bridge br7"},
        {"etc/network/interfaces", "iface six inet6 v4tunnel\n endpoint 192.0.2.1\n",
         "tunnel six"},
        {"etc/netplan/a.yaml",
         "network:\n  bonds: {b0: {interfaces: [e1]}}\n  vlans:\n    v7: {id: 7, link: "
         "b0}\n",
         "bond b0, vlan v7"},
        {"etc/systemd/network/a.netdev", "[NetDev]\nName=br7\nKind=bridge\n",
         "bridge br7"},
        {NM "a", "[connection]\ntype=team\ninterface-name=t0\n", "team t0"},
        {RH "ifcfg-e1", "DEVICE=e1\nMASTER=bond0\nSLAVE=yes\n", "bond bond0"},
        {RH "ifcfg-e1.7", "DEVICE=e1.7\nVLAN=yes\n", "vlan e1.7"},
        {"etc/conf.d/net", "bridge_br0=\"e1 e2\"\n", "bridge br0"},
        {"etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = x\n", "wireguard wg0"},
        {"etc/network/interfaces", "iface e1 inet dhcp\n", ""},
    };
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i > 0)
            assert_int_equal(root_tree_setup(state), 0);
        netscan_make_stack();
        root_tree_put(rows[i].path, rows[i].text);
        rmt_auto(rmt_records) facts = NULL;
        RMT_OK(rmt_os_examine(root_tree_fd(), &facts, &error));
        assert_string_equal(
            rmt_record_text(rmt_records_at(facts, 0), "network-shapes", ""),
            rows[i].shapes);
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
        TREE_TEST(test_ifupdown_is_read_by_its_grammar),
        TREE_TEST(test_ifupdown_reads_what_is_sourced),
        TREE_TEST(test_networkd_is_read_with_drop_ins_and_all_folders),
        TREE_TEST(test_a_masked_unit_counts_no_more),
        TREE_TEST(test_keyfiles_are_read_as_glib_reads_them),
        TREE_TEST(test_yaml_is_read_by_its_own_library),
        TREE_TEST(test_ifcfg_is_read_as_a_shell_reads_it),
        TREE_TEST(test_shapes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
