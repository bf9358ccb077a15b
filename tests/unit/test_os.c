// Systems: what a tree holds, told without running any of it.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <string.h>
#include "base/rmt_auto.h"
#include "system/rmt_os.h"

static const char *
s_os(const rmt_records_t *facts, const char *field)
{
    return rmt_record_text(rmt_records_at(facts, 0), field, "-");
}

// M6: distribution, kernels, packages, init, network stack.
static void
test_a_debian_is_known_by_its_files(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    root_tree_put("usr/lib/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"
                                        "VERSION_ID=\"12\"\nID=debian\n");
    root_tree_link("etc/os-release", "../usr/lib/os-release");
    root_tree_put("usr/lib/modules/6.1.0-20-amd64/modules.dep", "");
    root_tree_put("usr/lib/modules/6.1.0-21-amd64/modules.dep", "");
    root_tree_link("lib", "/usr/lib"); // Absolute, as some systems have it
    root_tree_put("var/lib/dpkg/status",
                  "Package: a\nStatus: install ok installed\nVersion: 1\n\n"
                  "Package: b\nStatus: deinstall ok config-files\n\n"
                  "Package: c\nStatus: install ok installed\n");
    root_tree_put("usr/lib/systemd/systemd", "");
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("etc/network/interfaces", "");
    root_tree_put("etc/network/interfaces.d/a", "");
    rmt_auto(rmt_records) facts = NULL;
    RMT_OK(rmt_os_examine(root_tree_fd(), &facts, &error));
    assert_string_equal(s_os(facts, "family"), "linux");
    assert_string_equal(s_os(facts, "distribution"), "debian");
    assert_string_equal(s_os(facts, "version"), "12");
    assert_string_equal(s_os(facts, "name"), "Debian GNU/Linux 12 (bookworm)");
    assert_string_equal(s_os(facts, "kernels"), "6.1.0-20-amd64 6.1.0-21-amd64");
    assert_string_equal(s_os(facts, "package-system"), "dpkg");
    assert_string_equal(s_os(facts, "packages"), "2");
    assert_string_equal(s_os(facts, "init"), "systemd");
    assert_string_equal(s_os(facts, "network-stack"), "ifupdown");
    const rmt_record_t *config = rmt_records_find(facts, "path", "/etc/network");
    assert_non_null(config);
    assert_int_equal(rmt_record_u64(config, "files", 0), 2);
}

static void
test_links_out_of_the_tree_are_not_followed(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    // On the running system this file names Debian; in the tree it leads nowhere.
    root_tree_link("etc/os-release", "../../../../../../usr/lib/os-release");
    root_tree_put("etc/inittab", "");
    rmt_auto(rmt_records) facts = NULL;
    RMT_OK(rmt_os_examine(root_tree_fd(), &facts, &error));
    assert_string_equal(s_os(facts, "family"), "linux");
    assert_string_equal(s_os(facts, "distribution"), "-");
    assert_string_equal(s_os(facts, "init"), "busybox"); // Its table names no level
}

// M6: each row adds a file to the tree of the row before.
static void
test_the_stack_in_force_wins_over_those_installed(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    root_tree_put("etc/inittab", "");
    static const struct {
        const char *path;
        const char *stack;
    } rows[] = {
        {"etc/hostname", "none"},
        {"usr/lib/systemd/systemd-networkd", "networkd"},
        {"usr/sbin/NetworkManager", "networkmanager"},
        {"usr/sbin/ifup", "ifupdown"},
        {"etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
         "networkd"},
        {"usr/sbin/netplan", "networkd"}, // It has nothing to say yet
        {"etc/netplan/50-cloud-init.yaml", "netplan"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        root_tree_link(rows[i].path,
                       "/dev/null"); // Dangling in the tree, and there all the same
        rmt_auto(rmt_records) facts = NULL;
        RMT_OK(rmt_os_examine(root_tree_fd(), &facts, &error));
        assert_string_equal(s_os(facts, "network-stack"), rows[i].stack);
    }
}

// M6: the table of systems has it as one that is not supported.
static void
test_windows_is_refused_by_name(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    root_tree_put("Windows/System32/ntoskrnl.exe", "");
    rmt_records_t *facts = NULL;
    RMT_FAILS(rmt_os_examine(root_tree_fd(), &facts, &error), RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "Windows"));
    assert_null(facts);
}

static void
test_a_tree_of_data_is_no_system(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    root_tree_put("photos/1.jpg", "");
    rmt_auto(rmt_records) facts = NULL;
    RMT_OK(rmt_os_examine(root_tree_fd(), &facts, &error));
    assert_int_equal(rmt_records_count(facts), 1);
    assert_string_equal(s_os(facts, "family"), "other");
}

#define TREE_TEST(test)                                                                  \
    cmocka_unit_test_setup_teardown(test, root_tree_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_a_debian_is_known_by_its_files),
        TREE_TEST(test_links_out_of_the_tree_are_not_followed),
        TREE_TEST(test_the_stack_in_force_wins_over_those_installed),
        TREE_TEST(test_windows_is_refused_by_name),
        TREE_TEST(test_a_tree_of_data_is_no_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
