// Arrays of md of a running system: what the kernel says of them.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"

#include "base/rmt_auto.h"
#include "disk/rmt_holders.h"
#include "disk/rmt_md_live.h"

#include <stdlib.h>
#include <string.h>

static void
s_put(const char *state, const char *reshape, const char *degraded)
{
    root_tree_put("class/block/md7/md/array_state", state);
    root_tree_put("class/block/md7/md/reshape_position", reshape);
    root_tree_put("class/block/md7/md/degraded", degraded);
}

// /dev/null stands for the member. [3.62]
static void
test_m32_an_array_that_runs_and_is_whole_is_found(void **state)
{
    (void) state;
    static const struct {
        const char *state, *reshape, *degraded;
        const char *words; // NULL: it is read
    } rows[] = {{"clean\n", "none\n", "0\n", NULL},
                {"active\n", "none\n", "0\n", NULL},
                {"active-idle\n", "none\n", "0\n", NULL},
                {"write-pending\n", "none\n", "0\n", NULL},
                {"read-auto\n", "none\n", "0\n", NULL},
                {"clean\n", "", "", NULL}, // Of level 0
                {"clean\n", "none\n", "1\n", "lacks a member"},
                {"active\n", "none\n", "2\n", "mdadm --add"},
                {"active\n", "4096\n", "0\n", "another form"},
                {"inactive\n", "none\n", "0\n", "array /dev/md7 does not run"},
                {"clear\n", "none\n", "0\n", "mdadm --run"},
                {"", "none\n", "0\n", "does not run"}};
    root_tree_put("class/block/null/holders/dm-0/dev", "253:0");
    root_tree_put("class/block/dm-0/dm/uuid", "LVM-abc\n");
    root_tree_put("class/block/null/holders/md7/dev", "9:7");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str node = NULL;
        s_put(rows[i].state, rows[i].reshape, rows[i].degraded);
        const int rc = rmt_md_live_find(root_tree_path(), "/dev/null", &node, &error);
        if (rc != (rows[i].words ? -1 : 0))
            fail_msg("row %zu: %d, %s", i, rc, error.text);
        if (!rows[i].words)
            assert_string_equal(node, "/dev/md7");
        else if (error.code != RMT_E_UNSUPPORTED || !strstr(error.text, rows[i].words))
            fail_msg("row %zu: '%s' does not say %s", i, error.text, rows[i].words);
    }
}

static void
test_m32_a_member_of_no_running_array_is_refused_by_name(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str node = NULL;
    root_tree_put("class/block/null/size", "1");
    RMT_FAILS(rmt_md_live_find(root_tree_path(), "/dev/null", &node, &error),
              RMT_E_UNSUPPORTED);
    assert_non_null(
        strstr(error.text, "/dev/null is a member of an array that does not"));
    assert_non_null(strstr(error.text, "mdadm --assemble"));
    root_tree_put("class/block/null/holders/dm-0/dev", "253:0");
    RMT_FAILS(rmt_md_live_find(root_tree_path(), "/dev/null", &node, &error),
              RMT_E_UNSUPPORTED);
    RMT_FAILS(rmt_md_live_find(root_tree_path(), "/dev/nothing", &node, &error),
              RMT_E_NOT_FOUND);
    assert_null(rmt_holders_list(root_tree_path(), "/dev/nothing", &error));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_m32_an_array_that_runs_and_is_whole_is_found,
                                        root_tree_setup, root_tree_teardown),
        cmocka_unit_test_setup_teardown(
            test_m32_a_member_of_no_running_array_is_refused_by_name, root_tree_setup,
            root_tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
