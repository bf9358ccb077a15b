// What the programs of lvm2 refuse is told in their words (M8), by the real programs over
// a computer without logical volumes.
#include "tools/rmt_test.h"

#include <sys/stat.h>

#include "disk/rmt_lvm.h"

#define MIB ((uint64_t) 1024 * 1024)
#define TAG "ramet-test-lvm" // Of no volume of this computer

static const rmt_lvm_t s_absent = {
    .group = "ramet-absent", .name = "root", .size = 64 * MIB, .free_size = 64 * MIB};

static void
test_a_device_that_is_no_logical_volume_is_told(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_lvm_t volume;
    struct stat status;
    assert_int_equal(stat("/dev/null", &status), 0);
    RMT_FAILS(rmt_lvm_find(status.st_rdev, &volume, &error), RMT_E_UNSUPPORTED);
    assert_false(rmt_lvm_is_used());
}

static void
test_a_snapshot_in_a_group_that_is_absent_is_refused_in_the_words_of_lvm(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_lvm_t snapshot;
    RMT_FAILS(rmt_lvm_snapshot(&s_absent, TAG, &snapshot, &error), RMT_E_IO);
    assert_non_null(
        strstr(error.text, "make a snapshot of ramet-absent/root: lvcreate: "));
    rmt_lvm_t thin = s_absent;
    thin.is_thin = true;
    RMT_FAILS(rmt_lvm_snapshot(&thin, TAG, &snapshot, &error), RMT_E_IO);
    RMT_FAILS(rmt_lvm_remove(&s_absent, &error), RMT_E_IO);
    assert_non_null(strstr(error.text, "lvremove: "));
    RMT_FAILS(rmt_lvm_check(&s_absent, &error), RMT_E_IO);
    assert_non_null(strstr(error.text, "lvs: "));
}

static void
test_a_group_without_space_is_told_with_its_figures(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_lvm_t snapshot, full = s_absent;
    full.free_size = 15 * MIB;
    RMT_FAILS(rmt_lvm_snapshot(&full, TAG, &snapshot, &error), RMT_E_NO_SPACE);
    assert_non_null(strstr(error.text, "ramet-absent"));
    assert_non_null(strstr(error.text, "15 MiB"));
}

static void
test_a_tag_that_no_volume_has_removes_nothing(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    assert_int_equal(rmt_lvm_remove_tagged(TAG, &error), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_that_is_no_logical_volume_is_told),
        cmocka_unit_test(
            test_a_snapshot_in_a_group_that_is_absent_is_refused_in_the_words_of_lvm),
        cmocka_unit_test(test_a_group_without_space_is_told_with_its_figures),
        cmocka_unit_test(test_a_tag_that_no_volume_has_removes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
