// A deployment from its locks to the first boots.
#include <string.h>
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

static void
test_a_deploy_names_known_targets_of_its_engines(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_add", "", "class=engine name=paris", "");
    OK("record_add", "", "class=target name=t1 engine=paris", "");
    const char *meta = "job=" DEPLOY " job-name=j-dddddddd";
    REFUSED(RMT_E_NOT_FOUND, "deploy_start", meta, "image=img engines=lab", "target=t9");
    REFUSED(RMT_E_REFUSED, "deploy_start", meta, "image=img engines=lab", "target=t1");
    REFUSED(RMT_E_NOT_FOUND, "deploy_start", meta, "image=no engines=lab", "target=t1");
    REFUSED(RMT_E_NOT_FOUND, "deploy_start", meta, "image=img engines=rome", "target=t1");
    REFUSED(RMT_E_USAGE, "deploy_start", meta, "image=img engines=lab", "");
    REFUSED(RMT_E_USAGE, "deploy_start", meta, "image=img canary=two", "target=t1");
    OK("deploy_start", meta, "image=img", "target=t1|target=t1");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_body(farm, "engines"), "paris");
    assert_int_equal(state_farm_count(farm), 1);
}

// M14 [6.15]: a target that is not free stops the lock of all.
static void
test_locking_is_all_or_nothing(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "failed");
    assert_string_equal(state_farm_item(farm, 1, "error"), "no disk");
    assert_string_equal(state_farm_body(farm, "state"), "failed");
    OK("lock_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
}

// [6.15]: the other target fails by itself.
static void
test_partial_locks_what_can_be_locked(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    assert_string_equal(state_farm_body(farm, "driven"), "true");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "locked");
    assert_string_equal(state_farm_body(farm, "engines-locked"), "lab");
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_body(farm, "epoch"), "1");
    assert_string_equal(state_farm_body(farm, "armed"), "no");
    REFUSED(RMT_E_LOCKED, "record_remove", "", "class=target name=t1", "");
    OK("target_page", "", "engine=lab", "");
    assert_string_equal(state_farm_item(farm, 0, "state"), "locked");
}

static void
test_a_held_or_absent_target_is_not_locked(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    REFUSED(RMT_E_USAGE, "target_hold", "", "name=t1", "");
    OK("target_hold", "", "name=t1 reason=fan", "");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "error"), "held: fan");
    assert_string_equal(state_farm_item(farm, 1, "error"),
                        "its agent is absent; start the machine");
    OK("target_unhold", "", "name=t1", "");
    OK("deploy_start", "job=" UID2 " job-name=j-eeeeeeee",
       "image=img partial=yes when-booted=yes", "target=t2");
    OK("verdict_put", "", "job=" UID2 " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" UID2 " rev=1", LOCK);
    assert_string_equal(state_farm_target(farm, UID2, 0, "state"), "locked");
}

// [6.16]: an engine whose build has ended lets its own targets begin.
static void
test_targets_can_begin_when_their_engine_is_built(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=built engine=paris");
    OK("job_view", "", "job=" DEPLOY, "");
    assert_null(rmt_records_find(farm->reply->items, "what", "ready"));
    OK("job_step", "", "job=" DEPLOY " rev=3", "op=built engine=lab");
    OK("job_view", "", "job=" DEPLOY, "");
    const rmt_record_t *ready = rmt_records_find(farm->reply->items, "what", "ready");
    assert_non_null(ready);
    assert_string_equal(rmt_record_text(ready, "name", ""), "t1");
}

// M28 [6.21]: what has nothing to decide asks Redis for nothing; an end gives it
// something, once.
static void
test_a_job_is_driven_at_its_ends_alone(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "when-booted=yes");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install set.started=2|op=target target=t1 event=begin|"
       "op=target target=t2 event=begin");
    assert_string_equal(state_farm_body(farm, "driven"), "false");
    OK("drive_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("job_cancel", "", "job=" DEPLOY, "target=t1");
    OK("drive_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    // What was decided before that end is decided again, so that the mark is not lost.
    OK("job_step", "", "job=" DEPLOY " rev=3", "");
    assert_string_equal(state_farm_body(farm, "again"), "yes");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_body(farm, "started"), "1"); // Room for another canary
    rmt_auto_str step = rmt_text("job=" DEPLOY " rev=%s", state_farm_body(farm, "rev"));
    OK("job_step", "", step, "");
    assert_string_equal(state_farm_body(farm, "driven"), "false");
}

// [4.2] M25 [6.17] [6.21]: the right image, and no other.
static void
test_an_armed_target_ends_with_its_first_boot(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "b.order"), "o");
    assert_string_equal(state_farm_item(farm, 0, "b.plan"), "p");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=boot target=t1 timeout-s=900");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "phase"),
                        "awaiting-first-boot");
    OK("key_get", "", "key=" FIRSTKEY, "");
    assert_string_equal(state_farm_body(farm, "role"), "firstboot");
    const char *meta = "by=" FIRSTKEY " role=firstboot name=t1 epoch=1";
    REFUSED(RMT_E_FENCED, "target_confirm", "by=x name=t1 epoch=9", "image=" IMAGE, "");
    REFUSED(RMT_E_REFUSED, "target_confirm", meta, "image=other", "");
    OK("lock_show", "", "target=t1", "");
    OK("target_confirm", meta, "image=" IMAGE " boot=b1 degraded=yes", "");
    OK("target_confirm", meta, "image=" IMAGE " boot=b1", ""); // The report once more
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "phase"),
                        "confirmed (degraded)");
    assert_string_equal(state_farm_body(farm, "state"), "partial");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
    OK("key_get", "", "key=" FIRSTKEY, "");
    assert_string_equal(state_farm_body(farm, "state"), "used");
    OK("job_logs", "", "job=" DEPLOY " target=t1", "");
    assert_true(state_farm_count(farm) >= 5);
    OK("events_snapshot", "", "topic=job/" DEPLOY "/", "");
    assert_int_equal(state_farm_count(farm), 3);
}

// P6, P10 [6.10]: a machine that lost its power while it was written has another key
// and nonce.
static void
test_a_machine_that_starts_anew_is_prepared_and_armed_again(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    const char *prepare =
        "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=7";
    OK("job_step", "", prepare,
       "op=task task=" PREPARE
       " service=prepare@target/t1 stage=prepare subject=t1 again=yes");
    OK("task_take", "by=a2", "service=prepare@target/t1 nonce=n2 n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "attempt"), "2");
    assert_string_equal(state_farm_item(farm, 0, "b.order"), "o");
    OK("job_step", "", "job=" DEPLOY " rev=5 task=" PREPARE " attempt=2 worker=a2 code=0",
       "op=arm target=t1 task=" PREPARE " plan=q nonce=n2 key=" SECONDKEY
       "|op=task task=" WRITE
       " service=write@target/t1 stage=write subject=t1 from=" PREPARE
       " again=yes b.plan=q b.nonce=n2");
    OK("task_take", "by=a2", "service=write@target/t1 nonce=n2 n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "attempt"), "2");
    assert_string_equal(state_farm_item(farm, 0, "b.nonce"), "n2");
    assert_string_equal(state_farm_item(farm, 0, "epoch"), "1");
    // What the first start says late has no effect.
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" DEPLOY " rev=6 task=" WRITE " attempt=1 worker=a1 code=0",
            "op=boot target=t1 timeout-s=900");
    // Nor has it when the machine's key gives way to another one without a word of it.
    OK("key_token", "hash=h7", "role=target place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h7", "key=a2 role=target name=t1 identity=uuid:7", "");
    OK("enrol", "hash=h7", "key=a3 role=target name=t1 identity=uuid:7", "");
    OK("task_take", "by=a3", "service=write@target/t1 nonce=n3 n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "attempt"), "3");
}

// [6.25] P4 P6: a machine that refuses each GO, as one whose Redis is in foreign hands
// does, is given up; until then its row says why it is prepared again.
static void
test_a_go_that_is_refused_each_time_is_given_up(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    int rev = 4;
    for (int i = 1; i <= 5; i++) {
        char step[200];
        OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
        assert_int_equal(state_farm_count(farm), 1);
        snprintf(step, sizeof step,
                 "job=" DEPLOY " rev=%d task=" WRITE " attempt=%d worker=a1 code=7",
                 rev++, i);
        OK("job_step", "", step,
           "op=task task=" PREPARE " service=prepare@target/t1 stage=prepare subject=t1"
           " again=yes text=newer_GO");
        if (i == 5)
            break;
        OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
        OK("job_show", "", "job=" DEPLOY, "");
        char words[120] = "";
        if (i > 1)
            snprintf(words, sizeof words,
                     "tried %d of 5 times: newer GO; see: ramet job logs j-dddddddd", i);
        assert_string_equal(state_farm_target(farm, DEPLOY, 0, "stuck"), words);
        snprintf(step, sizeof step,
                 "job=" DEPLOY " rev=%d task=" PREPARE " attempt=%d worker=a1 code=0",
                 rev++, i + 1);
        OK("job_step", "", step,
           "op=arm target=t1 task=" PREPARE " plan=q nonce=n1 key=" SECONDKEY
           "|op=task task=" WRITE
           " service=write@target/t1 stage=write subject=t1 from=" PREPARE
           " again=yes b.plan=q b.nonce=n1");
    }
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "failed");
    assert_non_null(
        strstr(state_farm_target(farm, DEPLOY, 0, "error"), "tried 5 times: newer GO"));
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_body(farm, "armed"), "yes");
}

// T18 [6.13]: the machine of a broken disk is held with the reason, and its armed lock
// stays.
static void
test_a_failed_target_is_held_with_the_reason(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_step", "",
       "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=21 text=disk_sda",
       "op=failed target=t1 code=21 text=disk_sda hold=yes");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "failed");
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(state_farm_body(farm, "held"),
                        "disk sda; when that is mended: ramet target unhold t1");
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_body(farm, "armed"), "yes");
}

// T18 [4.44]: a task says that it waits for space, and that it no longer does.
static void
test_a_task_that_waits_for_space_says_so_in_its_rows(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_prepare(farm);
    OK("task_phase", "by=a1",
       "task=" PREPARE " attempt=1 phase=await-space text=no_space_at_lab", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "stuck"), "no space at lab");
    OK("task_phase", "by=a1", "task=" PREPARE " attempt=1 phase=check", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "stuck"), "");
}

// M18, M25 [6.12]: what a first boot says, and what is wrong with it, is there for
// people.
static void
test_a_first_boot_is_heard_and_its_faults_are_told(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=target target=t1 warning=twin|op=target target=t1 warning=no_boot_entry|"
       "op=target target=t1 warning=twin|op=boot target=t1 timeout-s=0");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "warning"),
                        "twin; no boot entry");
    assert_non_null(strstr(state_farm_target(farm, DEPLOY, 0, "text"), "nothing since"));
    const char *meta = "by=" FIRSTKEY " role=firstboot name=t1 epoch=1";
    REFUSED(RMT_E_FENCED, "target_heard", "by=x name=t1 epoch=9", "text=x", "");
    OK("target_heard", meta, "text=scripts-run", "");
    assert_non_null(
        strstr(state_farm_target(farm, DEPLOY, 0, "text"), "last heard: scripts-run"));
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "", "boots"), STATE_WAIT_MS);
    OK("boot_reap", "", "", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "error"),
                        "awaiting first boot; last heard: scripts-run");
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n9", "");
    assert_non_null(strstr(state_farm_target(farm, DEPLOY, 0, "text"),
                           "the target agent started again"));
    OK("target_confirm", meta,
       "image=" IMAGE " boot=b1 failed-units=nginx.service missing-addresses=10.0.0.7",
       "script=01-a exit=0 end=well|script=02-b exit=3 end=status-3 output=last");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "phase"),
                        "confirmed (degraded)");
    assert_string_equal(
        state_farm_target(farm, DEPLOY, 0, "warning"),
        "twin; no boot entry; failed units: nginx.service; missing addresses: 10.0.0.7; "
        "script 02-b status-3");
    OK("job_logs", "", "job=" DEPLOY " target=t1", "");
    bool is_told = false;
    for (size_t i = 0; i < state_farm_count(farm); i++)
        is_told = is_told ||
                  (strcmp(state_farm_item(farm, i, "what"), "script.failed") == 0 &&
                   strcmp(state_farm_item(farm, i, "text"), "02-b status-3: last") == 0);
    assert_true(is_told);
    REFUSED(RMT_E_FENCED, "target_heard", meta, "text=x", ""); // Its key is used up
}

static void
test_a_failure_before_arm_unlocks_and_after_it_does_not(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_prepare(farm);
    OK("job_step", "",
       "job=" DEPLOY " rev=3 task=" PREPARE " attempt=1 worker=a1 code=16",
       "op=failed target=t1 code=16 text=disk_is_gone");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "error"), "disk is gone");
    OK("job_retry", "job=" UID2 " job-name=j-eeeeeeee", "job=" DEPLOY, "");
    OK("job_show", "", "job=" UID2, "");
    assert_int_equal(state_farm_count(farm), 2);
}

// P6 M14: whoever held it is refused, and a person looks at the machine.
static void
test_a_broken_lock_fences_and_holds(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    REFUSED(RMT_E_USAGE, "lock_break", "", "target=t1", "");
    OK("lock_break", "by=a", "target=t1 reason=burnt", "");
    REFUSED(RMT_E_NOT_FOUND, "lock_break", "", "target=t1 reason=burnt", "");
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(state_farm_body(farm, "state"), "held");
    REFUSED(RMT_E_FENCED, "target_confirm", "by=" FIRSTKEY " name=t1 epoch=1",
            "image=" IMAGE, "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "failed");
}

// [6.10]: the target fails, and no task waits.
static void
test_a_task_for_a_disk_needs_the_lock(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1",
       "op=task task=" WRITE " service=write@target/t1 stage=write subject=t1");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "code"), "7");
    OK("queues", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
}

// [6.14]: of an engine, or of all; what is armed goes on.
static void
test_a_stop_fails_what_is_not_armed(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_prepare(farm);
    OK("job_step", "", "job=" DEPLOY " rev=3", "op=stop engine=paris code=15 text=no");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "running");
    OK("job_step", "", "job=" DEPLOY " rev=4", "op=stop engine=lab code=15 text=enough");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "failed");
    assert_string_equal(state_farm_item(farm, 0, "error"), "enough");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
}

// [6.14]: the disk may be written.
static void
test_a_stop_spares_what_is_armed(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("job_step", "", "job=" DEPLOY " rev=4", "op=stop code=15 text=enough");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "state"), "running");
    OK("lock_show", "", "target=t1", "");
}

// [6.9]: t2 has failed at the lock; t1 keeps the job open.
static void
test_a_target_that_has_ended_stays_as_it_is(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_prepare(farm);
    assert_string_equal(state_farm_target(farm, DEPLOY, 1, "state"), "failed");
    rmt_auto(rmt_record) before = rmt_record_dup(rmt_records_at(farm->reply->items, 1));
    OK("job_step", "", "job=" DEPLOY " rev=3",
       "op=target target=t2 event=begin phase=unpack warning=w|"
       "op=failed target=t2 code=12 text=again|op=stop code=1 engine=nowhere|"
       "op=boot target=t2 timeout-s=0|op=built engine=lab|"
       "op=task task=" WRITE " service=order@lab stage=order subject=t2");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_true(rmt_record_equal(before, rmt_records_at(farm->reply->items, 1)));
    OK("boot_reap", "", "", "");
    OK("task_take", "by=w", "service=order@lab nonce=n n=1", "");
    assert_int_equal(state_farm_count(farm), 0);
}

// P11 [6.18]: a late report still clears it.
static void
test_a_first_boot_that_does_not_come_fails_but_keeps_the_lock(void **state)
{
    state_farm_t *farm = *state;
    state_farm_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=boot target=t1 timeout-s=0");
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "", "boots"), STATE_WAIT_MS);
    OK("boot_reap", "", "", "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "error"),
                        "awaiting first boot");
    OK("lock_show", "", "target=t1", "");
    OK("target_confirm", "by=" FIRSTKEY " name=t1 epoch=1", "image=" IMAGE, "");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
}

// M24: pages follow names, so what goes between two pages takes nothing else away; and a
// page fits into a message, however long its texts are.
static void
test_a_snapshot_goes_on_behind_its_last_topic(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=engine name=lab", "");
    char names[900 * 12] = "";
    for (int i = 1, used = 0; i <= 900; i++)
        used += snprintf(names + used, sizeof names - (size_t) used, "%sname=t%03d",
                         i == 1 ? "" : "|", i);
    OK("record_import", "", "class=target", names);
    char seen[1000] = "";
    rmt_auto_str cursor = strdup("");
    size_t pages = 0, count = 0;
    do {
        rmt_auto_str meta = rmt_text("cursor=%s", cursor);
        OK("events_snapshot", *cursor ? meta : "", "topic=target/", "");
        for (size_t i = 0; i < state_farm_count(farm); i++) {
            const int number = atoi(state_farm_item(farm, i, "target") + 1);
            assert_in_range(number, 1, 900);
            assert_int_equal(seen[number]++, 0);
            count++;
        }
        free(cursor);
        cursor = strdup(farm->reply->cursor ? farm->reply->cursor : "");
        if (pages++ == 0)
            OK("record_remove", "", "class=target name=t001", "");
    } while (*cursor);
    assert_int_equal(count, 900);
    assert_int_equal(pages, 3);
    assert_int_equal(seen[900], 1);
}

// M35: a target that writes hears of those of its job that write near it, and no other
// does; what it says of one that lied is in the audit stream.
static void
test_targets_that_write_hear_of_each_other(void **state)
{
    state_farm_t *farm = *state;
    const char *one = "by=a1 role=target name=t1 address=10.0.0.1";
    const char *two = "by=a2 role=target name=t2 address=10.0.0.2";
    state_farm_begin_deploy(farm, "");
    OK("peer_hello", "by=a2 role=target name=t2", "nonce=n2", "");
    OK("verdict_put", "by=i1 place=lab", "job=" DEPLOY " engine=lab",
       "target=t2 fits=yes choice=c2");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=target target=t1 event=begin"
       "|op=target target=t2 event=begin|op=task task=" WRITE
       " service=write@target/t1 stage=write subject=t1|op=task task=" UID4
       " service=write@target/t2 stage=write subject=t2");
    REFUSED(RMT_E_NOT_ALLOWED, "relays", one, "port=5 ring=100", "");
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("relays", one, "port=5 ring=100 position=7", "");
    assert_string_equal(state_farm_body(farm, "targets"), "2");
    assert_string_equal(state_farm_body(farm, "rank"), "0");
    assert_int_equal(state_farm_count(farm), 0);
    REFUSED(RMT_E_NOT_ALLOWED, "relays", two, "port=6 ring=100", "");
    OK("task_take", "by=a2", "service=write@target/t2 nonce=n2 n=1", "");
    OK("relays", two, "port=6 ring=100 position=3 from=a1 lied=a1", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "name"), "t1");
    assert_string_equal(state_farm_item(farm, 0, "key"), "a1");
    assert_string_equal(state_farm_item(farm, 0, "port"), "5");
    assert_string_equal(state_farm_item(farm, 0, "addresses"), "10.0.0.1");
    assert_string_equal(state_farm_item(farm, 0, "position"), "7");
    assert_string_equal(state_farm_body(farm, "rank"), "1");
    assert_string_equal(state_farm_body(farm, "lied"), "");
    OK("job_logs", "", "job=" DEPLOY " target=t2", "");
    bool is_told = false;
    for (size_t i = 0; i < state_farm_count(farm); i++)
        is_told = is_told || streq(state_farm_item(farm, i, "what"), "relay.lied");
    assert_true(is_told);
    assert_string_equal(state_farm_target(farm, DEPLOY, 0, "reads-from"), "");
    assert_string_equal(state_farm_target(farm, DEPLOY, 1, "reads-from"), "t1");
    // Another network, or another rack, is not near.
    OK("relays", "by=a1 role=target name=t1 address=10.0.1.1", "port=5 ring=100", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("relays", one, "port=5 ring=100", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("record_set", "", "class=target name=t1 rack=r7", "");
    OK("relays", one, "port=5 ring=100", "");
    assert_int_equal(state_farm_count(farm), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_snapshot_goes_on_behind_its_last_topic),
        CASE(test_a_deploy_names_known_targets_of_its_engines),
        CASE(test_locking_is_all_or_nothing),
        CASE(test_partial_locks_what_can_be_locked),
        CASE(test_a_held_or_absent_target_is_not_locked),
        CASE(test_a_job_is_driven_at_its_ends_alone),
        CASE(test_an_armed_target_ends_with_its_first_boot),
        CASE(test_targets_that_write_hear_of_each_other),
        CASE(test_a_machine_that_starts_anew_is_prepared_and_armed_again),
        CASE(test_a_go_that_is_refused_each_time_is_given_up),
        CASE(test_a_first_boot_is_heard_and_its_faults_are_told),
        CASE(test_a_failed_target_is_held_with_the_reason),
        CASE(test_a_task_that_waits_for_space_says_so_in_its_rows),
        CASE(test_a_failure_before_arm_unlocks_and_after_it_does_not),
        CASE(test_a_broken_lock_fences_and_holds),
        CASE(test_a_task_for_a_disk_needs_the_lock),
        CASE(test_targets_can_begin_when_their_engine_is_built),
        CASE(test_a_stop_fails_what_is_not_armed),
        CASE(test_a_stop_spares_what_is_armed),
        CASE(test_a_target_that_has_ended_stays_as_it_is),
        CASE(test_a_first_boot_that_does_not_come_fails_but_keeps_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
