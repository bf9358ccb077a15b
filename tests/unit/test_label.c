// Labels of SELinux by a tree's own rules ([3.43]).
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "base/rmt_io.h"
#include "system/rmt_label.h"
#include "system/rmt_personal.h"

#define FILES "etc/selinux/mls/contexts/files/file_contexts"
#define LABEL(type) "system_u:object_r:" type ":s0"

static void
s_put_rules(void)
{
    root_tree_put("etc/selinux/config",
                  "# SELINUX=disabled\r\n  SELINUX=Permissive\r\nSELINUXTYPE=mls \n"
                  "SETLOCALDEFS=0\n");
    root_tree_put(
        FILES,
        "# system_u:object_r:no_t:s0\n"
        "/.*\t\t" LABEL(
            "default_t") "\n"
                         "/etc(/.*)?  " LABEL(
                             "etc_t") "\n"
                                      "/etc/.*\\.conf\t--\t" LABEL(
                                          "conf_t") "\n"
                                                    "/etc/cron\\.(daily|weekly)(/"
                                                    ".*)?\t" LABEL(
                                                        "cron_t") "\n"
                                                                  "/etc/"
                                                                  "raw\t--\t<<none>>\n"
                                                                  "/etc/way\t-l\t" LABEL(
                                                                      "link_t") "\n"
                                                                                "/usr/"
                                                                                "lib(64)?"
                                                                                "/[^/"
                                                                                "]+\\.so("
                                                                                "\\.[^/"
                                                                                "]*)*\t--"
                                                                                "\t" LABEL(
                                                                                    "lib_"
                                                                                    "t") "\n"
                                                                                         "/var/run(/.*)?\t" LABEL(
                                                                                             "run_t") "\n"
                                                                                                      "/etc/one\t--\t" LABEL(
                                                                                                          "one_t") "\n");
    root_tree_put(FILES ".homedirs", "/root(/.*)?\t" LABEL("home_t"));
    root_tree_put(FILES ".local", "/etc/one\t--\t" LABEL("local_t") "\n");
    root_tree_put(FILES ".subs_dist", "/run /var/run\n");
    root_tree_put(FILES ".subs", "/opt/etc /etc\n/opt/run /run\n");
    root_tree_put(FILES ".bin", "not read");
}

// Each row for another part of the grammar.
static void
test_rules_are_read_as_libselinux_reads_them(void **state)
{
    static const struct {
        const char *path;
        mode_t kind;
        const char *label;
    } rows[] = {
        {"/srv/a", S_IFREG, LABEL("default_t")},
        {"/etc", S_IFDIR, LABEL("etc_t")},
        {"/etc/a.conf", S_IFREG, LABEL("conf_t")},
        {"/etc/a.conf", S_IFDIR, LABEL("etc_t")},
        {"/etc/cron.weekly/x", S_IFREG, LABEL("cron_t")},
        {"/etc/cron.hourly/x", S_IFREG, LABEL("etc_t")},
        {"/etc/raw", S_IFREG, NULL},
        {"/etc/raw", S_IFDIR, LABEL("etc_t")},
        {"/etc/way", S_IFLNK, LABEL("link_t")},
        {"/usr/lib64/libc.so.6", S_IFREG, LABEL("lib_t")},
        {"/root/.ssh", S_IFDIR, LABEL("home_t")},
        {"/etc/one", S_IFREG, LABEL("local_t")},
        {"/run/x", S_IFREG, LABEL("run_t")},
        {"/opt/run/x", S_IFREG, LABEL("run_t")},
        {"/opt/etc/a.conf", S_IFREG, LABEL("conf_t")},
        {"/runner", S_IFREG, LABEL("default_t")},
    };
    rmt_error_t error = {0};
    rmt_auto(rmt_label) rules = NULL;
    (void) state;
    s_put_rules();
    RMT_OK(rmt_label_new(root_tree_fd(), &rules, &error));
    assert_non_null(rules);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str label = rmt_label_find(rules, rows[i].path, rows[i].kind);
        if ((label == NULL) != (rows[i].label == NULL) ||
            (label && strcmp(label, rows[i].label) != 0))
            fail_msg("%s: %s", rows[i].path, label ? label : "none");
    }
}

// `wanted`: whether the copy has to label itself.
static void
s_expect_relabel(const char *settings, const char *rules, bool wanted)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) actions = rmt_records_new();
    root_tree_put("etc/selinux/config", settings);
    if (rules)
        root_tree_put(FILES, rules);
    RMT_OK(rmt_label_plan(root_tree_fd(), actions, &error));
    if ((rmt_records_find(actions, "path", "/.autorelabel") != NULL) != wanted)
        fail_msg("%s %s", settings, rules ? rules : "-");
}

static void
test_a_tree_without_rules_labels_itself(void **state)
{
    (void) state;
    s_expect_relabel("SELINUX=disabled\nSELINUXTYPE=mls\n", NULL, false);
    s_expect_relabel("SELINUX=enforcing\nSELINUXTYPE=mls\n", NULL, true);
    s_expect_relabel("SELINUX=permissive\n", NULL, true); // Of the type "targeted"
    s_expect_relabel("SELINUX=enforcing\nSELINUXTYPE=../mls\n", NULL, false);
    s_expect_relabel("SELINUX=enforcing\nSELINUXTYPE=mls\n", "/etc -x \n/etc -q a b\n",
                     true);
    s_expect_relabel("SELINUX=enforcing\nSELINUXTYPE=mls\n",
                     "/.* " LABEL("default_t") "\n", false);
}

static void
s_expect_label(const char *path, const char *wanted)
{
    char label[256] = "";
    rmt_auto_str full = rmt_text("%s/%s", root_tree_path(), path);
    (void) lgetxattr(full, "security.selinux", label, sizeof label - 1);
    if (strcmp(label, wanted) != 0)
        fail_msg("%s: '%s'", path, label);
}

// Files, links, the folders that are made for them, and nothing that was there.
static void
test_what_is_made_is_labelled_and_nothing_else(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_put_rules();
    root_tree_put("etc/cron.daily/old", "");
    rmt_auto(rmt_records) actions = rmt_facts_parse(
        "class=write path=/etc/cron.daily/new/deep/file mode=0644 content=x\n"
        "class=write path=/etc/one mode=0600 content=x\n"
        "class=link path=/etc/way target=one\n"
        "class=remove path=/etc/cron.daily/old",
        &error);
    RMT_OK(rmt_personal_apply(root_tree_fd(), actions, &error));
    s_expect_label("etc/cron.daily/new/deep/file", LABEL("cron_t"));
    s_expect_label("etc/cron.daily/new/deep", LABEL("cron_t"));
    s_expect_label("etc/cron.daily/new", LABEL("cron_t"));
    s_expect_label("etc/cron.daily", "");
    s_expect_label("etc", "");
    s_expect_label("etc/one", LABEL("local_t"));
    s_expect_label("etc/way", LABEL("link_t"));
    RMT_OK(rmt_personal_make_folders(root_tree_fd(), "/root/a/b", &error));
    s_expect_label("root/a/b", LABEL("home_t"));
    s_expect_label("root", LABEL("home_t"));
    root_tree_put("root/swapfile", "");
    RMT_OK(rmt_personal_label(root_tree_fd(), "/root/swapfile", &error));
    s_expect_label("root/swapfile", LABEL("home_t"));
}

#define TREE_TEST(test)                                                                  \
    cmocka_unit_test_setup_teardown(test, root_tree_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_rules_are_read_as_libselinux_reads_them),
        TREE_TEST(test_a_tree_without_rules_labels_itself),
        TREE_TEST(test_what_is_made_is_labelled_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
