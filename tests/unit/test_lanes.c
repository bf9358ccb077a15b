// What one key may ask at once, and all keys together. P17.
#include "tools/rmt_test.h"

#include <stdio.h>
#include "base/rmt_auto.h"
#include "broker/lanes.h"

// [4.30] P17: four go, sixty wait, the next is refused; in the order in which they came.
static void
test_a_key_has_four_requests_under_way_and_sixty_in_line(void **state)
{
    (void) state;
    rmt_auto(rmt_lanes) lanes = rmt_lanes_new();
    int items[70];
    for (int i = 0; i < 64; i++)
        assert_int_equal(rmt_lanes_enter(lanes, "eve", 10, false, &items[i]),
                         i < 4 ? RMT_LANE_GO : RMT_LANE_WAIT);
    assert_int_equal(rmt_lanes_enter(lanes, "eve", 10, false, &items[64]), RMT_LANE_BUSY);
    assert_int_equal(rmt_lanes_enter(lanes, "bob", 10, false, &items[65]), RMT_LANE_GO);
    assert_ptr_equal(rmt_lanes_leave(lanes, "eve", 10), &items[4]);
    assert_int_equal(rmt_lanes_enter(lanes, "eve", 10, false, &items[66]), RMT_LANE_WAIT);
    for (int i = 5; i < 64; i++)
        assert_ptr_equal(rmt_lanes_leave(lanes, "eve", 10), &items[i]);
    assert_ptr_equal(rmt_lanes_leave(lanes, "eve", 10), &items[66]);
    for (int i = 0; i < 4; i++)
        assert_null(rmt_lanes_leave(lanes, "eve", 10));
    assert_int_equal(rmt_lanes_enter(lanes, "eve", 10, false, &items[67]), RMT_LANE_GO);
}

// [4.30] P17: by octets, of one key and of all; an admin is served in a flood.
static void
test_requests_under_way_are_bounded_in_octets(void **state)
{
    (void) state;
    const size_t half = RMT_LANE_SIZE_MAX / 2;
    rmt_auto(rmt_lanes) lanes = rmt_lanes_new();
    int item;
    for (int i = 0; i < 8; i++) {
        char key[8];
        snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(rmt_lanes_enter(lanes, key, half, false, &item), RMT_LANE_GO);
        assert_int_equal(rmt_lanes_enter(lanes, key, half, false, &item), RMT_LANE_GO);
        assert_int_equal(rmt_lanes_enter(lanes, key, 1, false, &item), RMT_LANE_BUSY);
    }
    assert_int_equal(rmt_lanes_enter(lanes, "late", 1, false, &item), RMT_LANE_BUSY);
    assert_int_equal(rmt_lanes_enter(lanes, "admin", half, true, &item), RMT_LANE_GO);
    assert_null(rmt_lanes_leave(lanes, "key-3", half));
    assert_null(rmt_lanes_leave(lanes, "key-3", half));
    assert_int_equal(rmt_lanes_enter(lanes, "late", 1, false, &item), RMT_LANE_GO);
}

// [4.30] P17: an admin's requests take nothing of what the other keys have together.
static void
test_an_admin_keeps_no_other_key_out(void **state)
{
    (void) state;
    rmt_auto(rmt_lanes) lanes = rmt_lanes_new();
    int item;
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "admin %d", i);
        assert_int_equal(rmt_lanes_enter(lanes, key, RMT_LANE_SIZE_MAX, true, &item),
                         RMT_LANE_GO);
    }
    assert_int_equal(rmt_lanes_enter(lanes, "bob", 10, false, &item), RMT_LANE_GO);
    assert_null(rmt_lanes_leave(lanes, "admin 7", RMT_LANE_SIZE_MAX));
    assert_null(rmt_lanes_leave(lanes, "bob", 10));
}

// [4.30] P17: an answer that is not sent takes the room of a request until it has gone.
static void
test_an_unread_answer_takes_the_room_of_a_request(void **state)
{
    (void) state;
    rmt_auto(rmt_lanes) lanes = rmt_lanes_new();
    int item;
    zframe_t *answer = zframe_new(NULL, RMT_LANE_SIZE_MAX - 10);
    zmq_msg_t message;
    rmt_unsent_wrap(rmt_lanes_unsent(lanes, "eve"), &answer, &message);
    rmt_lanes_tick(lanes);
    assert_false(rmt_lanes_is_full(lanes, "eve"));
    assert_int_equal(rmt_lanes_enter(lanes, "eve", 11, false, &item), RMT_LANE_BUSY);
    assert_int_equal(rmt_lanes_enter(lanes, "bob", 11, false, &item), RMT_LANE_GO);
    zmq_msg_t other;
    answer = zframe_new(NULL, 11);
    rmt_unsent_wrap(rmt_lanes_unsent(lanes, "eve"), &answer, &other);
    assert_true(rmt_lanes_is_full(lanes, "eve"));
    zmq_msg_close(&other);
    zmq_msg_close(&message);
    assert_false(rmt_lanes_is_full(lanes, "eve"));
    assert_int_equal(rmt_lanes_enter(lanes, "eve", 11, false, &item), RMT_LANE_GO);
    assert_null(rmt_lanes_leave(lanes, "eve", 11));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_has_four_requests_under_way_and_sixty_in_line),
        cmocka_unit_test(test_an_admin_keeps_no_other_key_out),
        cmocka_unit_test(test_an_unread_answer_takes_the_room_of_a_request),
        cmocka_unit_test(test_requests_under_way_are_bounded_in_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
