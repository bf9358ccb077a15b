// The function library in a Redis whose time of day jumps: lengths of time are those of
// the brokers' monotonic clocks (P25).
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "state/rmt_limits.h"

#define HOURS "7200"

static char s_shift[] = "/tmp/ramet-shift.XXXXXX";

// The time of day of Redis, against the true one.
static void
s_jump(const char *seconds)
{
    char text[32] = {0};
    snprintf(text, sizeof text, "%s", seconds);
    const int fd = open(s_shift, O_WRONLY);
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    close(fd);
}

static int
s_setup(void **state)
{
    rmt_auto_str library = rmt_text("%s/../tests/shift_clock.so", getenv("RAMET_BIN"));
    s_jump("0");
    setenv("LD_PRELOAD", library, 1);
    setenv("RAMET_SHIFT", s_shift, 1);
    const int rc = state_farm_setup(state);
    unsetenv("LD_PRELOAD");
    return rc;
}

static void
s_lease(state_farm_t *farm, const char *lease_ms)
{
    OK("era_open", "", "era=1 last=0-0", "");
    state_farm_hear_clock(farm);
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=job set.stage=commit event=begin|"
       "op=task task=" UID2 " service=commit@hq stage=commit subject=web b.place=hq");
    OK("peer_hello", "by=w1 role=imager name=i place=hq",
       "nonce=n services=commit@hq=1,receive@hq=1 port=99 addresses=@ key=dk", "");
    rmt_auto_str body = rmt_text("service=commit@hq nonce=n n=1 lease-ms=%s", lease_ms);
    OK("task_take", "by=w1", body, "");
    assert_int_equal(state_farm_count(farm), 1);
}

static bool
s_is_late(state_farm_t *farm)
{
    return state_farm_is_due(farm, "stuck-s=60", "late");
}

// P25: nothing ends, and nobody is absent, because Redis is two hours ahead.
static void
test_a_lease_outlives_a_jump_forward(void **state)
{
    state_farm_t *farm = *state;
    s_lease(farm, "60000");
    s_jump(HOURS);
    assert_false(s_is_late(farm));
    OK("task_reap", "", "silent-s=600", "");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "leased");
    OK("farm_status", "", "", "");
    assert_string_equal(state_farm_body(farm, "peers"), "1");
}

// P4 P25: a dead worker's task does not wait for the hour in which it was taken.
static void
test_a_lease_ends_in_time_after_a_jump_back(void **state)
{
    state_farm_t *farm = *state;
    s_lease(farm, "300");
    s_jump("-" HOURS);
    RMT_WAIT_UNTIL(s_is_late(farm), STATE_WAIT_MS);
    OK("task_reap", "", "silent-s=600", "");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "queued");
}

// The farm's clock, as the next call has it.
static uint64_t
s_clock(state_farm_t *farm)
{
    OK("scan", "", "", "");
    return strtoull(state_farm_body(farm, "clock"), NULL, 10);
}

static void
test_a_token_lives_its_time_whatever_the_hour(void **state)
{
    state_farm_t *farm = *state;
    OK("era_open", "", "era=1 last=0-0", "");
    state_farm_hear_clock(farm);
    OK("key_token", "by=a hash=h1", "role=source name=web ttl-s=3600 uses=9 approve=yes",
       "");
    OK("key_token", "by=a hash=h2", "role=source name=api ttl-s=1 uses=9 approve=yes",
       "");
    const uint64_t made = s_clock(farm);
    s_jump(HOURS);
    OK("enrol", "hash=h1", "key=k1 role=source name=web identity=i1", "");
    s_jump("-" HOURS);
    RMT_WAIT_UNTIL(s_clock(farm) > made + 1000, STATE_WAIT_MS);
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h2",
            "key=k2 role=source name=api identity=i2", "");
    OK("enrol", "hash=h1", "key=k1 role=source name=web identity=i1", "");
}

// P15: the farm's clock stood still for hours, while no broker was there and a
// capture ran on.
static void
test_gc_counts_the_longer_of_two_times(void **state)
{
    state_farm_t *farm = *state;
    s_lease(farm, "60000");
    OK("record_add", "", "class=engine name=hq", "");
    OK("store_gc", "job=" UID3 " job-name=j-c", "place=hq age-s=3600", "");
    s_jump(HOURS);
    REFUSED(RMT_E_REFUSED, "store_gc", "job=" UID4 " job-name=j-d", "place=hq age-s=3600",
            "");
    OK("store_gc", "job=" UID4 " job-name=j-d", "place=hq age-s=9000", "");
}

// A second broker, and one that starts again, go on where the farm's clock stands.
static void
test_brokers_share_one_clock(void **state)
{
    state_farm_t *farm = *state;
    s_lease(farm, "60000");
    const uint64_t before = s_clock(farm);
    rmt_error_t error = {0};
    rmt_state_t *first = farm->state;
    const rmt_state_server_t server = {.address = farm->redis.socket, .timeout_ms = 2000};
    farm->state = rmt_state_new(&server, NULL, &error);
    s_jump(HOURS);
    OK("era_open", "", "era=1 last=0-0", "");
    const uint64_t after = s_clock(farm);
    assert_true(after + RMT_CLOCK_STEP_MS >= before && after < before + 60000);
    // From there it counts on by itself, though Redis goes back by hours.
    state_farm_hear_clock(farm);
    s_jump("-" HOURS);
    RMT_WAIT_UNTIL(s_clock(farm) > before, STATE_WAIT_MS);
    const uint64_t own = s_clock(farm);
    rmt_state_destroy(&farm->state);
    farm->state = first;
    const uint64_t others = s_clock(farm);
    assert_true(others + RMT_CLOCK_STEP_MS >= own && others < own + 60000);
}

static bool
s_is_present(state_farm_t *farm, const char *meta)
{
    OK("record_show", meta, "class=source name=web", "");
    return streq(state_farm_body(farm, "present"), "yes");
}

// P25: a broker that starts is a little behind the others, and what it has heard of a
// peer does not make younger what another one has heard.
static void
test_an_older_word_of_a_peer_changes_nothing(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "clock=100000", "class=source name=web", "");
    OK("presence", "clock=102900", "", "key=k role=source name=web silent-ms=0");
    OK("presence", "clock=100000", "", "key=k role=source name=web silent-ms=14000");
    assert_true(s_is_present(farm, "clock=117000"));
    assert_false(s_is_present(farm, "clock=118000"));
    // A clock that is gone left a moment that never comes.
    OK("presence", "clock=118000", "", "key=k role=source name=web silent-ms=-900000");
    OK("presence", "clock=119000", "", "key=k role=source name=web silent-ms=0");
    assert_false(s_is_present(farm, "clock=140000"));
}

// P6 P25: an agent greets, its target is armed, and it greets with another life, all
// within one millisecond: the last one began after the GO.
static void
test_marks_rise_within_a_millisecond(void **state)
{
    state_farm_t *farm = *state;
    static const char at[] = "clock=9999999999990";
    state_farm_begin_prepare(farm);
    OK("scan", at, "", "");
    OK("job_step", at, "job=" DEPLOY " rev=3 task=" PREPARE " attempt=1 worker=a1 code=0",
       "op=arm target=t1 task=" PREPARE " plan=p nonce=n1 key=" FIRSTKEY);
    OK("peer_hello", "clock=9999999999990 by=a1 role=target name=t1", "nonce=n2", "");
    OK("job_cancel", at, "job=" DEPLOY, "");
    OK("deploy_start", "clock=9999999999990 job=" UID2 " job-name=j-eeeeeeee",
       "image=img take-over=yes", "target=t1");
    OK("verdict_put", at, "job=" UID2 " engine=lab", "target=t1 fits=yes");
    OK("job_step", at, "job=" UID2 " rev=1", LOCK);
    assert_string_equal(state_farm_target(farm, UID2, 0, "error"), "");
    assert_string_equal(state_farm_item(farm, 0, "state"), "locked");
}

#define CLOCK_CASE(f) cmocka_unit_test_setup_teardown(f, s_setup, state_farm_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLOCK_CASE(test_a_lease_outlives_a_jump_forward),
        CLOCK_CASE(test_a_lease_ends_in_time_after_a_jump_back),
        CLOCK_CASE(test_a_token_lives_its_time_whatever_the_hour),
        CLOCK_CASE(test_brokers_share_one_clock),
        CLOCK_CASE(test_an_older_word_of_a_peer_changes_nothing),
        CLOCK_CASE(test_marks_rise_within_a_millisecond),
        CLOCK_CASE(test_gc_counts_the_longer_of_two_times),
    };
    close(mkstemp(s_shift));
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(s_shift);
    return failed;
}
