// What a stream of the gateway is told, and what of it a slow client misses.
#include "gateway/feed.h"
#include "base/rmt_auto.h"
#include "tools/rmt_test.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (FEED_VALUE_SIZE_MAX + 1024)
#define BEGIN "retry: 2000\nevent: begin\ndata: {}\n\n"

static feed_t *s_feed;

// All that the client has not seen, up to one block. Valid until the next call.
static const char *
s_read(feed_mark_t *mark, int64_t now_ms)
{
    static char block[BLOCK_SIZE + 1];
    const size_t size = feed_read(s_feed, mark, now_ms, block, BLOCK_SIZE);
    block[size] = '\0';
    return block;
}

static int
s_set_up(void **state)
{
    (void) state;
    s_feed = feed_new();
    return 0;
}

static int
s_tear_down(void **state)
{
    (void) state;
    feed_destroy(&s_feed);
    return 0;
}

// [11.10]: the state first, in the sequence in which it came; then what is new, once.
static void
test_a_client_gets_the_state_and_then_what_is_new(void **state)
{
    (void) state;
    feed_mark_t mark = {0};
    feed_put(s_feed, "a", "{\"a\":1}");
    feed_put(s_feed, "b", "{\"b\":1}");
    feed_put(s_feed, "a", "{\"a\":2}");
    assert_string_equal(s_read(&mark, 0), BEGIN "event: value\ndata: {\"b\":1}\n\n"
                                                "event: value\ndata: {\"a\":2}\n\n");
    assert_string_equal(s_read(&mark, 1), "");
    feed_end_topic(s_feed, "b", "{\"topic\":\"b\"}");
    assert_string_equal(s_read(&mark, 2), "event: end\ndata: {\"topic\":\"b\"}\n\n");
    assert_string_equal(s_read(&mark, 2 + FEED_PING_MS - 1), "");
    assert_string_equal(s_read(&mark, 2 + FEED_PING_MS), ": ping\n\n");
}

// [11.12]: of a thousand values of one topic a slow client gets the last one.
static void
test_a_slow_client_gets_fewer_values(void **state)
{
    (void) state;
    feed_mark_t mark = {0};
    feed_put(s_feed, "a", "{}");
    assert_string_equal(s_read(&mark, 0), BEGIN "event: value\ndata: {}\n\n");
    for (int i = 0; i < 1000; i++)
        feed_put(s_feed, "a", i < 999 ? "{\"old\":1}" : "{\"last\":1}");
    assert_string_equal(s_read(&mark, 1), "event: value\ndata: {\"last\":1}\n\n");
}

// [11.10]: an end that was forgotten before the client was told of it makes the client
// begin anew; one that was told does not.
static void
test_who_missed_an_end_begins_anew(void **state)
{
    (void) state;
    feed_mark_t slow = {0}, quick = {0};
    feed_put(s_feed, "a", "{}");
    feed_put(s_feed, "b", "{}");
    s_read(&slow, 0);
    s_read(&quick, 0);
    feed_sweep(s_feed);
    feed_end_topic(s_feed, "a", "{\"topic\":\"a\"}");
    assert_string_equal(s_read(&quick, 1), "event: end\ndata: {\"topic\":\"a\"}\n\n");
    feed_sweep(s_feed);
    feed_sweep(s_feed);
    assert_string_equal(s_read(&slow, 2), BEGIN "event: value\ndata: {}\n\n");
}

// A state that is larger than a block comes in several, whole values each.
static void
test_a_large_state_comes_in_blocks(void **state)
{
    (void) state;
    feed_mark_t mark = {0};
    char *json = malloc(FEED_VALUE_SIZE_MAX + 1);
    assert_non_null(json);
    memset(json, 'x', FEED_VALUE_SIZE_MAX);
    json[FEED_VALUE_SIZE_MAX] = '\0';
    feed_put(s_feed, "a", json);
    feed_put(s_feed, "b", json);
    free(json);
    assert_int_equal(strncmp(s_read(&mark, 0), BEGIN, strlen(BEGIN)), 0);
    const char *second = s_read(&mark, 0);
    assert_int_equal(strncmp(second, "event: value\n", 13), 0);
    assert_int_equal(strlen(second), FEED_VALUE_SIZE_MAX + 21);
    assert_string_equal(s_read(&mark, 0), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_client_gets_the_state_and_then_what_is_new,
                                        s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_slow_client_gets_fewer_values, s_set_up,
                                        s_tear_down),
        cmocka_unit_test_setup_teardown(test_who_missed_an_end_begins_anew, s_set_up,
                                        s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_state_comes_in_blocks, s_set_up,
                                        s_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
