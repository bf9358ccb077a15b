// The outline of a system stands for its tree: the planner comes to the same actions, or
// to the same refusal, over the one and the other (M33).
#include "tools/rmt_test.h"
#include "tools/root_tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_outline.h"
#include "system/rmt_personal.h"

typedef struct {
    char folder[sizeof "/tmp/outline-XXXXXX"];
    int fd;
} built_t;

static rmt_records_t *
s_take(const rmt_outline_tree_t *trees, size_t count)
{
    bool is_cut = true;
    rmt_records_t *outline = rmt_outline_take(trees, count, &is_cut);
    assert_false(is_cut);
    return outline;
}

static void
s_build(built_t *self, const rmt_records_t *outline)
{
    rmt_error_t error = {0};
    strcpy(self->folder, "/tmp/outline-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    self->fd = open(self->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RMT_OK(rmt_outline_build(outline, self->fd, &error));
}

static void
s_clear(built_t *self)
{
    rmt_error_t error = {0};
    close(self->fd);
    RMT_OK(rmt_io_remove_tree(self->folder, &error));
}

// Classes and paths; contents are fresh each time.
static char *
s_plan(int root, const char *address, rmt_error_t *error)
{
    rmt_auto(rmt_record) target = rmt_record_new();
    rmt_auto(rmt_records) files = rmt_records_new();
    rmt_auto(rmt_records) actions = NULL;
    rmt_record_t *key = rmt_records_add(files);
    rmt_record_set(key, "class", "file");
    rmt_record_set(key, "name", "key");
    rmt_record_set(key, "content", "");
    rmt_record_set(target, "name", "copy-1");
    rmt_record_set(target, "address", address);
    rmt_record_set(target, "mac", "52:54:00:12:34:56");
    if (rmt_personal_rehearse(root, target, &actions, error) == -1 ||
        rmt_personal_first_boot(root, "/x", files, actions, error) == -1 ||
        rmt_personal_try(root, actions, error) == -1)
        return NULL;
    char *text = rmt_text("%s", "");
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *action = rmt_records_at(actions, i);
        char *longer = rmt_text("%s%s %s\n", text, rmt_record_text(action, "class", ""),
                                rmt_record_text(action, "path", ""));
        free(text);
        text = longer;
    }
    return text;
}

static void
s_system(const char *init)
{
    root_tree_put("etc/os-release", "ID=debian\n");
    root_tree_put(init, "");
    root_tree_put("etc/hostname", "golden\n");
    root_tree_put("etc/hosts", "127.0.0.1 localhost\n10.0.0.9 golden\n");
    root_tree_put("etc/machine-id", "0123\n");
    root_tree_put("etc/ssh/ssh_host_ed25519_key", "-----BEGIN OPENSSH PRIVATE KEY-----");
    root_tree_put("usr/sbin/sshd", "binary");
}

typedef struct {
    const char *what;
    const char *path, *text; // A file, or a symlink where the text begins with "->"
} extra_t;

static void
s_add(const extra_t *extra)
{
    if (strncmp(extra->text, "->", 2) == 0)
        root_tree_link(extra->path, extra->text + 2);
    else
        root_tree_put(extra->path, extra->text);
}

// ---- Plans that can be carried out

static const extra_t s_systems[] = {
    {"ifupdown", "etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n"},
    {"networkd", "etc/systemd/network/20-lan.network",
     "[Match]\nName=eth0\n[Network]\nAddress=10.0.0.9/24\n"},
    {"NetworkManager", "etc/NetworkManager/system-connections/lan.nmconnection",
     "[connection]\ntype=ethernet\n[ipv4]\naddress1=10.0.0.9/24\n"},
    {"netplan", "etc/netplan/50-cloud-init.yaml", "network: {version: 2}\n"},
    {"a lease and a seed", "var/lib/systemd/random-seed", "old seed"},
    {"a name behind a link", "etc/hostname", "->../usr/local/etc/name"},
    {"cloud-init", "etc/cloud/cloud.cfg", "users: []\n"},
    {"a resolver of systemd", "etc/resolv.conf", "->../run/systemd/resolve/stub.conf"},
    {"/lib as a link", "lib", "->usr/lib"},
    {"a key that settings name", "etc/ssh/sshd_config", "HostKey /home/keys/host\n"},
    {"the state of net-snmp", "var/lib/snmp/snmpd.conf", "psysName golden\n"},
    {"names of qmail", "var/qmail/control/me", "golden\n"},
    {"/var behind a link", "var", "->srv/state"},
};

static void
test_a_plan_over_the_outline_is_that_over_the_tree(void **state)
{
    for (size_t i = 0; i < sizeof s_systems / sizeof *s_systems; i++) {
        rmt_error_t error = {0};
        built_t built;
        s_system("usr/lib/systemd/systemd");
        root_tree_put("usr/local/etc/name", "golden\n");
        root_tree_put("home/keys/host", "-----BEGIN OPENSSH PRIVATE KEY-----");
        root_tree_put("srv/state/lib/systemd/random-seed", "old seed");
        root_tree_put("usr/sbin/ifup", "");
        root_tree_put("usr/sbin/netplan", "");
        root_tree_put("usr/sbin/NetworkManager", "");
        root_tree_put("usr/lib/systemd/systemd-networkd", "");
        s_add(&s_systems[i]);
        const rmt_outline_tree_t tree = {"/", root_tree_fd()};
        rmt_auto(rmt_records) outline = s_take(&tree, 1);
        s_build(&built, outline);
        rmt_auto_str wanted = s_plan(root_tree_fd(), "10.0.0.7/24", &error);
        RMT_OK(wanted);
        rmt_auto_str had = s_plan(built.fd, "10.0.0.7/24", &error);
        RMT_OK(had);
        if (strcmp(wanted, had) != 0)
            fail_msg("%s: the tree gives\n%sand the outline\n%s", s_systems[i].what,
                     wanted, had);
        assert_non_null(strstr(had, "write /etc/hostname\n"));
        assert_non_null(strstr(had, "write /etc/ssh/ssh_host_ed25519_key\n"));
        s_clear(&built);
        root_tree_teardown(state);
        root_tree_setup(state);
    }
}

// ---- Plans that cannot

static const extra_t s_refused[] = {
    {"no program that starts services", "x", ""},
    {"/etc/ssh on the way to it is a symlink", "etc/ssh", "->/data/ssh"},
    {"/etc/systemd on the way to it is a symlink", "etc/systemd", "->../srv/systemd"},
    {"/etc/systemd/system on the way to it is a symlink", "etc/systemd/system",
     "->/srv/units"},
    {"/usr/lib/ramet on the way to it is no plain folder", "usr/lib/ramet", "a file"},
    {"/etc/hostname is a folder", "etc/hostname/old", "a file"},
    {"/etc/machine-id is a folder", "etc/machine-id/old", "a file"},
    {"connman, which is not supported",
     "etc/systemd/system/multi-user.target.wants/connman.service", ""},
    {"wicked, which is not supported",
     "etc/systemd/system/network-online.target.wants/wicked.service", ""},
};

static void
test_what_configure_would_refuse_the_outline_refuses(void **state)
{
    for (size_t i = 0; i < sizeof s_refused / sizeof *s_refused; i++) {
        rmt_error_t error = {0};
        built_t built;
        const bool has_init = i != 0;
        root_tree_put("etc/os-release", "ID=other\n");
        root_tree_put(has_init ? "usr/lib/systemd/systemd" : "sbin/init", "");
        s_add(&s_refused[i]);
        if (i == 1)
            root_tree_put("usr/sbin/sshd", "");
        if (i == 1 || i == 2 || i == 3)
            root_tree_put("srv/units/x", "");
        if (!root_tree_has("etc/machine-id"))
            root_tree_put("etc/machine-id", "0123\n");
        const rmt_outline_tree_t tree = {"/", root_tree_fd()};
        rmt_auto(rmt_records) outline = s_take(&tree, 1);
        s_build(&built, outline);
        rmt_auto_str text = s_plan(built.fd, "", &error);
        if (text || !strstr(error.text, s_refused[i].what))
            fail_msg("wanted '%s', got '%s'", s_refused[i].what,
                     text ? text : error.text);
        // In the words of the plan, which the writer would have met on the tree.
        rmt_error_t late = {0};
        rmt_auto_str same = s_plan(root_tree_fd(), "", &late);
        assert_null(same);
        assert_string_equal(late.text, error.text);
        s_clear(&built);
        root_tree_teardown(state);
        root_tree_setup(state);
    }
}

// ---- The outline itself

static void
test_volumes_are_one_tree(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    built_t built;
    root_tree_put("root/etc/os-release", "ID=x\n");
    root_tree_put("usr/lib/systemd/systemd", "");
    root_tree_put("root/usr/hidden", "");
    rmt_auto_str root = rmt_text("%s/root", root_tree_path());
    rmt_auto_str usr = rmt_text("%s/usr", root_tree_path());
    rmt_auto_fd root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rmt_auto_fd usr_fd = open(usr, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const rmt_outline_tree_t trees[] = {{"/", root_fd}, {"/usr", usr_fd}};
    rmt_auto(rmt_records) outline = s_take(trees, 2);
    s_build(&built, outline);
    rmt_auto_str text = s_plan(built.fd, "", &error);
    RMT_OK(text);
    s_clear(&built);
}

// [5.12]
static void
test_private_keys_stay_out(void **state)
{
    (void) state;
    s_system("usr/lib/systemd/systemd");
    root_tree_put("etc/shadow", "root:secret\n");
    const rmt_outline_tree_t tree = {"/", root_tree_fd()};
    rmt_auto(rmt_records) outline = s_take(&tree, 1);
    const rmt_record_t *hosts = rmt_records_find(outline, "path", "/etc/hosts");
    const rmt_record_t *key =
        rmt_records_find(outline, "path", "/etc/ssh/ssh_host_ed25519_key");
    const rmt_record_t *shadow = rmt_records_find(outline, "path", "/etc/shadow");
    assert_true(rmt_record_has(hosts, "content"));
    assert_non_null(key);
    assert_false(rmt_record_has(key, "content"));
    assert_non_null(shadow);
    assert_false(rmt_record_has(shadow, "content"));
}

static void
test_the_same_system_has_the_same_outline(void **state)
{
    (void) state;
    s_system("usr/lib/systemd/systemd");
    const rmt_outline_tree_t tree = {"/", root_tree_fd()};
    rmt_auto(rmt_records) one = s_take(&tree, 1);
    rmt_auto(rmt_records) two = s_take(&tree, 1);
    assert_int_equal(rmt_records_count(one), rmt_records_count(two));
    for (size_t i = 0; i < rmt_records_count(one); i++)
        assert_true(rmt_record_equal(rmt_records_at(one, i), rmt_records_at(two, i)));
}

// An image may come from a stranger.
static void
test_a_foreign_outline_stays_in_its_folder(void **state)
{
    (void) state;
    static const struct {
        const char *first, *target, *second;
    } rows[] = {{"/etc", "/tmp", "/etc/ramet-outside"},
                {"/a", "..", "/a/ramet-outside"},
                {NULL, NULL, "/../ramet-outside"},
                {NULL, NULL, "ramet-outside"},
                {NULL, NULL, "/"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) outline = rmt_records_new();
        if (rows[i].first) {
            rmt_record_t *link = rmt_records_add(outline);
            rmt_record_set(link, "path", rows[i].first);
            rmt_record_set(link, "kind", "link");
            rmt_record_set(link, "target", rows[i].target);
        }
        rmt_record_t *file = rmt_records_add(outline);
        rmt_record_set(file, "path", rows[i].second);
        rmt_record_set(file, "kind", "file");
        rmt_record_set(file, "content", "x");
        rmt_auto_str folder = rmt_text("%s/inner", root_tree_path());
        (void) mkdir(folder, 0700);
        rmt_auto_fd fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(rmt_outline_build(outline, fd, &error), -1);
        assert_false(root_tree_has("ramet-outside"));
        assert_int_equal(access("/tmp/ramet-outside", F_OK), -1);
    }
}

#define CASE(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, root_tree_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_plan_over_the_outline_is_that_over_the_tree),
        CASE(test_what_configure_would_refuse_the_outline_refuses),
        CASE(test_volumes_are_one_tree),
        CASE(test_private_keys_stay_out),
        CASE(test_the_same_system_has_the_same_outline),
        CASE(test_a_foreign_outline_stays_in_its_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
