// What a peer can cause to be written without end. P17.
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "broker/fold.h"

static void
s_note(void *context, const char *event, const char *peer, uint64_t count)
{
    char *told = context;
    const size_t used = strlen(told);
    snprintf(told + used, 200 - used, "%s %s %d;", event, peer, (int) count);
}

// [4.37]: what is left out is told with its number, and then one is written again.
static void
test_what_is_left_out_is_counted_and_told(void **state)
{
    (void) state;
    char told[200] = "";
    rmt_auto(rmt_fold) fold = rmt_fold_new();
    assert_true(rmt_fold_is_first(fold, "act.refused", "key verb", 0));
    assert_true(rmt_fold_is_first(fold, "peer.cut", "key", 0));
    for (int i = 0; i < 7; i++)
        assert_false(rmt_fold_is_first(fold, "act.refused", "key verb", 1000 * i));
    rmt_fold_tick(fold, 59999, s_note, told);
    assert_string_equal(told, "");
    rmt_fold_tick(fold, 60000, s_note, told);
    assert_string_equal(told, "act.refused key verb 7;");
    assert_true(rmt_fold_is_first(fold, "peer.cut", "key", 60001));
    assert_false(rmt_fold_is_first(fold, "act.refused", "key verb", 60002));
    rmt_fold_tick(fold, 120000, s_note, told);
    assert_string_equal(told, "act.refused key verb 7;act.refused key verb 1;");
    rmt_fold_tick(fold, 180000, s_note, told);
    assert_true(rmt_fold_is_first(fold, "act.refused", "key verb", 180001));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_out_is_counted_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
