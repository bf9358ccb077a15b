// Several brokers over one Redis that starts anew: what one of them alone may know.
#include <signal.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"

#define ONE "id=b1 broker=one:7700 era=1 last=0-0"
#define TWO "id=b2 broker=two:7700 era=1 last=0-0"
#define TAKE_GO "service=write@target/t1 nonce=n1 n=1"

// Brokers one and two; the target t1 is armed at the agent a1, and its GO is in the
// queue.
static void
s_begin(state_farm_t *farm)
{
    OK("era_open", "", "id=b1 broker=one:7700", "");
    OK("era_open", "", "id=b2 broker=two:7700", "");
    state_farm_arm(farm);
}

static void
s_restart(state_farm_t *farm)
{
    redis_server_end(&farm->redis, SIGKILL);
    REFUSED(RMT_E_UNAVAILABLE, "queues", "", "", "");
    redis_server_start(&farm->redis);
}

static void
s_assert_era(state_farm_t *farm, const char *era)
{
    OK("farm_status", "", "", "");
    assert_string_equal(state_farm_body(farm, "era"), era);
}

// [1.64] [1.67] P6: Redis has come back, as another one may at a failover, before the
// broker hears that it went. What the broker asks for meanwhile rests on the old one.
static void
test_a_redis_is_asked_for_nothing_before_it_is_opened(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    redis_server_end(&farm->redis, SIGKILL);
    redis_server_start(&farm->redis);
    REFUSED(RMT_E_UNAVAILABLE, "task_take", "by=a1", TAKE_GO, "");
    OK("era_open", "", ONE, "");
    OK("era_open", "", TWO, "");
    OK("task_take", "by=a1", TAKE_GO, "");
    assert_int_equal(state_farm_count(farm), 1);
}

// [1.67] P6: the broker that is away may have sent a GO that this Redis has lost.
static void
test_no_go_is_handed_out_before_all_brokers_have_come_back(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    s_restart(farm);
    OK("era_open", "", ONE, "");
    assert_string_equal(state_farm_body(farm, "raised"), "no");
    OK("task_take", "by=a1", TAKE_GO, "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("task_stuck", "", "stuck-s=0", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_non_null(strstr(state_farm_item(farm, 0, "text"), "broker two:7700"));
    OK("farm_check", "", "version=1", "");
    assert_string_equal(state_farm_item(farm, 0, "check"), "broker");
    assert_non_null(
        strstr(state_farm_item(farm, 0, "text"), "two:7700 has not come back"));

    OK("era_open", "", TWO, "");
    OK("task_take", "by=a1", TAKE_GO, "");
    assert_int_equal(state_farm_count(farm), 1);
    s_assert_era(farm, "1");
}

// [1.67] P6: without it, all that it may have handed out is fenced; it is not awaited
// again.
static void
test_a_broker_that_stays_away_raises_the_era(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    s_restart(farm);
    OK("era_open", "", ONE, "");
    OK("scan", "", "broker-wait-s=3600", "");
    s_assert_era(farm, "1");
    OK("scan", "", "broker-wait-s=0", "");
    s_assert_era(farm, "2");
    OK("task_take", "by=a1", TAKE_GO, "");
    assert_int_equal(state_farm_count(farm), 0);
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "failed");
    assert_non_null(strstr(state_farm_target(farm, DEPLOY, 0, "error"), "era 1"));

    s_restart(farm);
    OK("era_open", "", ONE, "");
    OK("scan", "", "broker-wait-s=0", "");
    s_assert_era(farm, "2");
}

// [1.67]: a Redis that goes on has lost nothing, whichever broker goes.
static void
test_no_broker_is_awaited_by_a_redis_that_goes_on(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    OK("era_open", "", ONE, "");
    OK("scan", "", "broker-wait-s=0", "");
    OK("task_take", "by=a1", TAKE_GO, "");
    assert_int_equal(state_farm_count(farm), 1);
    s_assert_era(farm, "1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_redis_is_asked_for_nothing_before_it_is_opened),
        CASE(test_no_go_is_handed_out_before_all_brokers_have_come_back),
        CASE(test_a_broker_that_stays_away_raises_the_era),
        CASE(test_no_broker_is_awaited_by_a_redis_that_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
