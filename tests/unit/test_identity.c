// Identities of a copy (P23): host keys wherever the settings of SSH servers name them,
// seeds behind a link, what cloud-init would make anew, and warnings for what stays.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <stdio.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "base/rmt_rooted.h"
#include "facts/rmt_facts.h"
#include "system/rmt_personal.h"

#define TARGET "class=target name=n7 hostname=copy7"

static int
s_setup(void **state)
{
    if (root_tree_setup(state) == -1)
        return -1;
    root_tree_put("etc/os-release", "ID=debian\n");
    root_tree_put("etc/hostname", "web\n");
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("etc/network/interfaces", "");
    root_tree_put("usr/lib/systemd/systemd", "");
    return 0;
}

static void
s_start_again(void **state)
{
    assert_int_equal(root_tree_teardown(state), 0);
    assert_int_equal(s_setup(state), 0);
}

static rmt_records_t *
s_plan(const char *target, bool has_keys)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(target, &error);
    rmt_records_t *actions = NULL;
    RMT_OK(records);
    const rmt_record_t *record = rmt_records_at(records, 0);
    if ((has_keys
             ? rmt_personal_plan(root_tree_fd(), record, &actions, &error)
             : rmt_personal_rehearse(root_tree_fd(), record, &actions, &error)) == -1)
        fail_msg("%s", error.text);
    return actions;
}

static void
s_personalise(const char *target)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) actions = s_plan(target, true);
    if (rmt_personal_apply(root_tree_fd(), actions, &error) == -1)
        fail_msg("%s", error.text);
}

// ---- OpenSSH

typedef struct {
    const char *path; // Of settings
    const char *text;
    const char *key; // That they name, or do not
    bool is_named;
} named_t;

static const named_t s_named[] = {
    {"etc/ssh/sshd_config", "HostKey /etc/ssh/own_key\n", "etc/ssh/own_key", true},
    {"etc/ssh/sshd_config", "  hostkey\t=\t\"/srv/a b/key\" # x\r\n", "srv/a b/key",
     true},
    {"etc/ssh/sshd_config", "HOSTKEY=/k/a\n", "k/a", true},
    {"etc/ssh/sshd_config", "#HostKey /k/a\nHostKeyAlgorithms /k/a\n", "k/a", false},
    {"etc/ssh/sshd_config_internal", "HostKey /k/b\n", "k/b", true},
    {"usr/etc/ssh/sshd_config", "HostKey /k/c\n", "k/c", true},
    {"etc/default/ssh", "SSHD_OPTS=\"-4 -h /k/d\"\n", "k/d", true},
    {"etc/default/ssh", "# SSHD_OPTS=-h /k/d\n", "k/d", false},
    {"etc/sysconfig/sshd", "OPTIONS='-oHostKey=/k/e -u0'\n", "k/e", true},
    {"etc/systemd/system/sshd.service.d/own.conf",
     "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -o HostKey=/k/f\n", "k/f", true},
    {"srv/notes", "HostKey /k/g\n", "k/g", false},
};

// [3.32]
static void
test_host_keys_are_found_where_the_settings_name_them(void **state)
{
    for (size_t i = 0; i < sizeof s_named / sizeof *s_named; i++) {
        s_start_again(state);
        root_tree_put(s_named[i].path, s_named[i].text);
        root_tree_put(s_named[i].key, "the image's");
        rmt_auto(rmt_records) actions = s_plan(TARGET, false);
        rmt_auto_str path = rmt_text("/%s", s_named[i].key);
        if (!!rmt_records_find(actions, "path", path) != s_named[i].is_named)
            fail_msg("%zu: %s", i, s_named[i].text);
    }
}

static void
test_included_settings_are_read_as_sshd_reads_them(void **state)
{
    (void) state;
    root_tree_put("etc/ssh/sshd_config",
                  "Include more.d/*.conf \"/opt/keys/*/sshd\"\nMatch User x\n");
    root_tree_put("etc/ssh/more.d/a.conf",
                  "Include /etc/ssh/sshd_config\nHostKey /k/1\n");
    root_tree_put("etc/ssh/more.d/.hidden.conf", "HostKey /k/2\n");
    root_tree_put("etc/ssh/more.d/a.conf.bak", "HostKey /k/3\n");
    root_tree_put("opt/keys/site/sshd", "HostKey /k/link\n");
    root_tree_put("k/1", "");
    root_tree_put("k/2", "");
    root_tree_put("k/3", "");
    root_tree_put("data/real", "");
    root_tree_link("k/link", "../data/real");
    rmt_auto(rmt_records) actions = s_plan(TARGET, false);
    assert_non_null(rmt_records_find(actions, "path", "/k/1"));
    assert_non_null(rmt_records_find(actions, "path", "/k/1.pub"));
    assert_null(rmt_records_find(actions, "path", "/k/2"));
    assert_null(rmt_records_find(actions, "path", "/k/3"));
    assert_non_null(rmt_records_find(actions, "path", "/data/real"));
}

static void
s_make_key(const char *kind, const char *bits, const char *path)
{
    rmt_error_t error = {0};
    rmt_auto_str file = rmt_text("%s/%s", root_tree_path(), path);
    root_tree_put(path, "");
    assert_int_equal(remove(file), 0);
    RMT_OK(rmt_process_run((const char *const[]){"ssh-keygen", "-q", "-t", kind, "-N", "",
                                                 "-f", file, *bits ? "-b" : NULL, bits,
                                                 NULL},
                           NULL, NULL, &error));
}

// The kind is told by the public half, by the key itself, by its name.
static void
test_a_key_is_replaced_by_one_of_its_kind(void **state)
{
    (void) state;
    static const struct {
        const char *path, *wanted;
    } rows[] = {{"k/one", "ssh-ed25519 "},
                {"k/two", "ecdsa-sha2-nistp384 "},
                {"k/host_ecdsa", "ecdsa-sha2-nistp256 "}};
    char *before[3];
    root_tree_put("etc/ssh/sshd_config",
                  "HostKey /k/one\nHostKey /k/two\nHostKey /k/host_ecdsa\n");
    s_make_key("ed25519", "", "k/one");
    s_make_key("ecdsa", "384", "k/two");
    rmt_auto_str public = rmt_text("%s/k/two.pub", root_tree_path());
    assert_int_equal(remove(public), 0);
    root_tree_put("k/host_ecdsa", "nothing that is known");
    for (size_t i = 0; i < 3; i++)
        before[i] = root_tree_get(rows[i].path);
    s_personalise(TARGET);
    for (size_t i = 0; i < 3; i++) {
        rmt_auto_str now = root_tree_get(rows[i].path);
        rmt_auto_str path = rmt_text("%s.pub", rows[i].path);
        rmt_auto_str made = root_tree_get(path);
        assert_string_not_equal(now, before[i]);
        assert_memory_equal(made, rows[i].wanted, strlen(rows[i].wanted));
        free(before[i]);
    }
}

static void
test_keys_behind_links_are_not_left(void **state)
{
    (void) state;
    root_tree_put("data/ssh/ssh_host_ed25519_key", "the image's");
    root_tree_put("data/rsa", "the image's");
    root_tree_link("data/ssh/ssh_host_rsa_key", "/data/rsa");
    root_tree_link("etc/ssh", "/data/ssh");
    s_personalise(TARGET);
    rmt_auto_str key = root_tree_get("data/ssh/ssh_host_ed25519_key");
    rmt_auto_str rsa = root_tree_get("data/ssh/ssh_host_rsa_key");
    assert_null(strstr(key, "the image's"));
    assert_null(strstr(rsa, "the image's"));
    assert_false(root_tree_has("data/rsa"));
    assert_int_equal(rmt_rooted_kind(root_tree_fd(), "etc/ssh"), S_IFLNK);
}

// ---- Other servers

static void
s_get_raw(const char *path, size_t wanted, unsigned char raw_out[128])
{
    rmt_error_t error = {0};
    rmt_auto_str file = rmt_text("%s/%s", root_tree_path(), path);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(file, 128, &data, &size, &error));
    assert_int_equal(size, wanted);
    memcpy(raw_out, data, size);
}

static void
test_dropbear_and_tinyssh_get_keys_of_their_own_forms(void **state)
{
    (void) state;
    static const unsigned char head[] = "\0\0\0\013ssh-ed25519\0\0\0\100";
    unsigned char key[2][128], secret[128], public[128];
    root_tree_put("etc/dropbear/dropbear_rsa_host_key", "the image's");
    for (int round = 0; round < 2; round++) {
        root_tree_put("etc/dropbear/dropbear_ed25519_host_key", "the image's");
        root_tree_put("etc/tinyssh/sshkeydir/.ed25519.sk", "the image's");
        root_tree_put("etc/tinyssh/sshkeydir/ed25519.pk", "the image's");
        s_personalise(TARGET);
        s_get_raw("etc/dropbear/dropbear_ed25519_host_key", 83, key[round]);
        assert_memory_equal(key[round], head, 19);
        s_get_raw("etc/tinyssh/sshkeydir/.ed25519.sk", 64, secret);
        s_get_raw("etc/tinyssh/sshkeydir/ed25519.pk", 32, public);
        assert_memory_equal(secret + 32, public, 32);
        assert_memory_not_equal(secret, key[round] + 19, 32);
    }
    assert_memory_not_equal(key[0] + 19, key[1] + 19, 64);
    assert_false(root_tree_has("etc/dropbear/dropbear_rsa_host_key"));
}

// ---- Links

static void
test_what_lies_behind_a_link_is_made_anew(void **state)
{
    (void) state;
    root_tree_put("srv/state/lib/systemd/random-seed", "the image's");
    root_tree_put("srv/state/lib/systemd/credential.secret", "the image's");
    root_tree_put("srv/state/lib/dbus/machine-id", "the image's");
    root_tree_link("var", "srv/state");
    s_personalise(TARGET);
    rmt_auto_str seed = root_tree_get("srv/state/lib/systemd/random-seed");
    rmt_auto_str id = root_tree_get("srv/state/lib/dbus/machine-id");
    assert_null(strstr(seed, "the image's"));
    assert_null(strstr(id, "the image's"));
    assert_false(root_tree_has("srv/state/lib/systemd/credential.secret"));
}

// ---- Trees that the root does not mount

static void
s_personalise_other(bool needs_kernel)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(TARGET, &error);
    rmt_auto(rmt_records) actions = NULL;
    RMT_OK(records);
    RMT_OK(rmt_personal_plan_other(root_tree_fd(), rmt_records_at(records, 0),
                                   needs_kernel, &actions, &error));
    RMT_OK(rmt_personal_apply(root_tree_fd(), actions, &error));
}

// [3.35]
static void
test_another_root_and_a_var_alone_are_made_own(void **state)
{
    (void) state;
    s_personalise_other(true); // A container has no kernel
    root_tree_expect("etc/hostname", "web\n");
    root_tree_put("lib/modules/6.1/modules.dep", "");
    s_personalise_other(true);
    root_tree_expect("etc/hostname", "copy7\n");
    assert_int_equal(root_tree_teardown(state), 0);
    assert_int_equal(root_tree_setup(state), 0);
    root_tree_put("lib/systemd/random-seed", "the image's");
    root_tree_put("lib/dbus/machine-id", "the image's");
    root_tree_put("lib/dhcp/dhclient.leases", "the image's");
    s_personalise_other(false); // Other data, which looks like nothing
    root_tree_expect("lib/systemd/random-seed", "the image's");
    root_tree_put("log/x", "");
    s_personalise_other(false);
    rmt_auto_str seed = root_tree_get("lib/systemd/random-seed");
    rmt_auto_str link = rmt_rooted_readlink(root_tree_fd(), "lib/dbus/machine-id");
    assert_null(strstr(seed, "the image's"));
    assert_string_equal(link, "/etc/machine-id");
    assert_false(root_tree_has("lib/dhcp/dhclient.leases"));
}

// ---- cloud-init

// [3.33]
static void
test_a_copy_is_no_new_instance_unless_its_record_says_so(void **state)
{
    (void) state;
    root_tree_put("etc/cloud/cloud.cfg", "users:\n - default\n");
    s_personalise(TARGET);
    assert_true(root_tree_has("etc/cloud/cloud-init.disabled"));
    rmt_auto_str text = root_tree_get("etc/cloud/cloud.cfg.d/99-ramet-copy.cfg");
    assert_non_null(strstr(text, "\ncloud_init_modules: []\n"));
    s_start_again(state);
    root_tree_put("etc/cloud/cloud.cfg", "users:\n - default\n");
    root_tree_put("etc/cloud/cloud-init.disabled", "");
    s_personalise(TARGET " cloud-init=new");
    assert_false(root_tree_has("etc/cloud/cloud-init.disabled"));
    assert_false(root_tree_has("etc/cloud/cloud.cfg.d/99-ramet-copy.cfg"));
    rmt_auto_str own = root_tree_get("etc/cloud/cloud.cfg.d/99-ramet.cfg");
    assert_null(strstr(own, "datasource_list"));
    assert_non_null(strstr(own, "preserve_hostname: true\n"));
    s_start_again(state);
    s_personalise(TARGET);
    assert_false(root_tree_has("etc/cloud/cloud-init.disabled"));
}

// ---- Warnings

static void
s_expect_warning(const rmt_records_t *warnings, const char *wanted)
{
    for (size_t i = 0; i < rmt_records_count(warnings); i++) {
        rmt_auto_str text = rmt_personal_warning_text(rmt_records_at(warnings, i));
        if (strcmp(text, wanted) == 0)
            return;
    }
    fail_msg("no warning: %s", wanted);
}

// [3.34]
static void
test_what_stays_of_the_source_is_told_with_file_and_line(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    root_tree_put("etc/motd", "Welcome\n to web!\n");
    root_tree_put("etc/site/app.conf",
                  "# web\nurl = http://web.old.lan/\npath=/srv/web/x\n"
                  "name=webserver\n");
    root_tree_put("etc/postfix/main.cf", "myhostname = web.old.lan\nmy_own = web\n");
    root_tree_put("etc/network/interfaces", "auto web\niface web inet dhcp\n");
    root_tree_put("etc/passwd", "web:x:1000:1000::/home/web:/bin/sh\n");
    root_tree_put("etc/ssh/sshd_config", "\nHostCertificate /etc/ssh/host-cert.pub\n");
    root_tree_put("var/lib/kubelet/pki/kubelet.pem", "");
    root_tree_put("etc/puppet/puppet.conf", "[agent]\ncertname = box-7\n");
    root_tree_put("etc/salt/minion", "id: web\n");
    rmt_auto(rmt_records) warnings = rmt_records_new();
    RMT_OK(rmt_personal_warn(root_tree_fd(), warnings, &error));
    s_expect_warning(warnings, "/etc/motd:2: names the source, 'web'");
    s_expect_warning(warnings, "/etc/site/app.conf:2: names the source, 'web.old.lan'");
    s_expect_warning(warnings, "/etc/postfix/main.cf:2: names the source, 'web'");
    s_expect_warning(warnings,
                     "/etc/ssh/sshd_config:2: the certificate "
                     "/etc/ssh/host-cert.pub is of the source's key; sign those "
                     "of copies");
    s_expect_warning(warnings, "/var/lib/kubelet/pki/kubelet.pem: the certificate of a "
                               "node; join each copy again");
    s_expect_warning(warnings, "/etc/puppet/puppet.conf: all copies call themselves "
                               "'box-7' to their server");
    assert_int_equal(rmt_records_count(warnings), 6);
}

static void
test_warnings_are_few_and_count_the_others(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    for (int i = 0; i < 30; i++) {
        rmt_auto_str path = rmt_text("etc/site/%02d", i);
        root_tree_put(path, "at web\n");
    }
    rmt_auto(rmt_records) warnings = rmt_records_new();
    RMT_OK(rmt_personal_warn(root_tree_fd(), warnings, &error));
    assert_int_equal(rmt_records_count(warnings), RMT_PERSONAL_WARNINGS_MAX);
    s_expect_warning(warnings, "/etc/site/23:1: names the source, 'web'; and 6 more");
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, s_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_host_keys_are_found_where_the_settings_name_them),
        TREE_TEST(test_included_settings_are_read_as_sshd_reads_them),
        TREE_TEST(test_a_key_is_replaced_by_one_of_its_kind),
        TREE_TEST(test_keys_behind_links_are_not_left),
        TREE_TEST(test_dropbear_and_tinyssh_get_keys_of_their_own_forms),
        TREE_TEST(test_what_lies_behind_a_link_is_made_anew),
        TREE_TEST(test_another_root_and_a_var_alone_are_made_own),
        TREE_TEST(test_a_copy_is_no_new_instance_unless_its_record_says_so),
        TREE_TEST(test_what_stays_of_the_source_is_told_with_file_and_line),
        TREE_TEST(test_warnings_are_few_and_count_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
