// What the kernel of a Debian can do and that of the builder need not: projects of ext4,
// files sealed by fs-verity, folders that fold case (P9). Started in a machine of its own
// by tests/qemu/test_fidelity.sh.
#include "act.h"
#include "stage.h"
#include "tools/tree_lab.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int
s_setup(void **state)
{
    *state = tree_lab_new();
    return 0;
}

static int
s_teardown(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_destroy(&lab);
    return 0;
}

// Capture of what is older than the clock's tick, and so not waited for.
static rmt_id_t
s_capture(tree_lab_t *lab)
{
    tree_lab_settle();
    return tree_lab_capture(lab, 2, NULL);
}

// An ext4 with these features, and its root.
static int
s_ext4(const char *features)
{
    const char *const mkfs[] = {"mkfs.ext4", "-q", "-F",     "-b",
                                "4096",      "-O", features, NULL};
    return stage_mount(mkfs, "ext4", "32M", NULL);
}

static void
s_expect_refusal(tree_lab_t *lab, const rmt_id_t *id, const char *path, const char *words)
{
    rmt_error_t error = {0};
    rmt_writer_report_t report;
    RMT_FAILS(tree_lab_try_write(lab, id, &report, &error), RMT_E_IO);
    if (!strstr(error.text, path) || !strstr(error.text, words))
        fail_msg("the refusal says: %s", error.text);
}

static void
s_make_projects(int root)
{
    act_folder(root, "heir");
    act_project(root, "heir", 4294967294u, true);
    act_file(root, "heir/file", "x"); // Inherits
    act_file(root, "alone", "x");
    act_project(root, "alone", 7, false);
}

// ext4 holds them when it was made for it, as XFS does always; else they are named.
static void
test_projects_of_ext4_are_carried_or_refused(void **state)
{
    tree_lab_t *lab = *state;
    const int source = s_ext4("project,quota");
    const int copy = s_ext4("project,quota");
    const int other = s_ext4("none,has_journal,extent,filetype");
    s_make_projects(source);
    tree_lab_set_source(lab, source);
    tree_lab_set_copy(lab, copy);
    const rmt_id_t id = s_capture(lab);
    tree_lab_write(lab, &id);
    rmt_auto_str found = tree_lab_compare(lab, &id, NULL);
    assert_string_equal(found, "");
    assert_int_equal(act_get_project(copy, "heir"), 4294967294u);
    assert_int_equal(act_get_project(copy, "heir/file"), 4294967294u);
    assert_int_equal(act_get_project(copy, "alone"), 7);
    act_file(copy, "heir/new", "x");
    assert_int_equal(act_get_project(copy, "heir/new"), 4294967294u);
    tree_lab_set_copy(lab, other);
    s_expect_refusal(lab, &id, "/alone: on ext4", "project 7");
    close(source);
    close(copy);
    close(other);
}

// The image says so and is INCOMPLETE; a copy that pretends to be sealed is none.
static void
test_a_file_that_its_kernel_has_sealed_is_named(void **state)
{
    tree_lab_t *lab = *state;
    const int root = s_ext4("verity");
    act_file(root, "sealed", "nobody may change this\n");
    act_file(root, "plain", "x");
    const int fd = openat(root, "sealed", O_RDONLY | O_CLOEXEC);
    struct fsverity_enable_arg seal = {
        .version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096};
    ACT(fd != -1 && ioctl(fd, FS_IOC_ENABLE_VERITY, &seal) == 0);
    close(fd);
    tree_lab_set_source(lab, root);
    const rmt_id_t id = s_capture(lab);
    const rmt_records_t *unreadable = tree_lab_report(lab)->unreadable;
    assert_int_equal(rmt_records_count(unreadable), 1);
    const rmt_record_t *record = rmt_records_at(unreadable, 0);
    assert_string_equal(rmt_record_text(record, "path", ""), "sealed");
    assert_non_null(
        strstr(rmt_record_text(record, "reason", ""), "is sealed by the file system"));
    assert_true(tree_lab_find(lab, &id, "sealed").unreadable);
    assert_int_equal(tree_lab_find(lab, &id, "plain").size, 1);
    close(root);
}

static void
test_a_folder_that_folds_case_is_carried_or_refused(void **state)
{
    tree_lab_t *lab = *state;
    const int source = s_ext4("casefold");
    const int copy = s_ext4("casefold");
    const int other = s_ext4("none,has_journal,extent,filetype");
    act_folder(source, "folds");
    act_flags(source, "folds", FS_CASEFOLD_FL);
    act_file(source, "folds/Name", "x");
    tree_lab_set_source(lab, source);
    tree_lab_set_copy(lab, copy);
    const rmt_id_t id = s_capture(lab);
    tree_lab_write(lab, &id);
    rmt_auto_str found = tree_lab_compare(lab, &id, NULL);
    assert_string_equal(found, "");
    ACT(faccessat(copy, "folds/nAME", F_OK, 0) == 0);
    tree_lab_set_copy(lab, other);
    s_expect_refusal(lab, &id, "/folds", "casefold");
    close(source);
    close(copy);
    close(other);
}

static const struct CMUnitTest s_tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    CASE(test_projects_of_ext4_are_carried_or_refused),
    CASE(test_a_file_that_its_kernel_has_sealed_is_named),
    CASE(test_a_folder_that_folds_case_is_carried_or_refused),
};

int
main(void)
{
    return cmocka_run_group_tests_name("guest", s_tests, NULL, NULL);
}
