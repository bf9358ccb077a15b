// What a job waits for is told: of the job, and in the row of each target (P4, M27).
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define TASK "0000000000000000000000000000000a"
#define COUNT 450

static const char *
s_row(state_farm_t *farm, size_t index, const char *name)
{
    OK("job_show", "", "job=" DEPLOY, "");
    return state_farm_item(farm, index, name);
}

// t1 and t2 are locked, and t1 has begun: its task waits for its agent.
static void
s_begin(state_farm_t *farm, const char *service)
{
    state_farm_begin_deploy(farm, "when-booted=yes");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=job event=begin set.stage=x|op=lock");
    rmt_auto_str ops = rmt_text("op=target target=t1 event=begin|op=task task=" TASK
                                " service=%s stage=prepare subject=t1",
                                service);
    OK("job_step", "", "job=" DEPLOY " rev=2", ops);
}

// P4 M27: the row of the target that waits, until a worker has its task; the others say
// nothing.
static void
test_each_row_tells_what_it_waits_for(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm, "prepare@target/t1");
    OK("task_stuck", "", "stuck-s=0", "");
    const char *text =
        "waiting for target t1, which is absent: no worker offers "
        "prepare@target/t1; start the machine and its agent, and see: ramet "
        "target show t1";
    assert_string_equal(s_row(farm, 0, "stuck"), text);
    assert_string_equal(state_farm_item(farm, 0, "stuck-s"), "0");
    assert_string_equal(state_farm_item(farm, 1, "stuck"), "");
    assert_string_equal(state_farm_body(farm, "stuck"), text);
    OK("job_list", "", "", "");
    assert_string_equal(state_farm_item(farm, 0, "stuck"), text);
    OK("record_list", "", "class=target", "");
    assert_string_equal(state_farm_item(farm, 0, "reason"), text);
    OK("job_logs", "", "job=" DEPLOY " target=t1", "");
    const size_t last = state_farm_count(farm) - 1;
    assert_string_equal(state_farm_item(farm, last, "what"), "task.stuck");
    assert_string_equal(state_farm_item(farm, last, "stuck"), text);
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
    assert_string_equal(s_row(farm, 0, "stuck"), "");
    assert_string_equal(state_farm_body(farm, "stuck"), "");
}

// P4 M27: silence is told in the row, and its end as well.
static void
test_a_silent_target_says_so_until_it_is_heard(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm, "prepare@target/t1");
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1 lease-ms=0", "");
    OK("task_reap", "", "silent-s=600", "");
    assert_string_equal(s_row(farm, 0, "stuck"),
                        "target/t1 is silent; look at the machine and its network, and "
                        "see: ramet target show t1");
    assert_string_equal(state_farm_item(farm, 1, "stuck"), "");
    OK("events_snapshot", "", "topic=job/", "");
    assert_non_null(strstr(state_farm_item(farm, 1, "stuck"), "target/t1 is silent"));
    OK("task_beat", "by=a1", "", "task=" TASK " attempt=1");
    assert_int_equal(state_farm_count(farm), 0);
    assert_string_equal(s_row(farm, 0, "stuck"), "");
    OK("job_logs", "", "job=" DEPLOY " target=t1", "");
    const size_t last = state_farm_count(farm) - 1;
    assert_string_equal(state_farm_item(farm, last, "what"), "task.heard");
    assert_string_equal(state_farm_item(farm, last, "stuck"), "");
}

// P4: a task of an engine holds up its targets.
static void
test_a_row_waits_for_its_engine(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    OK("job_step", "", "job=" DEPLOY " rev=1",
       "op=job event=begin set.stage=build|op=task task=" TASK
       " service=build@lab stage=build subject=lab|op=task task=" UID4
       " service=build@rome stage=build subject=rome");
    OK("task_stuck", "", "stuck-s=0", "");
    const char *text = "no worker offers build@lab; start an installer of lab: "
                       "systemctl start ramet-installer";
    assert_string_equal(s_row(farm, 0, "stuck"), text);
    assert_string_equal(state_farm_item(farm, 1, "stuck"), text);
    assert_non_null(strstr(state_farm_body(farm, "stuck"), "(and 1 more)"));
    OK("job_cancel", "", "job=" DEPLOY, "");
    assert_string_equal(s_row(farm, 0, "stuck"), "");
    assert_string_equal(state_farm_body(farm, "stuck"), "");
}

// P4: also the last of many tasks is found, though each look takes some of them.
static void
test_no_task_of_many_is_overlooked(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("image_create", "by=a job=" UID2 " job-name=j-bbbbbbbb", "source=web name=two",
       "");
    rmt_auto_str ops = strdup("op=job event=begin");
    for (int i = 0; i < COUNT; i++) {
        rmt_auto_str before = ops;
        ops = rmt_text("%s|op=task task=%032x service=commit@p%d stage=s%d subject=x",
                       before, 4096 + i, i, i);
    }
    OK("job_step", "", "job=" UID2 " rev=1", ops);
    for (int i = 0; i < 3; i++)
        OK("task_stuck", "", "stuck-s=0", "");
    rmt_auto_str more = rmt_text("(and %d more)", COUNT - 1);
    OK("job_show", "", "job=" UID2, "");
    assert_non_null(strstr(state_farm_body(farm, "stuck"), more));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_row_tells_what_it_waits_for),
        CASE(test_a_silent_target_says_so_until_it_is_heard),
        CASE(test_a_row_waits_for_its_engine),
        CASE(test_no_task_of_many_is_overlooked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
