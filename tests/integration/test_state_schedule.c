// Jobs that begin later: at a time, or in a window of each day.
#include <inttypes.h>
#include <string.h>
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "integration/state_farm.h"

#define DAY_S 86400
#define HOUR_S 3600

// Seconds of the day in UTC, so many behind now.
static unsigned
s_day_s(int64_t more)
{
    return (unsigned) ((rmt_clock_wall_ms() / 1000 + more + DAY_S) % DAY_S);
}

// A window of an hour that began an hour and a half ago, or, when it is open, half an
// hour.
static char *
s_window(bool is_open)
{
    return rmt_text("window=w window-from-s=%u window-s=%d",
                    s_day_s(is_open ? -HOUR_S / 2 : -HOUR_S - HOUR_S / 2), HOUR_S);
}

static void
s_set_window(state_farm_t *farm, bool is_open)
{
    rmt_auto_str script = rmt_text("return redis.call('HSET', 'ramet:job:" DEPLOY
                                   "', 'window-from-s', '%u')",
                                   s_day_s(is_open ? -HOUR_S / 2 : -HOUR_S - HOUR_S / 2));
    free(redis_server_eval(&farm->redis, script));
}

// How many jobs are to be looked at.
static size_t
s_driven(state_farm_t *farm)
{
    OK("drive_list", "", "", "");
    return state_farm_count(farm);
}

// [4.74]: it is there, waits, says until when, and begins when its time has come.
static void
test_a_job_begins_at_its_time(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "after-s=1");
    assert_int_equal(s_driven(farm), 0);
    OK("job_step", "", "job=" DEPLOY " rev=1", ""); // Its broker looks at each new job
    OK("job_view", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_body(farm, "stage"), "wait");
    const char *stuck = state_farm_target(farm, DEPLOY, 0, "stuck");
    assert_memory_equal(stuck, "begins at 20", 12);
    assert_string_equal(state_farm_body(farm, "state"), "queued");
    OK("farm_check", "", "", ""); // What is to wait is no fault of the farm
    for (size_t i = 0; i < state_farm_count(farm); i++)
        assert_string_not_equal(state_farm_item(farm, i, "check"), "jobs");
    state_farm_hear_clock(farm);
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "", "later"), STATE_WAIT_MS);
    OK("job_due", "", "", "");
    assert_false(state_farm_is_due(farm, "", "later"));
    assert_int_equal(s_driven(farm), 1);
    OK("job_view", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_body(farm, "stage"), "start");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "stuck"), "");
}

// A job that waits fills no store, and its time there begins with itself.
static void
test_a_job_that_waits_holds_up_no_gc(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "after-s=1");
    OK("store_gc", "by=a job=" UID2 " job-name=j-b", "place=lab age-s=0", "");
    state_farm_hear_clock(farm);
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "", "later"), STATE_WAIT_MS);
    free(redis_server_eval(&farm->redis, "return redis.call('HSET', 'ramet:job:" DEPLOY
                                         "', 'created', '1', 'began', '1')"));
    OK("job_due", "", "", "");
    REFUSED(RMT_E_REFUSED, "store_gc", "by=a job=" UID3 " job-name=j-c",
            "place=lab age-s=0", "");
    OK("store_gc", "by=a job=" UID3 " job-name=j-c", "place=lab age-s=3600", "");
}

static void
test_a_job_that_waits_can_be_cancelled(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "after-s=1");
    OK("job_cancel", "", "job=" DEPLOY, "");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_body(farm, "state"), "cancelled");
    state_farm_hear_clock(farm);
    assert_false(state_farm_is_due(farm, "", "later"));
    assert_int_equal(s_driven(farm), 0);
}

static void
test_what_is_no_time_is_refused(void **state)
{
    static const char *const wrong[] = {
        "after-s=soon",
        "after-s=2592001",
        "window=w",
        "window=w window-from-s=0",
        "window=w window-from-s=86400 window-s=60",
        "window=w window-from-s=0 window-s=86400",
        "window=w window-from-s=-1 window-s=60",
        "window=w1234567890123456789012345678901234567890 window-from-s=0 window-s=60",
    };
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rmt_auto_str body = rmt_text("image=img %s", wrong[i]);
        print_message("%s\n", wrong[i]);
        REFUSED(RMT_E_USAGE, "deploy_start", "by=a job=" UID2 " job-name=j-b", body,
                "target=t1");
    }
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", "job=" UID2, "");
}

// [4.75]: a window that is shut keeps the job back; what is only asked about says so.
static void
test_a_job_waits_for_its_window(void **state)
{
    state_farm_t *farm = *state;
    rmt_auto_str shut = s_window(false);
    rmt_auto_str open = s_window(true);
    state_farm_begin_deploy(farm, shut);
    assert_int_equal(s_driven(farm), 0);
    assert_non_null(
        strstr(state_farm_target(farm, DEPLOY, 0, "stuck"), "Z, in its window w"));
    rmt_auto_str ask = rmt_text("image=img dry-run=yes %s", shut);
    OK("deploy_start", "by=a job=" UID2 " job-name=j-b", ask, "target=t1");
    assert_string_equal(state_farm_body(farm, "window"), "w");
    const uint64_t begins = strtoull(state_farm_body(farm, "begins"), NULL, 10);
    assert_in_range(begins / 1000 - (uint64_t) rmt_clock_wall_ms() / 1000,
                    DAY_S - 2 * HOUR_S, DAY_S);
    rmt_auto_str body = rmt_text("image=img %s", open);
    OK("deploy_start", "by=a job=" UID2 " job-name=j-b", body, "target=t2");
    assert_int_equal(s_driven(farm), 1);
}

// [4.75]: what may begin waits when the window is over, with the reason, and goes on when
// it opens again; what has begun is not touched.
static void
test_no_target_begins_behind_the_window(void **state)
{
    state_farm_t *farm = *state;
    rmt_auto_str open = s_window(true);
    rmt_auto_str options = rmt_text("partial=yes %s", open);
    state_farm_begin_deploy(farm, options);
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=built engine=lab|op=drive");
    OK("job_view", "", "job=" DEPLOY, "");
    assert_non_null(rmt_records_find(farm->reply->items, "what", "ready"));
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "stuck"), "");
    s_set_window(farm, false);
    OK("job_view", "", "job=" DEPLOY, "");
    assert_null(rmt_records_find(farm->reply->items, "what", "ready"));
    OK("job_step", "", "job=" DEPLOY " rev=3", "");
    assert_memory_equal(state_farm_target(farm, DEPLOY, 0, "stuck"),
                        "its window w is over: 1 targets begin at 20", 43);
    assert_string_equal(state_farm_body(farm, "state"), "running");
    OK("job_logs", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_item(farm, state_farm_count(farm) - 1, "what"),
                        "job.waits");
    assert_int_equal(s_driven(farm), 0);
    s_set_window(farm, true);
    free(redis_server_eval(&farm->redis,
                           "return redis.call('ZADD', 'ramet:later', 0, '" DEPLOY "')"));
    OK("job_due", "", "", "");
    assert_int_equal(s_driven(farm), 1);
    OK("job_view", "", "job=" DEPLOY, "");
    assert_non_null(rmt_records_find(farm->reply->items, "what", "ready"));
}

// [4.76]: what its agent would refuse later is refused at once.
static void
test_a_warrant_must_last_until_its_job_begins(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    const uint64_t now_s = (uint64_t) rmt_clock_wall_ms() / 1000;
    rmt_auto_str warrant = rmt_text(
        "target=t1 warrant=class=warrant_not-after=%" PRIu64 "_least=0", now_s + HOUR_S);
    OK("warrant_put", "", "batch=" UID4, warrant);
    static const char meta[] = "by=a job=" UID2 " job-name=j-b";
    REFUSED(RMT_E_NOT_ALLOWED, "deploy_start", meta,
            "image=img warrants=" UID4 " after-s=3700", "target=t1");
    assert_non_null(strstr(farm->reply->text, "sign for longer with --valid"));
    rmt_auto_str open = s_window(true);
    rmt_auto_str late = rmt_text("image=img warrants=" UID4 " after-s=3500 %s", open);
    REFUSED(RMT_E_NOT_ALLOWED, "deploy_start", meta, late, "target=t1");
    rmt_auto_str soon = rmt_text("image=img warrants=" UID4 " %s", open);
    OK("deploy_start", meta, soon, "target=t1");
    OK("deploy_start", "by=a job=" UID3 " job-name=j-c",
       "image=img warrants=" UID4 " after-s=3500", "target=t1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_job_begins_at_its_time),
        CASE(test_a_job_that_waits_holds_up_no_gc),
        CASE(test_a_job_that_waits_can_be_cancelled),
        CASE(test_what_is_no_time_is_refused),
        CASE(test_a_job_waits_for_its_window),
        CASE(test_no_target_begins_behind_the_window),
        CASE(test_a_warrant_must_last_until_its_job_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
