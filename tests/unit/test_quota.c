// How often a key may speak, and what follows when it speaks more. P17.
#include "tools/rmt_test.h"

#include <stdio.h>
#include "base/rmt_auto.h"
#include "broker/quota.h"

#define MUTE_MS 60000

static const rmt_quota_rate_t s_rate = {10, 20};

// [4.32]: a burst, then the rate; time fills the store, and never above its room.
static void
test_messages_use_up_a_store_that_time_fills(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(10, MUTE_MS);
    for (int i = 0; i < 20; i++)
        assert_true(rmt_quota_use(quota, "a", s_rate, 1, 5000));
    assert_false(rmt_quota_use(quota, "a", s_rate, 1, 5000));
    assert_true(rmt_quota_use(quota, "b", s_rate, 20, 5000)); // Each has its own
    assert_false(rmt_quota_use(quota, "a", s_rate, 1, 5099));
    assert_true(rmt_quota_use(quota, "a", s_rate, 1, 5100));
    assert_false(rmt_quota_use(quota, "a", s_rate, 1, 5100));
    assert_false(rmt_quota_use(quota, "a", s_rate, 21, 500000));
    assert_true(rmt_quota_use(quota, "a", s_rate, 20, 500000));
    assert_false(rmt_quota_use(quota, "a", s_rate, 1, 500000));
}

// [4.31]: and three at once, for a peer that restarts.
static void
test_a_hello_is_taken_once_a_second(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(10, MUTE_MS);
    for (int i = 0; i < 3; i++)
        assert_true(rmt_quota_greet(quota, "a", 0));
    assert_false(rmt_quota_greet(quota, "a", 0));
    assert_true(rmt_quota_greet(quota, "b", 1));
    assert_false(rmt_quota_greet(quota, "a", 999));
    assert_true(rmt_quota_greet(quota, "a", 1000));
    assert_false(rmt_quota_greet(quota, "a", 1999));
    assert_true(rmt_quota_greet(quota, "a", 2000));
}

// Strike until the peer is muted. Returns the number of the mute.
static unsigned
s_strike_out(rmt_quota_t *quota, const char *peer, int64_t now)
{
    for (int i = 0; i < RMT_QUOTA_STRIKES_MAX; i++)
        assert_int_equal(rmt_quota_strike(quota, peer, now), 0);
    return rmt_quota_strike(quota, peer, now);
}

// [4.33]: for a minute; the next mute is the second, unless an hour was quiet.
static void
test_strikes_mute_a_peer_and_mutes_are_counted(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(10, MUTE_MS);
    assert_int_equal(s_strike_out(quota, "a", 1000), 1);
    assert_true(rmt_quota_is_muted(quota, "a", 1000 + MUTE_MS - 1));
    assert_false(rmt_quota_is_muted(quota, "a", 1000 + MUTE_MS));
    assert_false(rmt_quota_is_muted(quota, "b", 1000));
    rmt_quota_tick(quota, 1000 + 30 * MUTE_MS);
    assert_int_equal(s_strike_out(quota, "a", 1000 + 30 * MUTE_MS), 2);
    rmt_quota_tick(quota, 1000 + 100 * MUTE_MS);
    assert_int_equal(s_strike_out(quota, "a", 1000 + 100 * MUTE_MS), 1);
}

// [4.33]: a peer that goes on to speak as it may is not muted for the second time a day
// after the first.
static void
test_a_mute_is_forgotten_while_the_peer_is_heard(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(10, MUTE_MS);
    int64_t now = 1000;
    assert_int_equal(s_strike_out(quota, "a", now), 1);
    for (now += MUTE_MS; now < 1000 + 2 * MUTE_MS + RMT_QUOTA_MEMORY_MS; now += 3000) {
        assert_true(rmt_quota_use(quota, "a", s_rate, 1, now));
        rmt_quota_tick(quota, now);
    }
    assert_int_equal(s_strike_out(quota, "a", now), 1);
}

// [4.33]: what was under way when the peer was muted is not held against it later.
static void
test_nothing_is_a_strike_during_a_mute(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(10, MUTE_MS);
    assert_int_equal(s_strike_out(quota, "a", 1000), 1);
    for (int i = 0; i < 3 * RMT_QUOTA_STRIKES_MAX; i++)
        assert_int_equal(rmt_quota_strike(quota, "a", 1000 + MUTE_MS - 1), 0);
    assert_int_equal(s_strike_out(quota, "a", 1000 + MUTE_MS), 2);
}

// [4.33] [4.35]: peers that share the last row of a full table are strangers to each
// other.
static void
test_those_who_find_the_table_full_are_not_muted_together(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(1, MUTE_MS);
    assert_true(rmt_quota_use(quota, "a", s_rate, 1, 0));
    for (int i = 0; i < 3 * RMT_QUOTA_STRIKES_MAX; i++)
        assert_int_equal(rmt_quota_strike(quota, i % 2 ? "b" : "c", 1000), 0);
    assert_false(rmt_quota_is_muted(quota, "b", 1000));
    assert_false(rmt_quota_is_muted(quota, "d", 1000));
    assert_int_equal(s_strike_out(quota, "a", 1000), 1);
}

// [4.33]: what a peer of ours does by mistake does not add up.
static void
test_strikes_fade(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(10, MUTE_MS);
    for (int i = 0; i < 10 * RMT_QUOTA_STRIKES_MAX; i++) {
        assert_int_equal(rmt_quota_strike(quota, "a", 1000 * i), 0);
        rmt_quota_tick(quota, 1000 * i + 500);
    }
    assert_false(rmt_quota_is_muted(quota, "a", 1000 * 10 * RMT_QUOTA_STRIKES_MAX));
}

// [4.30]: the table is bounded; those who find it full share a row and hold nothing.
static void
test_the_table_is_bounded(void **state)
{
    (void) state;
    rmt_auto(rmt_quota) quota = rmt_quota_new(2, MUTE_MS);
    assert_true(rmt_quota_hold(quota, "a", 1));
    assert_false(rmt_quota_hold(quota, "a", 1));
    assert_true(rmt_quota_use(quota, "b", s_rate, 20, 0));
    assert_true(rmt_quota_use(quota, "c", s_rate, 15, 0));
    assert_false(rmt_quota_use(quota, "d", s_rate, 15, 0));
    assert_false(rmt_quota_hold(quota, "e", 1));
    rmt_quota_tick(quota, 100000); // b has gone, a has a call under way
    assert_true(rmt_quota_hold(quota, "e", 1));
    rmt_quota_release(quota, "a");
    assert_true(rmt_quota_hold(quota, "a", 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_use_up_a_store_that_time_fills),
        cmocka_unit_test(test_a_hello_is_taken_once_a_second),
        cmocka_unit_test(test_strikes_mute_a_peer_and_mutes_are_counted),
        cmocka_unit_test(test_a_mute_is_forgotten_while_the_peer_is_heard),
        cmocka_unit_test(test_nothing_is_a_strike_during_a_mute),
        cmocka_unit_test(test_those_who_find_the_table_full_are_not_muted_together),
        cmocka_unit_test(test_strikes_fade),
        cmocka_unit_test(test_the_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
