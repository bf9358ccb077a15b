// The link that tests play: its rules do what they say.
#include "tools/rmt_test.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "tools/link_way.h"

#define COUNT 1000

static const uint8_t s_packet[100] = {0x45};

static void
s_put(link_way_t *way, size_t count, int64_t now_us)
{
    for (size_t i = 0; i < count; i++)
        link_way_put(way, s_packet, sizeof s_packet, now_us);
}

static size_t
s_take_all(link_way_t *way, int64_t now_us)
{
    uint8_t packet[LINK_PACKET_MAX];
    size_t count = 0;
    while (link_way_take(way, packet, now_us))
        count++;
    return count;
}

static void
test_a_way_without_rules_delivers_at_once_in_sequence(void **state)
{
    (void) state;
    rmt_auto(link_way) way = link_way_new(1);
    uint8_t packet[LINK_PACKET_MAX] = {0};
    for (uint8_t i = 0; i < 200; i++)
        link_way_put(way, &i, 1, 5);
    for (uint8_t i = 0; i < 200; i++) {
        assert_int_equal(link_way_take(way, packet, 5), 1);
        assert_int_equal(packet[0], i);
    }
    assert_int_equal(link_way_take(way, packet, INT64_MAX - 1), 0);
}

static void
test_a_packet_takes_its_delay(void **state)
{
    (void) state;
    rmt_auto(link_way) way = link_way_new(1);
    assert_int_equal(link_way_rules(way, "delay=150 jitter=50"), 0);
    s_put(way, COUNT, 0);
    assert_int_equal(s_take_all(way, 99999), 0);
    const size_t half = s_take_all(way, 150000);
    assert_in_range(half, 450, 550);
    assert_int_equal(s_take_all(way, 200000), COUNT - half);
}

static void
test_chance_has_its_share(void **state)
{
    (void) state;
    rmt_auto(link_way) way = link_way_new(7);
    assert_int_equal(link_way_rules(way, "loss=15 twice=5 early=25 delay=10"), 0);
    s_put(way, COUNT, 0);
    const size_t early = s_take_all(way, 0);
    const size_t late = s_take_all(way, 10000);
    const link_counts_t *counts = link_way_counts(way);
    assert_in_range(counts->lost, 120, 180);
    assert_in_range(counts->twice, 30, 70);
    assert_int_equal(early + late, COUNT - counts->lost + counts->twice);
    assert_int_equal(early, counts->early);
    assert_in_range(early, 190, 260);
}

static void
test_a_rate_sends_one_after_another_and_fills_its_queue(void **state)
{
    (void) state;
    rmt_auto(link_way) way = link_way_new(1);
    assert_int_equal(link_way_rules(way, "rate=80 queue=100"), 0); // A packet in 10 ms
    s_put(way, COUNT, 0);
    assert_int_equal(link_way_counts(way)->full, COUNT - 11);
    assert_int_equal(s_take_all(way, 9999), 0);
    assert_int_equal(s_take_all(way, 50000), 5);
    assert_int_equal(s_take_all(way, 110000), 6);
}

static void
test_ends_of_connections_are_kept_back(void **state)
{
    (void) state;
    rmt_auto(link_way) way = link_way_new(1);
    uint8_t tcp[40] = {0x45, [9] = 6};
    assert_int_equal(link_way_rules(way, "ends=1"), 0);
    const struct {
        uint8_t flags, protocol;
        size_t size, passes;
    } cases[] = {{0x10, 6, 40, 1},
                 {0x11, 6, 40, 0},
                 {0x04, 6, 40, 0},
                 {0x04, 17, 40, 1},
                 {0x04, 6, 39, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tcp[33] = cases[i].flags;
        tcp[9] = cases[i].protocol;
        link_way_put(way, tcp, cases[i].size, 0);
        assert_int_equal(s_take_all(way, 0), cases[i].passes);
    }
}

static void
test_a_seed_is_played_again(void **state)
{
    (void) state;
    uint64_t lost[2];
    int64_t due[2];
    for (size_t i = 0; i < 2; i++) {
        rmt_auto(link_way) way = link_way_new(42);
        assert_int_equal(link_way_rules(way, "loss=30 delay=50 jitter=50"), 0);
        s_put(way, COUNT, 0);
        lost[i] = link_way_counts(way)->lost;
        due[i] = link_way_due_us(way);
    }
    assert_int_equal(lost[0], lost[1]);
    assert_int_equal(due[0], due[1]);
}

static void
test_wrong_rules_change_nothing(void **state)
{
    (void) state;
    rmt_auto(link_way) way = link_way_new(1);
    assert_int_equal(link_way_rules(way, "loss=100"), 0);
    static const char *const wrong[] = {"loss=101", "loss=",   "loss",
                                        "los=1",    "loss=1x", "delay=-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(link_way_rules(way, wrong[i]), -1);
    s_put(way, COUNT, 0);
    assert_int_equal(link_way_counts(way)->lost, COUNT);
    assert_int_equal(link_way_rules(way, ""), 0);
    s_put(way, 1, 0);
    assert_int_equal(s_take_all(way, 0), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_way_without_rules_delivers_at_once_in_sequence),
        cmocka_unit_test(test_a_packet_takes_its_delay),
        cmocka_unit_test(test_chance_has_its_share),
        cmocka_unit_test(test_a_rate_sends_one_after_another_and_fills_its_queue),
        cmocka_unit_test(test_ends_of_connections_are_kept_back),
        cmocka_unit_test(test_a_seed_is_played_again),
        cmocka_unit_test(test_wrong_rules_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
