// What follows a failure: cancel, take-over and retry.
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

// M14 P6 [6.13]: the machine has started anew since.
static void
test_a_lock_is_taken_over_only_from_a_dead_writer(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    const char *again = "job=" UID2 " job-name=j-eeeeeeee";
    OK("deploy_start", again, "image=img take-over=yes", "target=t1");
    OK("verdict_put", "", "job=" UID2 " engine=lab", "target=t1 fits=yes");
    OK("job_step", "", "job=" UID2 " rev=1", LOCK);
    assert_string_equal(state_farm_target(farm, UID2, 0, "code"),
                        "5"); // Its job has not ended
    OK("job_step", "", "job=" DEPLOY " rev=4", "op=failed target=t1 code=12 text=io");
    OK("lock_show", "", "target=t1", "");
    OK("job_retry", "job=" UID3 " job-name=j-ffffffff", "job=" UID2, "");
    OK("verdict_put", "", "job=j-ffffffff engine=lab", "target=t1 fits=yes");
    OK("job_step", "", "job=" UID3 " rev=1", LOCK);
    OK("job_show", "", "job=j-ffffffff", "");
    assert_string_equal(state_farm_item(farm, 0, "code"),
                        "5"); // The agent is the one of the write
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n2", "");
    OK("job_retry", "job=" UID4 " job-name=j-gggggggg", "job=j-ffffffff", "");
    OK("verdict_put", "", "job=j-gggggggg engine=lab", "target=t1 fits=yes");
    OK("job_step", "", "job=" UID4 " rev=1", LOCK);
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_body(farm, "epoch"), "2");
    assert_string_equal(state_farm_body(farm, "armed"), "no");
    REFUSED(RMT_E_FENCED, "target_confirm", "by=" FIRSTKEY " name=t1 epoch=1",
            "image=" IMAGE, "");
}

// M27: what another job has locked or installed since is left alone, and named.
static void
test_a_retry_leaves_out_what_others_installed_since(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_prepare(farm);
    OK("job_step", "",
       "job=" DEPLOY " rev=3 task=" PREPARE " attempt=1 worker=a1 code=16",
       "op=failed target=t1 code=16 text=disk_is_gone");
    OK("deploy_start", "job=" UID2 " job-name=j-eeeeeeee", "image=img", "target=t1");
    OK("verdict_put", "", "job=" UID2 " engine=lab", "target=t1 fits=yes");
    OK("job_step", "", "job=" UID2 " rev=1", LOCK);
    OK("job_retry", "job=" UID3 " job-name=j-ffffffff", "job=" DEPLOY, "");
    assert_string_equal(state_farm_body(farm, "left-out"),
                        "t1 (locked by job j-eeeeeeee)");
    OK("job_show", "", "job=" UID3, "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "name"), "t2");
    OK("job_step", "", "job=" UID2 " rev=2",
       "op=job set.stage=install|op=target target=t1 event=begin|"
       "op=task task=" WRITE " service=prepare@target/t1 stage=prepare subject=t1");
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
    OK("job_step", "", "job=" UID2 " rev=3 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=arm target=t1 task=" WRITE " plan=p nonce=n1 key=" FIRSTKEY);
    OK("target_confirm", "by=" FIRSTKEY " name=t1 epoch=2", "image=" IMAGE, "");
    OK("job_retry", "", "job=" DEPLOY " dry-run=yes", "");
    assert_string_equal(state_farm_body(farm, "left-out"),
                        "t1 (installed since by another job)");
    assert_string_equal(state_farm_body(farm, "targets"), "1");
}

// M27 P8: the other job had locked the target when this one was made, and has installed
// it.
static void
test_a_retry_leaves_out_what_a_job_before_it_has_installed(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("deploy_start", "job=" UID2 " job-name=j-eeeeeeee", "image=img", "target=t1");
    OK("job_step", "", "job=" UID2 " rev=1", LOCK);
    assert_string_equal(state_farm_target(farm, UID2, 0, "code"), "5");
    REFUSED(RMT_E_REFUSED, "job_retry", "", "job=" UID2 " dry-run=yes", "");
    assert_non_null(strstr(farm->reply->text, "left out: t1 (locked by job j-dddddddd)"));
    OK("target_confirm", "by=" FIRSTKEY " name=t1 epoch=1", "image=" IMAGE, "");
    REFUSED(RMT_E_REFUSED, "job_retry", "", "job=" UID2 " dry-run=yes", "");
    assert_non_null(
        strstr(farm->reply->text, "left out: t1 (installed since by another job)"));
}

// M27 P8: the first boot of the failed installation reports after the retry was made.
static void
test_a_retry_locks_nothing_that_was_installed_meanwhile(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("job_step", "", "job=" DEPLOY " rev=4", "op=failed target=t1 code=9 text=late");
    OK("job_retry", "job=" UID2 " job-name=j-eeeeeeee", "job=" DEPLOY, "");
    OK("verdict_put", "", "job=" UID2 " engine=lab", "target=t1 fits=yes");
    OK("target_confirm", "by=" FIRSTKEY " name=t1 epoch=1", "image=" IMAGE, "");
    OK("job_step", "", "job=" UID2 " rev=1", LOCK);
    assert_string_equal(state_farm_target(farm, UID2, 0, "state"), "failed");
    assert_non_null(strstr(state_farm_item(farm, 0, "error"), "has installed it since"));
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
}

typedef struct {
    const char *function, *body, *why;
} left_row_t;

static const left_row_t s_left[] = {
    {"target_protect", "name=t1 reason=name_server", "t1 is protected: name server"},
    {"record_remove", "class=target name=t1 force=yes", "t1 does not exist"},
    {"record_set", "class=target name=t1 engine=", "t1 belongs to no engine"},
    {"record_set", "class=target name=t1 engine=paris", "t1 belongs to engine paris"},
};

// M27 P8 [4.9]: the other targets are taken.
static void
test_a_retry_leaves_out_what_may_not_be_erased(void **state)
{
    for (size_t i = 0; i < sizeof s_left / sizeof *s_left; i++) {
        assert_int_equal(state_farm_setup(state), 0);
        state_farm_t *farm = *state;
        state_farm_begin_deploy(farm, "");
        OK("job_step", "", "job=" DEPLOY " rev=1", LOCK); // Fails for both
        OK(s_left[i].function, "", s_left[i].body, "");
        OK("job_retry", "job=" UID2 " job-name=j-eeeeeeee", "job=" DEPLOY, "");
        assert_non_null(strstr(state_farm_body(farm, "left-out"), s_left[i].why));
        assert_string_equal(state_farm_target(farm, UID2, 0, "name"), "t2");
        assert_int_equal(state_farm_count(farm), 1);
        state_farm_teardown(state);
    }
}

// M27: an engine that is gone takes its targets with it, and no others.
static void
test_a_retry_does_without_a_removed_engine(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    OK("record_add", "", "class=engine name=rome", "");
    OK("record_add", "", "class=target name=t3 engine=rome", "");
    OK("deploy_start", "job=" UID2 " job-name=j-eeeeeeee", "image=img",
       "target=t2|target=t3");
    OK("job_step", "", "job=" UID2 " rev=1", LOCK);
    OK("record_remove", "", "class=engine name=rome force=yes", "");
    OK("job_retry", "job=" UID3 " job-name=j-ffffffff", "job=" UID2, "");
    assert_non_null(
        strstr(state_farm_body(farm, "left-out"), "t3 belongs to engine rome"));
    assert_string_equal(state_farm_target(farm, UID3, 0, "name"), "t2");
}

// M28: a name that is no target of the job is a mistake, and nothing is cancelled.
static void
test_a_cancel_of_an_unknown_target_changes_nothing(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_prepare(farm);
    REFUSED(RMT_E_NOT_FOUND, "job_cancel", "", "job=" DEPLOY, "target=t1|target=t9");
    assert_non_null(strstr(farm->reply->text, "ramet job show j-dddddddd"));
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "running");
}

// M28: the answer has the number of all, and as many of them as it holds.
static void
test_a_cancel_of_a_large_job_is_answered(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    rmt_auto_str rows = strdup("name=m0 engine=lab");
    rmt_auto_str items = strdup("target=m0");
    for (int i = 1; i < 700; i++) {
        rmt_auto_str old_rows = rows;
        rmt_auto_str old_items = items;
        rows = rmt_text("%s|name=m%d engine=lab", old_rows, i);
        items = rmt_text("%s|target=m%d", old_items, i);
    }
    OK("record_import", "", "class=target", rows);
    OK("deploy_start", "job=" UID2 " job-name=j-eeeeeeee", "image=img count=700", items);
    OK("job_cancel", "", "job=" UID2, "");
    assert_string_equal(state_farm_body(farm, "count"), "700");
    const int more = atoi(state_farm_body(farm, "more"));
    assert_true(more > 0);
    assert_int_equal(state_farm_count(farm) + (size_t) more, 700);
}

// M28 [6.22]: its lock stays, its agent is told to stop, and the way out is named.
static void
test_a_cancel_after_arm_ends_the_target_and_keeps_its_lock(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_cancel", "", "job=" DEPLOY, "target=t1");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "cancelled");
    assert_string_equal(state_farm_item(farm, 0, "phase"), "cancelled, half written");
    assert_non_null(
        strstr(state_farm_item(farm, 0, "error"),
               "ramet deploy start img --engine lab --targets t1 --take-over"));
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_body(farm, "armed"), "yes");
    OK("task_beat", "by=a1", "", "task=" WRITE " attempt=1");
    assert_int_equal(state_farm_count(farm), 1); // The agent is told to stop
    OK("job_step", "", "job=" DEPLOY " rev=9 task=" WRITE " attempt=1 worker=a1 code=0",
       "");
    assert_string_equal(state_farm_body(farm, "recorded"), "before");
}

// A job over t1 that may take it over: what becomes of its lock.
static const char *
s_take_over(state_farm_t *farm, const char *uid, const char *name)
{
    rmt_auto_str meta = rmt_text("job=%s job-name=%s", uid, name);
    rmt_auto_str verdict = rmt_text("job=%s engine=lab", uid);
    rmt_auto_str step = rmt_text("job=%s rev=1", uid);
    OK("deploy_start", meta, "image=img take-over=yes", "target=t1");
    OK("verdict_put", "", verdict, "target=t1 fits=yes");
    OK("job_step", "", step, LOCK);
    return state_farm_target(farm, uid, 0, "state");
}

// [6.22] [1.47] P6: while its writer may live no job takes a cancelled target over.
static void
test_a_cancelled_target_is_taken_over_in_the_next_life(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_cancel", "", "job=" DEPLOY, "");
    assert_string_equal(s_take_over(farm, UID2, "j-eeeeeeee"), "failed");
    assert_non_null(strstr(state_farm_item(farm, 0, "error"), "may still be written"));
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n2", "");
    assert_string_equal(s_take_over(farm, UID3, "j-ffffffff"), "locked");
}

// [6.22]: no agent has the GO, so there is no writer to wait for.
static void
test_a_cancel_before_go_is_taken_over_at_once(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("job_cancel", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "phase"),
                        "cancelled, not written");
    OK("lock_show", "", "target=t1", "");
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    assert_int_equal(state_farm_count(farm), 0);
    assert_string_equal(s_take_over(farm, UID2, "j-eeeeeeee"), "locked");
}

// [6.22] P6: the GO was handed out, and the task came back to its queue; nothing says
// that the agent has not got it, so its life must end first.
static void
test_a_cancel_after_a_go_that_came_back_waits_for_the_next_life(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n1", ""); // An old one, late
    OK("task_show", "", "task=" WRITE, "");
    assert_string_equal(state_farm_body(farm, "state"), "queued");
    OK("job_cancel", "", "job=" DEPLOY, "");
    assert_string_equal(s_take_over(farm, UID2, "j-eeeeeeee"), "failed");
    assert_non_null(strstr(state_farm_item(farm, 0, "error"), "may still be written"));
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n2", "");
    assert_string_equal(s_take_over(farm, UID3, "j-ffffffff"), "locked");
}

// [6.22] P11: its disk is whole; the report of its first boot ends it well.
static void
test_a_target_cancelled_after_its_write_may_still_confirm(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=task task=0000000000000000000000000000000c service=netboot@lab "
       "stage=netboot subject=t1");
    OK("job_cancel", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "phase"),
                        "cancelled, written");
    OK("target_confirm", "by=" FIRSTKEY " role=firstboot name=t1 epoch=1",
       "image=" IMAGE " boot=b", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "done");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
}

// [6.22]: a job that goes on with other targets does not stop a take-over of this one.
static void
test_a_target_is_taken_over_from_a_job_that_has_ended_with_it(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "when-booted=yes");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=target target=t1 event=begin|op=task task=" PREPARE
       " service=prepare@target/t1 stage=prepare subject=t1");
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
    OK("job_step", "", "job=" DEPLOY " rev=3 task=" PREPARE " attempt=1 worker=a1 code=0",
       "op=arm target=t1 task=" PREPARE " plan=p nonce=n1 key=" FIRSTKEY);
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n2", "");
    assert_string_equal(s_take_over(farm, UID2, "j-eeeeeeee"), "failed");
    assert_non_null(
        strstr(state_farm_item(farm, 0, "error"),
               "still installs it; to end that: ramet job cancel j-dddddddd"));
    OK("job_cancel", "", "job=" DEPLOY, "target=t1");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_body(farm, "state"), "running");
    assert_string_equal(s_take_over(farm, UID3, "j-ffffffff"), "locked");
}

// M28: the other target goes on.
static void
test_cancel_before_arm_unlocks(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_prepare(farm);
    OK("job_cancel", "", "job=" DEPLOY, "target=t1");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
    OK("task_beat", "by=a1", "", "task=" PREPARE " attempt=1");
    assert_int_equal(state_farm_count(farm), 1); // The agent is told to stop
    OK("job_step", "", "job=" DEPLOY " rev=9 task=" PREPARE " attempt=1 worker=a1 code=0",
       "");
    assert_string_equal(state_farm_body(farm, "recorded"), "before");
}

// M27: the last lines of the worker's log are there with the failure, until the target is
// well.
static void
test_a_failure_keeps_the_last_lines_of_the_log(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_step", "",
       "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=12 text=io "
       "log=write.start\nwrite.failed\n",
       "op=failed target=t1 code=12 text=io");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "log"),
                        "write.start\nwrite.failed\n");
    OK("job_logs", "", "job=" DEPLOY " target=t1", "");
    const size_t count = state_farm_count(farm);
    assert_string_equal(state_farm_item(farm, count - 1, "what"), "task.log");
    assert_string_equal(state_farm_item(farm, count - 1, "text"), "write.failed");
    assert_string_equal(state_farm_item(farm, count - 2, "text"), "write.start");
    OK("job_logs", "", "job=" DEPLOY " target=t2", "");
    assert_true(state_farm_count(farm) == 0 ||
                strcmp(state_farm_item(farm, state_farm_count(farm) - 1, "what"),
                       "task.log") != 0);
    OK("target_confirm", "by=" FIRSTKEY " name=t1 epoch=1", "image=" IMAGE, "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "log"), "");
}

// M27: of a job without targets, by the job.
static void
test_a_failed_capture_keeps_the_last_lines_of_the_log(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=job event=begin set.stage=capture|op=task task=" UID2
       " service=capture@source/web stage=capture subject=web");
    OK("task_take", "by=k1", "service=capture@source/web nonce=n n=1", "");
    OK("job_step", "",
       "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=k1 code=12 text=io log=why\n",
       "op=job event=fail code=12 text=io");
    OK("job_logs", "", "job=" UID1, "");
    assert_string_equal(state_farm_item(farm, state_farm_count(farm) - 1, "text"), "why");
    OK("job_list", "", "", "");
    assert_string_equal(state_farm_item(farm, 0, "log"), "");
}

// Moments within one millisecond differ where the farm's clock is kept.
static int
s_setup(void **state)
{
    state_farm_setup(state);
    state_farm_hear_clock(*state);
    return 0;
}

#define TIMED(name) cmocka_unit_test_setup_teardown(name, s_setup, state_farm_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TIMED(test_a_lock_is_taken_over_only_from_a_dead_writer),
        TIMED(test_a_retry_leaves_out_what_others_installed_since),
        TIMED(test_a_cancel_after_arm_ends_the_target_and_keeps_its_lock),
        TIMED(test_a_cancelled_target_is_taken_over_in_the_next_life),
        TIMED(test_a_cancel_before_go_is_taken_over_at_once),
        TIMED(test_a_target_cancelled_after_its_write_may_still_confirm),
        TIMED(test_cancel_before_arm_unlocks),
        cmocka_unit_test(test_a_retry_leaves_out_what_may_not_be_erased),
        TIMED(test_a_retry_leaves_out_what_a_job_before_it_has_installed),
        TIMED(test_a_retry_locks_nothing_that_was_installed_meanwhile),
        TIMED(test_a_retry_does_without_a_removed_engine),
        TIMED(test_a_cancel_of_an_unknown_target_changes_nothing),
        TIMED(test_a_cancel_of_a_large_job_is_answered),
        TIMED(test_a_target_is_taken_over_from_a_job_that_has_ended_with_it),
        TIMED(test_a_cancel_after_a_go_that_came_back_waits_for_the_next_life),
        TIMED(test_a_failure_keeps_the_last_lines_of_the_log),
        TIMED(test_a_failed_capture_keeps_the_last_lines_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
