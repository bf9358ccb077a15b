// Order, budget and end of the queue between walk, workers and sink.
#include "tools/rmt_test.h"
#include "base/rmt_auto.h"
#include "tree/rmt_queue.h"

static void
test_chores_put_behind_held_ones_are_all_got_in_order(void **state)
{
    (void) state;
    rmt_auto(rmt_queue) queue = rmt_queue_new(10, 100);
    rmt_chore_t a, b, c, behind_a, behind_b;
    assert_true(rmt_queue_put(queue, &a, 1));
    assert_true(rmt_queue_put(queue, &b, 1));
    assert_true(rmt_queue_put(queue, &c, 1));
    assert_ptr_equal(rmt_queue_get(queue), &a);
    assert_ptr_equal(rmt_queue_get(queue), &b);
    rmt_queue_put_after(queue, &behind_a, 1, &a);
    rmt_queue_put_after(queue, &behind_b, 1, &b);
    assert_ptr_equal(rmt_queue_get(queue), &behind_a);
    assert_ptr_equal(rmt_queue_get(queue), &behind_b);
    assert_ptr_equal(rmt_queue_get(queue), &c);

    rmt_queue_end(queue);
    rmt_chore_t *const order[] = {&a, &behind_a, &b, &behind_b, &c};
    for (size_t i = 5; i-- > 0;)
        rmt_queue_done(queue, order[i]);
    rmt_chore_t *chore = NULL;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(rmt_queue_take(queue, 0, &chore), 1);
        assert_ptr_equal(chore, order[i]);
        rmt_queue_release(queue, chore);
    }
    assert_int_equal(rmt_queue_take(queue, 0, &chore), 0);
    assert_null(rmt_queue_get(queue));
}

static void
test_result_waits_for_the_chores_before_it(void **state)
{
    (void) state;
    rmt_auto(rmt_queue) queue = rmt_queue_new(10, 100);
    rmt_chore_t a, b, *chore = NULL;
    assert_true(rmt_queue_put(queue, &a, 1));
    assert_true(rmt_queue_put(queue, &b, 1));
    assert_ptr_equal(rmt_queue_get(queue), &a);
    assert_ptr_equal(rmt_queue_get(queue), &b);
    rmt_queue_done(queue, &b);
    assert_int_equal(rmt_queue_take(queue, 10, &chore), -1);
    rmt_queue_done(queue, &a);
    assert_int_equal(rmt_queue_take(queue, 10, &chore), 1);
    assert_ptr_equal(chore, &a);
}

static void
test_first_chore_passes_a_budget_that_is_used_up(void **state)
{
    (void) state;
    rmt_auto(rmt_queue) queue = rmt_queue_new(10, 100);
    rmt_chore_t large, *chore = NULL;
    assert_true(rmt_queue_put(queue, &large, 1000));
    assert_ptr_equal(rmt_queue_get(queue), &large);
    rmt_queue_done(queue, &large);
    assert_int_equal(rmt_queue_take(queue, 0, &chore), 1);
    // Not released: its weight is still held when the next one becomes the first.
    rmt_chore_t next;
    assert_true(rmt_queue_put(queue, &next, 1000));
    assert_ptr_equal(rmt_queue_get(queue), &next);
}

static void
test_failure_is_remembered_and_refuses_chores(void **state)
{
    (void) state;
    rmt_auto(rmt_queue) queue = rmt_queue_new(10, 100);
    rmt_chore_t a;
    rmt_error_t error = {0}, again = {0};
    RMT_OK(rmt_queue_check(queue, &error));
    rmt_fail(&error, RMT_E_IO, "first");
    rmt_queue_fail(queue, &error);
    rmt_fail(&error, RMT_E_IO, "second");
    rmt_queue_fail(queue, &error);
    assert_int_equal(rmt_queue_check(queue, &again), -1);
    assert_string_equal(again.text, "first");
    assert_false(rmt_queue_put(queue, &a, 1));
    assert_null(rmt_queue_get(queue));
    assert_null(rmt_queue_reclaim(queue));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chores_put_behind_held_ones_are_all_got_in_order),
        cmocka_unit_test(test_result_waits_for_the_chores_before_it),
        cmocka_unit_test(test_first_chore_passes_a_budget_that_is_used_up),
        cmocka_unit_test(test_failure_is_remembered_and_refuses_chores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
