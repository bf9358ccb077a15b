// Personalisation: what makes a copy a computer of its own (P23).
#include "tools/refuse.h"
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "base/rmt_io.h"
#include "system/rmt_personal.h"
#include "base/rmt_process.h"

static int
s_setup(void **state)
{
    if (root_tree_setup(state) == -1)
        return -1;
    root_tree_put("etc/os-release", "ID=debian\n");
    root_tree_put("etc/hostname", "golden\n");
    root_tree_put("etc/hosts",
                  "127.0.0.1 localhost golden # own\n127.0.1.1 golden.lan golden\n"
                  "10.0.0.9 golden\n# a golden comment\n10.0.0.7 mail\n"
                  "10.0.0.8 goldener\n");
    root_tree_put("usr/lib/systemd/systemd", "");
    return 0;
}

static rmt_records_t *
s_plan(const char *target)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(target, &error);
    RMT_OK(records);
    rmt_records_t *actions = NULL;
    if (rmt_personal_plan(root_tree_fd(), rmt_records_at(records, 0), &actions, &error) ==
        -1)
        fail_msg("%s", error.text);
    return actions;
}

static void
s_personalise(const char *target)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) actions = s_plan(target);
    if (rmt_personal_apply(root_tree_fd(), actions, &error) == -1)
        fail_msg("%s", error.text);
}

#define STATIC                                                                           \
    "class=target name=web-7 address=10.0.0.17 mask=255.255.255.0 gateway=10.0.0.1 "     \
    "dns=\"10.0.0.2, 10.0.0.3\" domain=lan mac=52:54:00:AB:CD:EF"

static void
test_the_copy_has_its_own_name_everywhere(void **state)
{
    (void) state;
    root_tree_put("etc/mailname", "golden.lan\n");
    s_personalise("class=target name=web-7 domain=lan");
    root_tree_expect("etc/hostname", "web-7\n");
    root_tree_expect("etc/mailname", "web-7.lan\n");
    root_tree_expect("etc/hosts",
                     "127.0.0.1 localhost # own\n# a golden comment\n10.0.0.7 mail\n"
                     "10.0.0.8 goldener\n127.0.1.1 web-7.lan web-7\n");
    root_tree_put("usr/sbin/ifup", "");
    s_personalise(STATIC);
    root_tree_expect("etc/hosts",
                     "127.0.0.1 localhost # own\n# a golden comment\n10.0.0.7 mail\n"
                     "10.0.0.8 goldener\n10.0.0.17 web-7.lan web-7\n");
}

static void
test_ifupdown_gets_the_copys_address_and_loses_the_images(void **state)
{
    (void) state;
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("etc/network/interfaces",
                  "auto ens3\niface ens3 inet static\n address 10.0.0.9/24\n");
    root_tree_put("etc/network/interfaces.d/old",
                  "iface ens3 inet static\n address 10.0.0.9/24\n");
    root_tree_put("etc/network/interfaces.d/notes", "# nothing\n");
    root_tree_put("etc/resolv.conf", "nameserver 9.9.9.9\n");
    s_personalise(STATIC);
    root_tree_expect(
        "etc/network/interfaces",
        "# Written by ramet for this computer.\nsource /etc/network/interfaces.d/*\n\n"
        "auto lo\niface lo inet loopback\n\n"
        "auto mac/52:54:00:ab:cd:ef=ramet\niface ramet inet static\n"
        "    address 10.0.0.17/24\n    gateway 10.0.0.1\n"
        "    dns-nameservers 10.0.0.2 10.0.0.3\n    dns-search lan\n");
    root_tree_expect("etc/resolv.conf",
                     "search lan\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n");
    assert_false(root_tree_has("etc/network/interfaces.d/old"));
    assert_true(root_tree_has("etc/network/interfaces.d/notes"));
}

static void
test_dhcp_keeps_the_interface_name_of_the_image(void **state)
{
    (void) state;
    root_tree_put("etc/network/interfaces",
                  "iface lo inet loopback\n\tiface ens3 inet static\n");
    s_personalise("class=target name=web-7");
    rmt_auto_str text = root_tree_get("etc/network/interfaces");
    assert_non_null(strstr(text, "auto ens3\niface ens3 inet dhcp\n"));
}

static void
test_networkd_is_told_and_enabled(void **state)
{
    (void) state;
    root_tree_put("usr/lib/systemd/systemd-networkd", "");
    root_tree_put("etc/systemd/network/00-first.network", "[Network]\nDHCP=yes\n");
    root_tree_put("etc/systemd/network/50-fixed.network",
                  "[Network]\nAddress=10.0.0.9/24\n");
    root_tree_put("etc/systemd/network/60-radio.network",
                  "[Match]\nType=wlan\n[Network]\nDHCP=yes\n");
    s_personalise(STATIC);
    root_tree_expect(
        "etc/systemd/network/10-ramet.network",
        "# Written by ramet for this computer.\n[Match]\n"
        "PermanentMACAddress=52:54:00:ab:cd:ef\n\n[Network]\nAddress=10.0.0.17/24\n"
        "Gateway=10.0.0.1\nDNS=10.0.0.2\nDNS=10.0.0.3\nDomains=lan\n");
    assert_false(root_tree_has("etc/systemd/network/00-first.network"));
    assert_false(root_tree_has("etc/systemd/network/50-fixed.network"));
    assert_true(root_tree_has("etc/systemd/network/60-radio.network"));
    assert_true(root_tree_has(
        "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"));
    s_personalise("class=target name=web-7");
    root_tree_expect(
        "etc/systemd/network/10-ramet.network",
        "# Written by ramet for this computer.\n[Match]\nType=ether\n\n[Network]\n"
        "DHCP=yes\n");
}

static void
test_the_other_stacks_get_the_address_too(void **state)
{
    (void) state;
    root_tree_put("usr/sbin/NetworkManager", "");
    root_tree_put("etc/NetworkManager/system-connections/wired.nmconnection",
                  "[connection]\ntype=ethernet\nuuid=1\n");
    s_personalise(STATIC);
    rmt_auto_str keyfile =
        root_tree_get("etc/NetworkManager/system-connections/ramet.nmconnection");
    assert_non_null(strstr(keyfile,
                           "[ipv4]\nmethod=manual\naddress1=10.0.0.17/24,10.0.0.1\n"
                           "dns=10.0.0.2;10.0.0.3;\n"));
    assert_false(
        root_tree_has("etc/NetworkManager/system-connections/wired.nmconnection"));
    root_tree_put("usr/sbin/netplan", "");
    root_tree_put("etc/netplan/50-cloud-init.yaml", "network:\n");
    s_personalise(STATIC);
    rmt_auto_str yaml = root_tree_get("etc/netplan/10-ramet.yaml");
    assert_non_null(strstr(yaml, "        macaddress: \"52:54:00:ab:cd:ef\"\n"));
    assert_non_null(strstr(yaml, "      addresses: [\"10.0.0.17/24\"]\n"));
    assert_false(root_tree_has("etc/netplan/50-cloud-init.yaml"));
}

// P23 M19: neither has one of the image.
static void
test_two_copies_share_no_identity(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const char *const gone[] = {
        "var/lib/dhcp/dhclient.eth0.leases",
        "var/lib/dhcpcd/duid",
        "var/lib/NetworkManager/internal-1-ens3.lease",
        "var/lib/NetworkManager/secret_key",
        "var/lib/systemd/credential.secret",
        "etc/udev/rules.d/70-persistent-net.rules",
        "etc/lvm/devices/system.devices",
        "etc/lvm/devices/backup/system.devices-1",
        "etc/multipath/wwids",
        "var/lib/cloud/instance",
        "var/lib/cloud/instances/i-1/sem/config_ssh",
        "var/lib/cloud/data/instance-id",
        "etc/krb5.keytab",
        "etc/ssh/ssh_host_dsa_key",
        "etc/ssh/ssh_host_dsa_key.pub",
    };
    static const char *const fresh[] = {
        "etc/machine-id",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "etc/ssh/ssh_host_ecdsa_key",
        "var/lib/systemd/random-seed",
        "etc/hostid",
        "etc/iscsi/initiatorname.iscsi",
        "etc/nvme/hostnqn",
        "etc/nvme/hostid",
    };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        root_tree_put(gone[i], "the image's");
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++)
        root_tree_put(fresh[i], "the image's");
    root_tree_put("var/lib/dbus/machine-id", "the image's");
    root_tree_put("etc/ssh/ssh_config", "kept");
    root_tree_put("etc/lvm/lvm.conf", "kept");
    root_tree_put("etc/iscsi/initiatorname.iscsi",
                  "# the image's\nInitiatorName=iqn.2001-04.com.site:db:0123\n");
    char *before[sizeof fresh / sizeof *fresh] = {NULL};
    for (int round = 0; round < 2; round++) {
        s_personalise("class=target name=web-7");
        for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++) {
            char *now = root_tree_get(fresh[i]);
            assert_null(strstr(now, "the image's"));
            assert_true(!before[i] || strcmp(before[i], now) != 0);
            free(before[i]);
            before[i] = now;
        }
    }
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++)
        free(before[i]);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_false(root_tree_has(gone[i]));
    rmt_auto_str id = root_tree_get("etc/machine-id");
    assert_int_equal(strspn(id, "0123456789abcdef"), 32);
    assert_string_equal(id + 32, "\n");
    char target[64] = "";
    assert_int_equal(readlinkat(root_tree_fd(), "var/lib/dbus/machine-id", target, 63),
                     15);
    assert_string_equal(target, "/etc/machine-id");
    assert_false(root_tree_has("etc/ssh/ssh_host_rsa_key")); // Not a kind of the image
    root_tree_expect("etc/ssh/ssh_config", "kept");
    root_tree_expect("etc/lvm/lvm.conf", "kept");
    rmt_auto_str initiator = root_tree_get("etc/iscsi/initiatorname.iscsi");
    rmt_auto_str nqn = root_tree_get("etc/nvme/hostnqn");
    rmt_auto_str uuid = root_tree_get("etc/nvme/hostid");
    assert_memory_equal(initiator, "InitiatorName=iqn.2001-04.com.site:db:", 38);
    assert_int_equal(strspn(initiator + 38, "0123456789abcdef"), 12);
    assert_memory_equal(nqn, "nqn.2014-08.org.nvmexpress:uuid:", 32);
    assert_string_equal(nqn + 32, uuid); // Both names of the host have one UUID
    struct stat info;
    assert_int_equal(fstatat(root_tree_fd(), "etc/ssh/ssh_host_ed25519_key", &info, 0),
                     0);
    assert_int_equal(info.st_mode & 07777, 0600);
    rmt_auto_str public = root_tree_get("etc/ssh/ssh_host_ed25519_key.pub");
    assert_non_null(strstr(public, "root@web-7"));
    // The private half belongs to the public one.
    rmt_auto_str path = rmt_text("%s/etc/ssh/ssh_host_ed25519_key", root_tree_path());
    rmt_auto_str derived = NULL;
    RMT_OK(rmt_process_run((const char *const[]){"ssh-keygen", "-y", "-f", path, NULL},
                           NULL, &derived, &error));
    assert_string_equal(derived, public);
}

static void
test_words_that_are_no_settings_are_refused(void **state)
{
    (void) state;
    static const char *const targets[] = {
        "class=target address=10.0.0.1/24",
        "class=target name=\"a b\"",
        "class=target name=-a",
        "class=target name=a..b",
        "class=target name=a address=10.0.0.300/24",
        "class=target name=a address=10.0.0.1",
        "class=target name=a address=10.0.0.1/33",
        "class=target name=a address=10.0.0.1 mask=255.0.255.0",
        "class=target name=a gateway=x",
        "class=target name=a address=10.0.0.1/24 gateway=fe80::1",
        "class=target name=a dns=\"10.0.0.1 x\"",
        "class=target name=a domain=\"a\\x0ab\"",
        "class=target name=a mac=52:54:00",
        "class=target name=a interface=\"eth0\\x0apost-up reboot\"",
        "class=target name=a interface=sixteen-letters-0",
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) records = rmt_facts_parse(targets[i], &error);
        RMT_OK(records);
        rmt_records_t *actions = NULL;
        if (rmt_personal_plan(root_tree_fd(), rmt_records_at(records, 0), &actions,
                              &error) == 0)
            fail_msg("taken: %s", targets[i]);
        assert_int_equal(error.code, RMT_E_USAGE);
    }
}

static void
test_an_address_without_a_stack_is_refused(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto(rmt_records) records = rmt_facts_parse(STATIC, &error);
    rmt_records_t *actions = NULL;
    RMT_FAILS(
        rmt_personal_plan(root_tree_fd(), rmt_records_at(records, 0), &actions, &error),
        RMT_E_UNSUPPORTED);
}

static void
test_nothing_is_written_through_a_symlink(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    char outside[] = "/tmp/ramet-outside-XXXXXX";
    assert_non_null(mkdtemp(outside));
    root_tree_link("etc/ssh", outside);
    rmt_auto(rmt_records) actions = rmt_facts_parse(
        "class=write path=/etc/ssh/key what=x mode=0600 content=x", &error);
    RMT_FAILS(rmt_personal_apply(root_tree_fd(), actions, &error), RMT_E_REFUSED);
    // A link in place of the file itself is replaced, not followed.
    rmt_auto_str victim = rmt_text("%s/victim", outside);
    RMT_OK(rmt_io_save(victim, "safe", 4, 0644, &error));
    root_tree_link("etc/hostname", victim);
    s_personalise("class=target name=web-7");
    root_tree_expect("etc/hostname", "web-7\n");
    rmt_auto_ptr data = NULL;
    size_t size;
    RMT_OK(rmt_io_load(victim, 100, &data, &size, &error));
    assert_string_equal(data, "safe");
    static const struct {
        const char *action;
        rmt_code_t code;
    } bad[] = {{"class=write path=/../x content=x", RMT_E_REFUSED},
               {"class=write path=/etc/.. content=x", RMT_E_USAGE},
               {"class=write path=/ content=x", RMT_E_USAGE},
               {"class=run path=/x", RMT_E_USAGE}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rmt_auto(rmt_records) action = rmt_facts_parse(bad[i].action, &error);
        RMT_FAILS(rmt_personal_apply(root_tree_fd(), action, &error), bad[i].code);
    }
    RMT_OK(rmt_io_remove_tree(outside, &error));
}

static void
test_the_first_boot_is_installed_with_its_scripts_in_order(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto(rmt_records) files = rmt_facts_parse(
        "class=file name=ramet-agent mode=0755 content=program\n"
        "class=file name=key content=secret\n"
        "class=script name=second.sh content=two\nclass=script name=join content=three",
        &error);
    rmt_auto(rmt_records) actions = rmt_records_new();
    RMT_OK(rmt_personal_first_boot(root_tree_fd(),
                                   "/usr/lib/ramet/firstboot/ramet-agent firstboot",
                                   files, actions, &error));
    RMT_OK(rmt_personal_apply(root_tree_fd(), actions, &error));
    root_tree_expect("usr/lib/ramet/firstboot/ramet-agent", "program");
    root_tree_expect("usr/lib/ramet/scripts/01-second.sh", "two");
    root_tree_expect("usr/lib/ramet/scripts/02-join", "three");
    struct stat info;
    assert_int_equal(fstatat(root_tree_fd(), "usr/lib/ramet/firstboot/key", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    // Read through the link that enables the unit.
    rmt_auto_str unit = root_tree_get(
        "etc/systemd/system/multi-user.target.wants/ramet-firstboot.service");
    assert_non_null(
        strstr(unit, "\nExecStart=/usr/lib/ramet/firstboot/ramet-agent firstboot\n"));
    RMT_FAILS(rmt_personal_first_boot(root_tree_fd(), "/x\nExecStart=/y", files, actions,
                                      &error),
              RMT_E_USAGE);
    rmt_auto(rmt_records) bad =
        rmt_facts_parse("class=file name=../../etc/passwd content=x", &error);
    RMT_FAILS(rmt_personal_first_boot(root_tree_fd(), "/x", bad, actions, &error),
              RMT_E_USAGE);
}

// The systems that start by other means than systemd: what is there before, and what the
// first boot adds to it (M23).
static void
test_the_first_boot_is_started_by_what_the_system_has(void **state)
{
    rmt_error_t error = {0};
    static const char start[] = "/etc/init.d/ramet-firstboot start\n";
    static const struct {
        const char *path, *before;
        const char *changed, *added;
    } rows[] = {
        {"etc/inittab", "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\nl2:2:wait:/x",
         "etc/inittab", "rmt1:2345:once:"},
        {"etc/inittab", "si:S:sysinit:/etc/rc.d/rc.S\nid:3:initdefault:\n", "etc/inittab",
         "rmt1:2345:once:"},
        {"etc/inittab", "::sysinit:/etc/init.d/rcS\n::respawn:-/bin/sh\n", "etc/inittab",
         "::once:"},
        {"etc/init.d/rcS", "#!/bin/sh\nmount -a\n", "etc/init.d/rcS", ""},
        {"etc/init.d/rcS", "#!/bin/sh\nmount -a\nexit 0\n", "etc/init.d/rcS", ""},
        {"etc/rc3.d/S01a", "", "etc/rc3.d/S99ramet-firstboot", NULL},
        {"etc/rc.d/rc5.d/S01a", "", "etc/rc.d/rc5.d/S99ramet-firstboot", NULL},
    };
    rmt_auto(rmt_records) none = rmt_records_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(root_tree_teardown(state), 0);
        assert_int_equal(s_setup(state), 0);
        rmt_auto_str systemd = rmt_text("%s/usr/lib/systemd/systemd", root_tree_path());
        assert_int_equal(unlink(systemd), 0);
        rmt_auto(rmt_records) actions = rmt_records_new();
        RMT_FAILS(rmt_personal_first_boot(root_tree_fd(), "/a b", none, actions, &error),
                  RMT_E_UNSUPPORTED);
        root_tree_put(rows[i].path, rows[i].before);
        rmt_records_destroy(&actions);
        actions = rmt_records_new();
        RMT_OK(rmt_personal_first_boot(root_tree_fd(), "/a b", none, actions, &error));
        RMT_OK(rmt_personal_apply(root_tree_fd(), actions, &error));
        assert_true(root_tree_has(rows[i].changed));
        if (!rows[i].added)
            continue;
        rmt_auto_str text = root_tree_get(rows[i].changed);
        rmt_auto_str line = rmt_text("\n%s%s", rows[i].added, start);
        const char *at = strstr(text, line);
        if (!at)
            fail_msg("%zu: no line of ours in:\n%s", i, text);
        if (strstr(rows[i].before, "exit 0"))
            assert_string_equal(at + strlen(line), "exit 0\n");
    }
}

static void
test_every_changed_path_is_on_the_list_for_the_verifier(void **state)
{
    (void) state;
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("etc/network/interfaces", "");
    root_tree_put("etc/machine-id", "x");
    root_tree_put("etc/ssh/ssh_host_ed25519_key", "x");
    rmt_auto(rmt_records) actions = s_plan(STATIC);
    rmt_auto(rmt_records) paths = rmt_personal_paths(actions);
    static const char *const wanted[] = {
        "/etc/hostname",
        "/etc/hosts",
        "/etc/network/interfaces",
        "/etc/resolv.conf",
        "/etc/machine-id",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/etc/ssh",
        "/etc",
        "/etc/network",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const rmt_record_t *path = rmt_records_find(paths, "path", wanted[i]);
        if (!path)
            fail_msg("%s is not on the list", wanted[i]);
        assert_string_equal(rmt_record_text(path, "class", ""), "personal");
    }
    assert_int_equal(rmt_records_count(paths), sizeof wanted / sizeof *wanted);
}

// ---- What cannot be read is not what is absent

static int
s_plan_all(void *context, rmt_error_t *error)
{
    (void) context;
    rmt_auto(rmt_records) target = rmt_facts_parse(STATIC, error);
    rmt_auto(rmt_records) actions = NULL;
    rmt_auto(rmt_records) none = rmt_records_new();
    return rmt_personal_plan(root_tree_fd(), rmt_records_at(target, 0), &actions,
                             error) == -1
               ? -1
               : rmt_personal_first_boot(root_tree_fd(), "/a", none, actions, error);
}

static void
s_expect_refused(const refusal_t *refusals, size_t count, rmt_code_t code,
                 const char *path)
{
    rmt_error_t error = {0};
    const int rc = refuse_in_child(refusals, count, s_plan_all, NULL, &error);
    if (rc == 0 || error.code != code || !strstr(error.text, path))
        fail_msg("%s: %d, code %d: %s", path, rc, error.code, error.text);
}

static void
test_a_file_that_is_too_large_to_be_read_is_told(void **state)
{
    static const char *const paths[] = {"etc/os-release",
                                        "var/lib/dpkg/status",
                                        "etc/hostname",
                                        "etc/hosts",
                                        "etc/network/interfaces",
                                        "etc/network/interfaces.d/a",
                                        "etc/systemd/network/a.network",
                                        "etc/inittab",
                                        "etc/init.d/rcS"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(root_tree_teardown(state), 0);
        assert_int_equal(s_setup(state), 0);
        rmt_auto_str systemd = rmt_text("%s/usr/lib/systemd/systemd", root_tree_path());
        assert_int_equal(unlink(systemd), 0);
        root_tree_put("usr/sbin/ifup", "");
        root_tree_put("etc/init.d/rcS", "#!/bin/sh\n");
        rmt_error_t error = {0};
        RMT_OK(s_plan_all(NULL, &error));
        root_tree_put(paths[i], "");
        rmt_auto_str path = rmt_text("%s/%s", root_tree_path(), paths[i]);
        assert_int_equal(truncate(path, (off_t) 17 * 1024 * 1024), 0);
        rmt_auto_str said = rmt_text("/%s has 17825792 bytes", paths[i]);
        s_expect_refused(NULL, 0, RMT_E_TOO_BIG, said);
    }
}

// P23: a copy is not made its own by half when its disk fails while it is read.
static void
test_a_file_that_the_kernel_does_not_give_is_told(void **state)
{
    (void) state;
    const refusal_t broken = {.call = SYS_read, .code = EIO};
    const refusal_t shut = {SYS_openat, EACCES, 2, O_NOCTTY, O_NOCTTY};
    s_expect_refused(&broken, 1, RMT_E_DISK,
                     "/etc/os-release: read 10 bytes: Input/output error");
    s_expect_refused(&shut, 1, RMT_E_IO, "open /etc/os-release: Permission denied");
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, s_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_the_copy_has_its_own_name_everywhere),
        TREE_TEST(test_ifupdown_gets_the_copys_address_and_loses_the_images),
        TREE_TEST(test_dhcp_keeps_the_interface_name_of_the_image),
        TREE_TEST(test_networkd_is_told_and_enabled),
        TREE_TEST(test_the_other_stacks_get_the_address_too),
        TREE_TEST(test_two_copies_share_no_identity),
        TREE_TEST(test_words_that_are_no_settings_are_refused),
        TREE_TEST(test_an_address_without_a_stack_is_refused),
        TREE_TEST(test_nothing_is_written_through_a_symlink),
        TREE_TEST(test_the_first_boot_is_installed_with_its_scripts_in_order),
        TREE_TEST(test_the_first_boot_is_started_by_what_the_system_has),
        TREE_TEST(test_every_changed_path_is_on_the_list_for_the_verifier),
        TREE_TEST(test_a_file_that_is_too_large_to_be_read_is_told),
        TREE_TEST(test_a_file_that_the_kernel_does_not_give_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
