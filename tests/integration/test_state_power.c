// Power of machines: who may be switched off, and by which request.
#include <string.h>
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "integration/state_farm.h"

#define NEW "by=a role=operator name=ann job=" UID2 " job-name=j-bbbbbbbb"
#define NEXT "by=a role=operator name=ann job=" UID3 " job-name=j-cccccccc"
#define OFFER(worker, engine)                                                            \
    OK("peer_hello", "by=" worker " role=installer name=" engine " place=" engine,       \
       "nonce=n services=power@" engine "=4", "")

// Engine lab with its installer, targets t1 to t4 that can be switched, and t5 that
// cannot.
static void
s_begin(state_farm_t *farm)
{
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_import", "", "class=target",
       "name=t1 engine=lab power=exec|name=t2 engine=lab power=exec|"
       "name=t3 engine=lab power=exec|name=t4 engine=rome power=exec|name=t5 engine=lab");
    OFFER("k1", "lab");
}

// The task has the machines, and the audit an entry for each.
static void
test_a_request_becomes_one_task_of_the_engine(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    OK("target_power", NEW, "action=status", "target=t1|target=t2|target=t1");
    assert_int_equal(state_farm_count(farm), 0);
    OK("job_view", "", "job=" UID2, "");
    assert_string_equal(state_farm_body(farm, "kind"), "power");
    assert_string_equal(state_farm_body(farm, "at"), "lab");
    assert_string_equal(state_farm_body(farm, "machines"), "t1 t2");
    OK("job_list", "", "", ""); // A thousand names would fill the answer
    assert_string_equal(state_farm_item(farm, 0, "machines"), "");
    OK("job_logs", "", "job=" UID2 " target=t2", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "what"), "target.power");
    assert_string_equal(state_farm_item(farm, 0, "text"), "status");
    assert_string_equal(state_farm_item(farm, 0, "by-name"), "ann");
}

// [4.57]: what ends what runs there is counted; to look and to switch on is not.
static void
test_a_request_that_switches_off_needs_the_number(void **state)
{
    static const char *const words[] = {"off", "cycle", "netboot"};
    state_farm_t *farm = *state;
    s_begin(farm);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char body[64];
        snprintf(body, sizeof body, "action=%s", words[i]);
        REFUSED(RMT_E_USAGE, "target_power", NEW, body, "target=t1");
        snprintf(body, sizeof body, "action=%s count=1", words[i]);
        REFUSED(RMT_E_USAGE, "target_power", NEW, body, "target=t1|target=t2");
    }
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", "job=" UID2, "");
    OK("target_power", NEW, "action=off count=2", "target=t1|target=t2");
    OK("target_power", NEXT, "action=on", "target=t1|target=t2");
    REFUSED(RMT_E_USAGE, "target_power", NEXT, "action=reboot count=1", "target=t1");
}

// [4.56]: the others are switched; when none is left there is no job.
static void
test_protected_and_locked_machines_are_left_out(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    OK("target_protect", "by=a", "name=t1 reason=dns", "");
    free(redis_server_eval(&farm->redis, "return redis.call('HSET', 'ramet:lock:t2', "
                                         "'job', 'j-x', 'target', 't2')"));
    REFUSED(RMT_E_REFUSED, "target_power", NEW, "action=off count=1", "target=t1");
    REFUSED(RMT_E_LOCKED, "target_power", NEW, "action=cycle count=1", "target=t2");
    REFUSED(RMT_E_REFUSED, "target_power", NEW, "action=on", "target=t5");
    REFUSED(RMT_E_NOT_FOUND, "target_power", NEW, "action=on", "target=t9");
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", "job=" UID2, "");
    OK("target_power", NEW, "action=off count=4",
       "target=t1|target=t2|target=t3|target=t5");
    assert_int_equal(state_farm_count(farm), 3);
    assert_string_equal(state_farm_item(farm, 0, "target"), "t1");
    assert_non_null(strstr(state_farm_item(farm, 0, "text"), "protected: dns"));
    assert_non_null(strstr(state_farm_item(farm, 1, "text"), "locked by job j-x"));
    OK("job_view", "", "job=" UID2, "");
    assert_string_equal(state_farm_body(farm, "machines"), "t3");
    OK("target_power", NEXT, "action=cycle count=1 force=yes", "target=t2");
    OK("target_power", "by=a job=" UID4 " job-name=j-d", "action=on",
       "target=t1|target=t2");
    assert_int_equal(state_farm_count(farm), 0);
}

// A request that waits would be carried out when nobody expects it.
static void
test_a_request_is_for_an_engine_that_is_there(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    REFUSED(RMT_E_UNAVAILABLE, "target_power", NEW, "action=on", "target=t4");
    REFUSED(RMT_E_USAGE, "target_power", NEW, "action=on", "target=t1|target=t4");
    REFUSED(RMT_E_USAGE, "target_power", NEW, "action=on", "");
    OK("record_add", "", "class=engine name=rome", "");
    OFFER("k2", "rome");
    OK("target_power", NEW, "action=on", "target=t4");
}

static void
s_end_wait(state_farm_t *farm)
{
    free(redis_server_eval(
        &farm->redis, "return redis.call('ZADD', 'ramet:boots', 'XX', 0, '" UID2 "/')"));
    OK("boot_reap", "", "", "");
}

static void
s_begin_off(state_farm_t *farm)
{
    s_begin(farm);
    OK("target_power", NEW, "action=off count=1", "target=t1");
    OK("job_step", "", "job=" UID2 " rev=1",
       "op=job event=begin set.stage=power|op=task task=" PREPARE
       " service=power@lab stage=power subject=lab");
}

// [4.77]: what no installer has begun in time is not done later; what has begun has its
// own time.
static void
test_a_request_that_waits_too_long_is_not_done(void **state)
{
    state_farm_t *farm = *state;
    s_begin_off(farm);
    s_end_wait(farm);
    OK("job_show", "", "job=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "failed");
    assert_non_null(strstr(state_farm_body(farm, "error"), "within 10 min"));
    OK("task_take", "by=k1", "service=power@lab n=1", "");
    assert_int_equal(state_farm_count(farm), 0);
}

static void
test_a_request_that_has_begun_has_its_own_time(void **state)
{
    state_farm_t *farm = *state;
    s_begin_off(farm);
    OK("task_take", "by=k1", "service=power@lab n=1", "");
    assert_int_equal(state_farm_count(farm), 1);
    s_end_wait(farm);
    OK("job_show", "", "job=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "running");
}

// The installer pages through records without what fills them.
static void
test_records_are_paged_without_hardware(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    OK("record_set", "", "class=target name=t1 hardware=much", "");
    OK("target_page", "", "engine=lab", "");
    assert_string_equal(state_farm_item(farm, 0, "hardware"), "much");
    OK("target_page", "", "engine=lab brief=yes", "");
    assert_int_equal(state_farm_count(farm), 4);
    assert_string_equal(state_farm_item(farm, 0, "hardware"), "");
    assert_string_equal(state_farm_item(farm, 0, "power"), "exec");
}

// ---- A deployment that switches

#define ORDER "0000000000000000000000000000000c"
#define WAKE "0000000000000000000000000000000d"

// The job DEPLOY over t1, which is present, and t2, whose machine is off; t2 has its
// order.
static void
s_begin_asleep(state_farm_t *farm)
{
    state_farm_begin_deploy(farm, "partial=yes wake=yes");
    OK("record_set", "", "class=target name=t2 power=exec", "");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=target target=t2 event=begin|"
       "op=task task=" ORDER " service=order@lab stage=order subject=t2");
    OFFER("k1", "lab");
}

static void
s_wake(state_farm_t *farm)
{
    OK("task_take", "by=k1", "service=order@lab n=1", "");
    OK("job_step", "", "job=" DEPLOY " rev=3 task=" ORDER " attempt=1 worker=k1 code=0",
       "op=target target=t2 phase=power|"
       "op=task task=" WAKE " service=wake@lab stage=wake subject=t2 b.order=o");
}

// [4.73] [6.34]: the machine that is off is switched, the other is not; its agent has its
// time, and then the target alone fails and its lock is free.
static void
test_a_machine_that_is_off_is_awaited_for_a_time(void **state)
{
    state_farm_t *farm = *state;
    s_begin_asleep(farm);
    OK("job_view", "", "job=" DEPLOY " task=" ORDER, "");
    const rmt_record_t *target = rmt_records_find(farm->reply->items, "what", "target");
    assert_true(rmt_record_flag(target, "asleep"));
    s_wake(farm);
    OK("task_take", "by=k1", "service=wake@lab n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "b.present"), "no");
    assert_string_equal(state_farm_item(farm, 0, "r.power"), "exec");
    assert_string_equal(state_farm_item(farm, 0, "r.protected"), "");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WAKE " attempt=1 worker=k1 code=0",
       "op=await target=t2 timeout-s=0|op=task task=" PREPARE
       " service=prepare@target/t2 stage=prepare subject=t2 from=" WAKE);
    assert_string_equal(state_farm_target(farm, DEPLOY, 1, "phase"), "awaiting-agent");
    OK("task_stuck", "", "stuck-s=0", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 1, "stuck"), "");
    assert_non_null(strstr(state_farm_item(farm, 1, "text"), "machine was switched on"));
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "", "boots"), STATE_WAIT_MS);
    OK("boot_reap", "", "", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 1, "state"), "failed");
    assert_non_null(
        strstr(state_farm_item(farm, 1, "error"), "ramet target power t2 status"));
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t2", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "locked");
}

// An agent that has come is awaited no longer, and one that is there is not switched off.
static void
test_a_machine_whose_agent_has_come_is_left_alone(void **state)
{
    state_farm_t *farm = *state;
    s_begin_asleep(farm);
    s_wake(farm);
    OK("peer_hello", "by=a2 role=target name=t2", "nonce=n2", "");
    OK("job_view", "", "job=" DEPLOY " task=" ORDER, "");
    const rmt_record_t *target = rmt_records_find(farm->reply->items, "what", "target");
    assert_false(rmt_record_has(target, "asleep"));
    OK("task_take", "by=k1", "service=wake@lab n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "b.present"), "yes");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WAKE " attempt=1 worker=k1 code=0",
       "op=await target=t2 timeout-s=0|op=task task=" PREPARE
       " service=prepare@target/t2 stage=prepare subject=t2 from=" WAKE);
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "", "boots"), STATE_WAIT_MS);
    OK("task_take", "by=a2", "service=prepare@target/t2 n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "b.order"), "o");
    assert_false(state_farm_is_due(farm, "", "boots"));
}

static void
test_an_absent_machine_needs_a_way_to_be_switched(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes wake=yes");
    OK("deploy_start", "by=a job=" UID2 " job-name=j-eeeeeeee",
       "image=img wake=yes dry-run=yes", "target=t1|target=t2");
    assert_string_equal(state_farm_body(farm, "switched-count"), "0");
    assert_string_equal(state_farm_body(farm, "not-switched"), "t2");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    assert_non_null(strstr(state_farm_target(farm, DEPLOY, 1, "error"),
                           "ramet target set t2 power=WAY"));
    OK("record_set", "", "class=target name=t2 power=wol mac=52:54:00:00:00:02", "");
    OK("deploy_start", "by=a job=" UID2 " job-name=j-eeeeeeee",
       "image=img wake=yes dry-run=yes", "target=t1|target=t2");
    assert_string_equal(state_farm_body(farm, "switched"), "t2");
    assert_string_equal(state_farm_body(farm, "not-switched"), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_request_becomes_one_task_of_the_engine),
        CASE(test_a_request_that_switches_off_needs_the_number),
        CASE(test_protected_and_locked_machines_are_left_out),
        CASE(test_a_request_is_for_an_engine_that_is_there),
        CASE(test_a_request_that_waits_too_long_is_not_done),
        CASE(test_a_request_that_has_begun_has_its_own_time),
        CASE(test_records_are_paged_without_hardware),
        CASE(test_a_machine_that_is_off_is_awaited_for_a_time),
        CASE(test_a_machine_whose_agent_has_come_is_left_alone),
        CASE(test_an_absent_machine_needs_a_way_to_be_switched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
