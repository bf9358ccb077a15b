// Steps of a job and their operations: docs/spec/6-states.md, 5.
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define TASK1 "0000000000000000000000000000000a"
#define TASK2 "0000000000000000000000000000000b"
#define BEGIN "op=job event=begin"
#define LOCKED BEGIN "|op=lock|op=drive"
#define JOB "job=" DEPLOY
#define ARM                                                                              \
    "op=arm target=t1 task=" TASK1 " plan=p nonce=n key=k1|op=task task=" TASK2          \
    " service=write@target/t1 stage=write subject=t1 from=" TASK1

static const char *
s_job(state_farm_t *farm, const char *field)
{
    OK("job_show", "", JOB, "");
    return state_farm_body(farm, field);
}

static const char *
s_target(state_farm_t *farm, size_t index, const char *field)
{
    OK("job_show", "", JOB, "");
    return state_farm_item(farm, index, field);
}

// One step over the job as it is now.
static rmt_code_t
s_step(state_farm_t *farm, const char *result, const char *ops)
{
    rmt_auto_str body = rmt_text(JOB " rev=%s %s", s_job(farm, "rev"), result);
    return state_farm_call(farm, "job_step", "", body, ops);
}

#define STEP(result, ops)                                                                \
    do {                                                                                 \
        if (s_step(farm, result, ops) != RMT_E_OK)                                       \
            fail_msg("%s: %s", ops, farm->reply->text);                                  \
    } while (0)

// The job runs; t1 and t2 are locked, t1 has begun and its agent a1 prepares it.
static void
s_begin(state_farm_t *farm)
{
    state_farm_begin_deploy(farm, "partial=yes when-booted=yes");
    OK("verdict_put", "", JOB " engine=lab", "target=t2 fits=yes");
    STEP("", LOCKED);
    STEP("",
         "op=job set.stage=install|op=target target=t1 event=begin|op=task task=" TASK1
         " service=prepare@target/t1 stage=prepare subject=t1 b.order=o");
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n n=1", "");
    assert_int_equal(state_farm_count(farm), 1);
}

static void
s_arm(state_farm_t *farm)
{
    s_begin(farm);
    STEP("task=" TASK1 " attempt=1 worker=a1 code=0", ARM);
}

// [6.5] [6.6]
static void
test_an_old_view_and_a_repeated_result_change_nothing(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    OK("job_step", "", JOB " rev=1 task=" TASK1 " attempt=1 worker=a1 code=0", ARM);
    assert_string_equal(state_farm_body(farm, "again"), "yes");
    OK("task_show", "", "task=" TASK1, "");
    assert_string_equal(state_farm_body(farm, "state"), "leased");
    assert_int_equal(s_step(farm, "task=" TASK1 " attempt=1 worker=a9 code=0", ARM),
                     RMT_E_FENCED);
    assert_int_equal(s_step(farm, "task=" TASK1 " attempt=2 worker=a1 code=0", ARM),
                     RMT_E_FENCED);
    STEP("task=" TASK1 " attempt=1 worker=a1 code=0", ARM);
    assert_string_equal(state_farm_body(farm, "recorded"), "now");
    STEP("task=" TASK1 " attempt=1 worker=a1 code=8", "op=failed target=t1 code=8");
    assert_string_equal(state_farm_body(farm, "recorded"), "before");
    assert_string_equal(s_target(farm, 0, "state"), "running");
}

// [6.24] P4: the mark is for what no result tells, such as the end of a canary.
static void
test_a_result_leaves_the_mark_that_the_job_is_to_be_looked_at(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    STEP("", "op=drive");
    STEP("task=" TASK1 " attempt=1 worker=a1 code=0", ARM);
    assert_string_equal(state_farm_body(farm, "driven"), "true");
    OK("drive_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    STEP("", "");
    OK("drive_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
}

// [6.7]
static void
test_a_step_that_cannot_be_carried_out_whole_is_refused_whole(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    rmt_auto_str rev = strdup(s_job(farm, "rev"));
    static const struct {
        const char *ops, *told;
        rmt_code_t code;
    } rows[] = {
        {"op=failed target=t1 code=8|op=nonsense", "nonsense", RMT_E_USAGE},
        {"op=failed target=t1 code=8|op=boot target=t1", "timeout-s", RMT_E_USAGE},
        {"op=job set.state=done", "state", RMT_E_USAGE},
        {"op=job set.rev=7", "rev", RMT_E_USAGE},
        {"op=failed target=t1 code=8|op=job count.fits=18446744073709551615", "fits",
         RMT_E_USAGE},
        {"op=failed target=t1 code=8|op=job count.fits=two", "two", RMT_E_USAGE},
        {"op=target target=t1 event=confirm", "begin", RMT_E_USAGE},
        {"op=failed target=t1 code=8|op=job event=submit", "submit", RMT_E_REFUSED},
        {"op=failed target=t1 code=8|op=job event=win", "win", RMT_E_REFUSED},
        {"op=image set.name=other set.id=" IMAGE, "other", RMT_E_REFUSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(
            s_step(farm, "task=" TASK1 " attempt=1 worker=a1 code=0", rows[i].ops),
            rows[i].code);
        assert_non_null(strstr(farm->reply->text, rows[i].told));
        assert_string_equal(s_job(farm, "rev"), rev);
        assert_string_equal(s_target(farm, 0, "state"), "running");
        OK("task_show", "", "task=" TASK1, "");
        assert_string_equal(state_farm_body(farm, "state"), "leased");
    }
}

#define GIVE_UP(result)                                                                  \
    OK("job_give_up", "", JOB " " result " code=1 text=no_such_word", "")

// [6.26] P1
static void
test_a_result_that_is_given_up_fails_its_target_alone(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    REFUSED(RMT_E_FENCED, "job_give_up", "", JOB " task=" TASK1 " attempt=2 worker=a1",
            "");
    GIVE_UP("task=" TASK1 " attempt=1 worker=a1");
    OK("task_show", "", "task=" TASK1, "");
    assert_string_equal(state_farm_body(farm, "state"), "failed");
    assert_string_equal(s_target(farm, 0, "state"), "failed");
    assert_non_null(
        strstr(s_target(farm, 0, "error"),
               "what prepare@target/t1 gave cannot be recorded: no such word"));
    assert_string_equal(s_target(farm, 1, "state"), "locked");
    GIVE_UP("task=" TASK1 " attempt=1 worker=a1"); // It came once more
    assert_string_equal(s_target(farm, 1, "state"), "locked");
}

static void
s_give_up(state_farm_t *farm, const char *rev, const char *result)
{
    rmt_auto_str body = rmt_text(JOB " rev=%s code=1 text=why %s", rev, result);
    OK("job_give_up", "", body, "");
}

// [6.5] [6.26] P1: another broker moved the job on within the same round trip, and what
// was refused over the old view may be carried out over a new one.
static void
test_a_job_that_has_moved_on_is_not_given_up(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    rmt_auto_str rev = strdup(s_job(farm, "rev"));
    STEP("", "op=drive");
    s_give_up(farm, rev, "");
    assert_string_equal(state_farm_body(farm, "again"), "yes");
    s_give_up(farm, rev, "task=" TASK1 " attempt=1 worker=a1");
    assert_string_equal(state_farm_body(farm, "again"), "yes");
    assert_string_equal(s_target(farm, 0, "state"), "running");
    assert_string_equal(s_target(farm, 1, "state"), "locked");
    OK("task_show", "", "task=" TASK1, "");
    assert_string_equal(state_farm_body(farm, "state"), "leased");
    rmt_auto_str now = strdup(s_job(farm, "rev"));
    s_give_up(farm, now, "");
    assert_string_equal(s_target(farm, 1, "state"), "failed");
}

// [6.26] P6: what may be writing is not stopped by it.
static void
test_a_job_that_is_given_up_leaves_what_is_armed(void **state)
{
    state_farm_t *farm = *state;
    s_arm(farm);
    STEP("", "op=drive");
    GIVE_UP("");
    OK("drive_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 1); // For t2 has ended
    assert_string_equal(s_target(farm, 0, "state"), "running");
    assert_string_equal(s_target(farm, 1, "state"), "failed");
    assert_non_null(strstr(s_target(farm, 1, "error"), "the next step of this job"));
}

// [6.26]: Redis undoes nothing, so the same call says what became of it.
static void
test_a_step_that_breaks_off_ends_with_its_reason(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    STEP("", "op=job set.waiting=many");
    STEP("task=" TASK1 " attempt=1 worker=a1 code=0", "op=job count.waiting=-1|op=drive");
    assert_string_equal(s_target(farm, 0, "state"), "failed");
    assert_non_null(strstr(s_target(farm, 0, "error"), "not an integer"));
    assert_string_equal(s_target(farm, 1, "state"), "locked");
}

// [6.8] [6.11]
static void
test_the_job_operation_sets_counts_and_moves_and_nothing_follows_the_end(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    STEP("", "op=job set.note=x count.n=2|op=job count.n=-1");
    assert_string_equal(s_job(farm, "note"), "x");
    assert_string_equal(s_job(farm, "n"), "1");
    assert_string_equal(s_job(farm, "state"), "running");
    STEP("", "op=job event=fail code=8 text=why|op=job set.note=late");
    assert_string_equal(s_job(farm, "state"), "failed");
    assert_string_equal(s_job(farm, "error"), "why");
    assert_string_equal(s_job(farm, "note"), "x");
}

// [6.9] [6.10]
static void
test_a_task_is_put_once_and_for_an_open_target_alone(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    static const char put[] =
        "op=task task=" TASK2 " service=order@lab stage=order subject=t2 from=" TASK1
        " b.image=i";
    STEP("", put);
    STEP("", put);
    OK("task_take", "by=i1 place=lab", "service=order@lab nonce=n n=4", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "b.order"), "o");
    assert_string_equal(state_farm_item(farm, 0, "b.image"), "i");
    STEP("",
         "op=failed target=t2 code=8 text=why|op=task task=" UID4
         " service=order@lab stage=order subject=t2|op=target target=t2 phase=ordered|"
         "op=boot target=t2 timeout-s=1");
    assert_string_equal(s_target(farm, 1, "state"), "failed");
    assert_string_equal(s_target(farm, 1, "phase"), "failed");
    REFUSED(RMT_E_NOT_FOUND, "task_show", "", "task=" UID4, "");
}

// [6.12] [6.13]
static void
test_a_target_begins_once_and_fails_armed_or_not(void **state)
{
    state_farm_t *farm = *state;
    s_arm(farm);
    STEP("", "op=target target=t1 event=begin phase=prepared warning=twin|"
             "op=target target=t2 event=begin phase=ordered");
    assert_string_equal(s_target(farm, 0, "phase"), "armed"); // It has begun already
    assert_string_equal(s_target(farm, 1, "state"), "running");
    assert_string_equal(s_job(farm, "t-running"), "2");
    STEP("",
         "op=failed target=t1 code=12 text=disk|op=failed target=t2 code=12 text=disk");
    assert_string_equal(s_target(farm, 0, "error"), "disk");
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_body(farm, "armed"), "yes");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t2", "");
}

// [6.14]
static void
test_a_stop_spares_what_is_armed_and_other_engines(void **state)
{
    state_farm_t *farm = *state;
    s_arm(farm);
    STEP("", "op=stop engine=paris code=15 text=no");
    assert_string_equal(s_target(farm, 1, "state"), "locked");
    STEP("", "op=stop code=15 text=no");
    assert_string_equal(s_target(farm, 1, "state"), "failed");
    assert_string_equal(s_target(farm, 0, "state"), "running");
}

// [6.15] [6.16] [6.20]
static void
test_locked_targets_can_begin_when_their_engine_has_built(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    assert_string_equal(s_job(farm, "engines-locked"), "lab");
    STEP("", "op=built engine=paris");
    OK("job_view", "", JOB, "");
    assert_int_equal(state_farm_count(farm), 1); // The image alone
    STEP("", "op=built engine=lab");
    assert_string_equal(state_farm_body(farm, "driven"), "false");
    OK("job_view", "", JOB, "");
    assert_int_equal(state_farm_count(farm), 2);
    assert_string_equal(state_farm_item(farm, 1, "name"), "t2"); // t1 has begun
    STEP("", "op=drive");
    assert_string_equal(state_farm_body(farm, "driven"), "true");
}

// [6.17]
static void
test_the_key_of_a_first_boot_is_no_key_of_somebody_else(void **state)
{
    state_farm_t *farm = *state;
    s_begin(farm);
    OK("key_token", "hash=h", "role=viewer name=bob approve=yes", "");
    OK("enrol", "hash=h", "key=k1 role=viewer name=bob", "");
    STEP("task=" TASK1 " attempt=1 worker=a1 code=0", ARM);
    assert_string_equal(s_target(farm, 0, "state"), "failed");
    OK("key_get", "", "key=k1", "");
    assert_string_equal(state_farm_body(farm, "role"), "viewer");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
}

// [6.18]
static void
test_a_first_boot_is_awaited_for_its_time(void **state)
{
    state_farm_t *farm = *state;
    s_arm(farm);
    STEP("", "op=boot target=t1 timeout-s=900");
    OK("boot_reap", "", "", "");
    assert_string_equal(s_target(farm, 0, "phase"), "awaiting-first-boot");
    STEP("", "op=boot target=t1 timeout-s=0");
    OK("boot_reap", "", "", "");
    assert_string_equal(s_target(farm, 0, "state"), "failed");
    // Late is better than never.
    OK("target_confirm", "by=k1 role=firstboot name=t1 epoch=1", "image=" IMAGE, "");
    assert_string_equal(s_target(farm, 0, "state"), "done");
}

// [6.19]
static void
test_an_image_is_that_of_its_job(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("image_create", "job=" UID2 " job-name=j-b", "source=web name=two", "");
    REFUSED(RMT_E_EXISTS, "image_create", "job=" UID3 " job-name=j-c",
            "source=web name=two", "");
    REFUSED(RMT_E_REFUSED, "job_step", "", "job=" UID2 " rev=1",
            BEGIN "|op=image set.name=img set.id=" IMAGE);
    OK("job_step", "", "job=" UID2 " rev=1", BEGIN "|op=job event=fail code=8");
    OK("image_create", "job=" UID3 " job-name=j-c", "source=web name=two", "");
    OK("job_step", "", "job=" UID3 " rev=1",
       BEGIN "|op=image set.name=two set.id=" IMAGE "|op=job event=finish");
    OK("image_show", "", "name=two", "");
}

// [6.21]
static void
test_the_job_ends_with_its_last_target(void **state)
{
    state_farm_t *farm = *state;
    s_arm(farm);
    STEP("", "op=failed target=t2 code=8 text=why");
    assert_string_equal(state_farm_body(farm, "driven"), "true"); // One more has ended
    assert_string_equal(s_job(farm, "state"), "running");
    OK("target_confirm", "by=k1 role=firstboot name=t1 epoch=1", "image=" IMAGE, "");
    assert_string_equal(s_job(farm, "state"), "partial");
    assert_string_equal(s_job(farm, "t-done"), "1");
    assert_string_equal(s_job(farm, "t-failed"), "1");
    assert_string_equal(s_job(farm, "t-running"), "0");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_an_old_view_and_a_repeated_result_change_nothing),
        CASE(test_a_result_leaves_the_mark_that_the_job_is_to_be_looked_at),
        CASE(test_a_step_that_cannot_be_carried_out_whole_is_refused_whole),
        CASE(test_a_result_that_is_given_up_fails_its_target_alone),
        CASE(test_a_job_that_has_moved_on_is_not_given_up),
        CASE(test_a_job_that_is_given_up_leaves_what_is_armed),
        CASE(test_a_step_that_breaks_off_ends_with_its_reason),
        CASE(test_the_job_operation_sets_counts_and_moves_and_nothing_follows_the_end),
        CASE(test_a_task_is_put_once_and_for_an_open_target_alone),
        CASE(test_a_target_begins_once_and_fails_armed_or_not),
        CASE(test_a_stop_spares_what_is_armed_and_other_engines),
        CASE(test_locked_targets_can_begin_when_their_engine_has_built),
        CASE(test_the_key_of_a_first_boot_is_no_key_of_somebody_else),
        CASE(test_a_first_boot_is_awaited_for_its_time),
        CASE(test_an_image_is_that_of_its_job),
        CASE(test_the_job_ends_with_its_last_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
