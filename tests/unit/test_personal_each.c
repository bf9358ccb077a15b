// A tree of which any one call to the kernel fails while a personalisation is planned:
// the plan fails, or it is the same plan (P23).
#include "tools/refuse_each.h"
#include "tools/rmt_test.h"
#include "tools/root_tree.h"

#include <errno.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "system/rmt_personal.h"

#define TARGET                                                                           \
    "class=target name=web-7 address=10.0.0.17 mask=255.255.255.0 gateway=10.0.0.1 "     \
    "dns=10.0.0.2 domain=lan mac=52:54:00:AB:CD:EF"

// A system with something of each reader.
static const struct {
    const char *path, *text;
} s_files[] = {
    {"etc/os-release", "ID=debian\nVERSION_ID=12\n"},
    {"etc/hostname", "golden\n"},
    {"etc/hosts", "127.0.0.1 localhost golden\n10.0.0.9 golden.lan golden\n"},
    {"etc/mailname", "golden.lan\n"},
    {"etc/machine-id", "0123456789abcdef0123456789abcdef\n"},
    {"etc/network/interfaces", "auto lo\niface lo inet loopback\nsource more/*.cfg\n"},
    {"etc/network/more/a.cfg", "auto e0\niface e0 inet static\n address 10.0.0.9/24\n"},
    {"etc/network/interfaces.d/b", "iface e1 inet dhcp\n"},
    {"etc/systemd/network/a.network", "[Network]\nAddress=10.0.0.9/24\n"},
    {"etc/systemd/network/a.network.d/b.conf", "[Network]\nDNS=10.0.0.2\n"},
    {"etc/netplan/a.yaml", "network:\n  ethernets:\n    e0:\n      dhcp4: true\n"},
    {"etc/NetworkManager/system-connections/a.nmconnection",
     "[connection]\nid=a\ntype=ethernet\n[ipv4]\nmethod=manual\naddress1=10.0.0.9/24\n"},
    {"etc/dhcpcd.conf", "interface e0\nstatic ip_address=10.0.0.9/24\n"},
    {"etc/dhcp/dhclient.conf", "send host-name \"golden\";\n"},
    {"etc/postfix/main.cf", "myhostname = golden.lan\nmydestination = golden\n"},
    {"etc/ssh/sshd_config", "Include more/*.conf\nHostKey /srv/key\n"},
    {"etc/ssh/more/a.conf", "HostKey /srv/other\n"},
    {"etc/ssh/ssh_host_ed25519_key", "key"},
    {"etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 key"},
    {"etc/default/ssh", "SSHD_OPTS=\"-h /srv/third\"\n"},
    {"srv/key", "key"},
    {"srv/other", "key"},
    {"srv/third", "key"},
    {"etc/dropbear/dropbear_ed25519_host_key", "key"},
    {"etc/tinyssh/sshkeydir/.ed25519.sk", "key"},
    {"etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = x\nAddress = 10.8.0.1/24\n"},
    {"etc/openvpn/hq.conf", "secret keys/me.key\n"},
    {"etc/openvpn/keys/me.key", "key"},
    {"etc/rc.local", "#!/bin/sh\ntrue\n"},
    {"etc/crontab", "@daily root true\n"},
    {"etc/resolv.conf", "nameserver 9.9.9.9\n"},
    {"etc/udev/rules.d/70-persistent-net.rules", "NAME=\"e0\"\n"},
    {"usr/lib/systemd/systemd", ""},
    {"usr/sbin/ifup", ""},
    {"usr/sbin/sshd", ""},
    {"var/lib/dhcp/dhclient.leases", "lease {}\n"},
    {"var/lib/systemd/random-seed", "seed"},
    {"var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"},
};

static char *s_wanted; // What the plan is when nothing fails

static char *
s_text(const rmt_records_t *actions)
{
    rmt_auto_str text = rmt_text("%s", "");
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *one = rmt_records_at(actions, i);
        char *longer = rmt_text("%s%s %s\n", text, rmt_record_text(one, "class", ""),
                                rmt_record_text(one, "path", ""));
        free(text);
        text = longer;
    }
    return rmt_take(&text);
}

static char *
s_rehearse(rmt_error_t *error)
{
    rmt_auto(rmt_records) target = rmt_facts_parse(TARGET, error);
    rmt_auto(rmt_records) actions = NULL;
    rmt_auto(rmt_records) none = rmt_records_new();
    if (rmt_personal_rehearse(root_tree_fd(), rmt_records_at(target, 0), &actions,
                              error) == -1 ||
        rmt_personal_first_boot(root_tree_fd(), "/a", none, actions, error) == -1)
        return NULL;
    return s_text(actions);
}

// The first line that only one of the two plans has.
static void
s_tell_difference(const char *found, rmt_error_t *error)
{
    const char *a = s_wanted, *b = found;
    while (*a && strcspn(a, "\n") == strcspn(b, "\n") &&
           memcmp(a, b, strcspn(a, "\n")) == 0) {
        a += strcspn(a, "\n") + 1;
        b += strcspn(b, "\n") + 1;
    }
    rmt_fail(error, RMT_E_INTERNAL, "another plan: not '%.*s' but '%.*s'",
             (int) strcspn(a, "\n"), a, (int) strcspn(b, "\n"), b);
}

static int
s_act(void *context, rmt_error_t *error)
{
    (void) context;
    rmt_auto_str found = s_rehearse(error);
    if (!found)
        return -1;
    if (strcmp(found, s_wanted) == 0)
        return 0;
    s_tell_difference(found, error);
    return -1;
}

static void
test_no_failed_call_leaves_a_copy_what_is_the_sources(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof s_files / sizeof *s_files; i++)
        root_tree_put(s_files[i].path, s_files[i].text);
    s_wanted = s_rehearse(&error);
    RMT_OK(s_wanted);
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .step = 29,
        .act = s_act,
        .after = refuse_each_assert_told,
    };
    assert_in_range(refuse_each(&each), 1000, 10000);
    free(s_wanted);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_no_failed_call_leaves_a_copy_what_is_the_sources, root_tree_setup,
            root_tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
