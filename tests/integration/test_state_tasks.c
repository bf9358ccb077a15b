// Jobs and the tasks that workers hold of them.
#include <string.h>
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"

// [1.30] P2: the second request gets the first answer.
static void
test_an_idempotent_submit_makes_one_job(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a idem=x job=" UID1 " job-name=j-aaaaaaaa",
       "source=web name=i", "");
    OK("image_create", "by=a idem=x job=" UID2 " job-name=j-bbbbbbbb",
       "source=web name=i", "");
    assert_string_equal(state_farm_body(farm, "job"), UID1);
    REFUSED(RMT_E_EXISTS, "image_create", "by=b idem=x job=" UID2 " job-name=j-bbbbbbbb",
            "source=web name=i", "");
    REFUSED(RMT_E_NOT_FOUND, "image_create", "job=" UID2 " job-name=j-b", "source=no",
            "");
    OK("job_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("job_show", "", "job=j-aaa", "");
    assert_string_equal(state_farm_body(farm, "kind"), "image");
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", "job=j-b", "");
}

// [1.30] P2: a copy that a broker reads late, when it would be carried out by now, must
// not do what its asker was told is not done. What may be asked again is.
static void
test_a_request_that_was_refused_stays_refused(void **state)
{
    state_farm_t *farm = *state;
    REFUSED(RMT_E_NOT_FOUND, "image_create",
            "by=a idem=x job=" UID1 " job-name=j-aaaaaaaa", "source=web name=i", "");
    REFUSED(RMT_E_UNAVAILABLE, "image_receive", "by=a idem=y", "place=hq name=i", "");
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("peer_hello", "by=k role=imager name=hq place=hq",
       "nonce=n services=receive@hq=1 port=1 key=k addresses=h", "");
    REFUSED(RMT_E_NOT_FOUND, "image_create",
            "by=a idem=x job=" UID2 " job-name=j-bbbbbbbb", "source=web name=i", "");
    assert_non_null(strstr(farm->reply->text, "web"));
    OK("job_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("image_receive", "by=a idem=y", "place=hq name=i", "");
    OK("image_create", "by=a idem=z job=" UID2 " job-name=j-bbbbbbbb",
       "source=web name=i", "");
}

// [1.61] P2: neither another verb, nor another body, nor other items get that answer.
static void
test_an_idempotency_key_is_of_one_request(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "by=a idem=x", "class=source name=web place=hq", "");
    OK("record_add", "by=a idem=x", "class=source name=web place=hq", "");
    REFUSED(RMT_E_USAGE, "record_add", "by=a idem=x", "class=source name=api place=hq",
            "");
    REFUSED(RMT_E_USAGE, "record_remove", "by=a idem=x", "class=source name=web place=hq",
            "");
    REFUSED(RMT_E_USAGE, "record_add", "by=a idem=x", "class=source name=web place=hq",
            "name=api");
    OK("record_import", "by=a idem=y", "class=target", "name=t1 rack=r1|name=t2");
    REFUSED(RMT_E_USAGE, "record_import", "by=a idem=y", "class=target",
            "name=t1|rack=r1 name=t2");
    REFUSED(RMT_E_NOT_FOUND, "record_show", "", "class=source name=api", "");
    OK("record_show", "", "class=source name=web", "");
}

static void
s_begin_capture(state_farm_t *farm)
{
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=job set.stage=capture event=begin|"
       "op=task task=" UID2 " service=commit@hq stage=capture subject=web b.place=hq");
}

// What Redis publishes is read together with the answer to a call.
static bool
s_hears(state_farm_t *farm)
{
    OK("drive_list", "", "", "");
    return *farm->ready;
}

static void
test_a_task_that_waits_is_told(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    RMT_WAIT_UNTIL(s_hears(farm), STATE_WAIT_MS);
    assert_string_equal(farm->ready, "commit@hq");
}

// P3 [6.5] [6.6]: an old view of the job changes nothing.
static void
test_a_result_counts_once_and_only_from_its_holder(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("drive_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=4", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "b.place"), "hq");
    OK("task_take", "by=w2", "service=commit@hq nonce=n1 n=4", "");
    assert_int_equal(state_farm_count(farm), 0);
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=w2 code=0",
            "op=job event=finish");
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" UID1 " rev=2 task=" UID2 " attempt=2 worker=w1 code=0",
            "op=job event=finish");
    OK("job_step", "", "job=" UID1 " rev=1 task=" UID2 " attempt=1 worker=w1 code=0",
       "op=job event=finish");
    assert_string_equal(state_farm_body(farm, "again"),
                        "yes"); // The view was old: nothing happened
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "state"), "running");
    OK("job_step", "", "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=w1 code=0",
       "op=job event=finish");
    assert_string_equal(state_farm_body(farm, "recorded"), "now");
    OK("job_step", "", "job=" UID1 " rev=3 task=" UID2 " attempt=1 worker=w1 code=0",
       "op=job event=fail");
    assert_string_equal(state_farm_body(farm, "recorded"), "before");
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "state"), "done");
}

// [6.7] [6.11]: the result that came with it is not recorded either.
static void
test_a_step_that_is_wrong_writes_nothing(void **state)
{
    state_farm_t *farm = *state;
    static const struct {
        const char *operations;
        rmt_code_t code;
    } rows[] = {
        {"op=dance", RMT_E_USAGE},
        {"op=task task=" UID3 " service=commit@hq stage=capture", RMT_E_USAGE},
        {"op=job set.state=done", RMT_E_USAGE},
        {"op=job set.rev=9", RMT_E_USAGE},
        {"op=job event=submit", RMT_E_REFUSED},
        {"op=target target=t1 event=fail", RMT_E_USAGE},
        {"op=image set.name=other set.id=" IMAGE, RMT_E_REFUSED},
        {"op=job set.stage=commit count.n=1|op=dance", RMT_E_USAGE},
    };
    s_begin_capture(farm);
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=1", "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        REFUSED(rows[i].code, "job_step", "",
                "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=w1 code=0",
                rows[i].operations);
        OK("task_show", "", "task=" UID2, "");
        assert_string_equal(state_farm_body(farm, "state"), "leased");
        OK("job_show", "", "job=" UID1, "");
        assert_string_equal(state_farm_body(farm, "rev"), "2");
        assert_string_equal(state_farm_body(farm, "stage"), "capture");
        assert_string_equal(state_farm_body(farm, "n"), "");
    }
    OK("job_step", "", "job=" UID1 " rev=2", "op=job set.stage=commit count.n=2");
    OK("job_step", "", "job=" UID1 " rev=3", "op=job count.n=-1");
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "stage"), "commit");
    assert_string_equal(state_farm_body(farm, "n"), "1");
}

// [6.8] [6.20]: before the end they are carried out in their order.
static void
test_what_stands_behind_the_end_of_a_job_is_left_out(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("job_step", "", "job=" UID1 " rev=2", "op=job set.text=one|op=drive");
    assert_string_equal(state_farm_body(farm, "driven"), "true");
    OK("job_step", "", "job=" UID1 " rev=3",
       "op=job set.text=two|op=job set.text=three|op=job event=finish|"
       "op=job set.text=four|op=drive|"
       "op=task task=" UID3 " service=commit@hq stage=commit subject=web");
    assert_string_equal(state_farm_body(farm, "driven"), "false");
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "state"), "done");
    assert_string_equal(state_farm_body(farm, "text"), "three");
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=9", "");
    assert_int_equal(state_farm_count(farm), 0);
}

// P3 P4: the task is offered again.
static void
test_a_lease_that_runs_out_fences_the_old_attempt(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=1 lease-ms=50", "");
    OK("task_beat", "by=w1", "lease-ms=50", "task=" UID2 " attempt=1");
    assert_int_equal(state_farm_count(farm), 0);
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "silent-s=600", "late"), STATE_WAIT_MS);
    OK("task_reap", "", "", "");
    OK("task_beat", "by=w1", "", "task=" UID2 " attempt=1");
    assert_int_equal(state_farm_count(farm), 1);
    OK("task_take", "by=w2", "service=commit@hq nonce=n2 n=1", "");
    assert_string_equal(state_farm_item(farm, 0, "attempt"), "2");
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=w1 code=0", "");
    REFUSED(RMT_E_FENCED, "task_phase", "by=w1", "task=" UID2 " attempt=1 phase=x", "");
    OK("task_phase", "by=w2", "task=" UID2 " attempt=2 phase=pack", "");
    OK("task_release", "by=w2", "task=" UID2 " attempt=2", "");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(state_farm_body(farm, "attempt"), "3");
    assert_string_equal(state_farm_body(farm, "state"), "queued");
}

// [4.30] P17: in Redis, so that another HELLO does not begin the count anew; the next
// attempt has its own.
static void
test_an_attempt_has_so_many_phases(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=1", "");
    for (int i = 0; i < 100; i++) {
        char body[100];
        snprintf(body, sizeof body, "task=" UID2 " attempt=1 phase=p%d", i);
        OK("task_phase", "by=w1", body, "");
    }
    REFUSED(RMT_E_BUSY, "task_phase", "by=w1", "task=" UID2 " attempt=1 phase=x", "");
    OK("task_release", "by=w1", "task=" UID2 " attempt=1", "");
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=1", "");
    OK("task_phase", "by=w1", "task=" UID2 " attempt=2 phase=x", "");
}

// [1.18] P3: HELLO with the task renews it, without it the task is offered again.
static void
test_a_task_of_one_machine_is_never_given_away_while_it_may_run(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=task task=" UID2 " service=capture@source/web stage=capture subject=web");
    OK("task_take", "by=w1", "service=capture@source/web nonce=n1 n=1 lease-ms=1", "");
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "silent-s=600", "late"), STATE_WAIT_MS);
    OK("task_reap", "", "silent-s=600", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "silent");
    OK("peer_hello", "by=w1 role=source name=web", "nonce=n1", "task=" UID2 " attempt=1");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "leased");
    assert_string_equal(state_farm_body(farm, "attempt"), "1");
    OK("peer_hello", "by=w1 role=source name=web", "nonce=n2", "");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "queued");
    assert_string_equal(state_farm_body(farm, "attempt"), "2");
    OK("task_take", "by=w1", "service=capture@source/web nonce=n2 n=1 lease-ms=1", "");
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "silent-s=0", "late"), STATE_WAIT_MS);
    OK("task_reap", "", "silent-s=0", "");
    // Silent for too long: the broker fails it.
    assert_int_equal(state_farm_count(farm), 1);
}

// The life of the worker that has the task ends with it; nonce: of the next life.
static void
s_end_life(state_farm_t *farm, int life)
{
    char take[100], hello[40];
    snprintf(take, sizeof take, "service=commit@hq nonce=n%d n=1", life);
    snprintf(hello, sizeof hello, "nonce=n%d", life + 1);
    OK("task_take", "by=w1", take, "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("peer_hello", "by=w1 role=imager name=i place=hq", hello, "");
}

// [6.25] P4: a task that ends worker after worker is no loop without an end, and the job
// says why it is tried again.
static void
test_a_task_that_ends_its_workers_is_set_aside(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("peer_hello", "by=w1 role=imager name=i place=hq", "nonce=n1", "");
    s_end_life(farm, 1);
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "stuck"), "");
    for (int life = 2; life < 5; life++) {
        s_end_life(farm, life);
        OK("job_show", "", "job=" UID1, "");
        char words[160];
        snprintf(words, sizeof words,
                 "tried %d of 5 times: imager i ended with the task in hand; see: ramet "
                 "job logs j-aaaaaaaa",
                 life);
        assert_string_equal(state_farm_body(farm, "stuck"), words);
    }
    OK("task_take", "by=w2", "service=commit@hq nonce=m1 n=1", "");
    OK("job_show", "", "job=" UID1, "");
    assert_non_null(strstr(state_farm_body(farm, "stuck"), "tried 4 of 5 times"));
    OK("task_return", "by=w2", "task=" UID2 " attempt=5", "");
    OK("task_reap", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    s_end_life(farm, 5);
    OK("task_take", "by=w1", "service=commit@hq nonce=n6 n=1", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("task_reap", "", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "text"),
                        "set aside after 5 attempts: imager i ended with the task in "
                        "hand; look at the log "
                        "of that worker");
    OK("job_step", "",
       "job=" UID1 " rev=2 task=" UID2 " attempt=6 worker=w1 code=13 text=aside",
       "op=job event=fail code=13 text=aside");
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "state"), "failed");
}

// [6.25]: what a broker or a cut did is not counted: the life is the same.
static void
test_a_life_that_lost_a_task_does_not_count(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    for (int i = 0; i < 8; i++) {
        OK("peer_hello", "by=w1 role=imager name=i place=hq", "nonce=n1", "");
        OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=1", "");
        assert_int_equal(state_farm_count(farm), 1);
    }
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "stuck"), "");
}

// [1.68] P4: a broker that still takes tasks for a peer which has greeted anew gets none.
static void
test_a_task_is_taken_for_the_last_greeting_alone(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("peer_hello", "by=w1 role=imager name=i place=hq", "nonce=n1 greeting=g1", "");
    OK("peer_hello", "by=w1 role=imager name=i place=hq", "nonce=n1 greeting=g2", "");
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 greeting=g1 n=1", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 greeting=g2 n=1", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "attempt"), "1");
}

// What each function would find is found by the one that is asked every second.
static void
test_a_scan_tells_what_is_due(void **state)
{
    state_farm_t *farm = *state;
    static const char *const kinds[] = {"drive", "queues", "stuck", "late", "boots"};
    OK("scan", "", "stuck-s=60 silent-s=600", "");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        assert_string_equal(state_farm_body(farm, kinds[i]), "0");
    rmt_auto_str before = strdup(state_farm_body(farm, "audit"));
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("scan", "", "stuck-s=60 silent-s=600", "");
    assert_string_equal(state_farm_body(farm, "drive"), "1");
    assert_string_not_equal(state_farm_body(farm, "audit"), before);
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=task task=" UID2 " service=capture@source/web stage=capture subject=web");
    OK("scan", "", "stuck-s=60 silent-s=600", "");
    assert_string_equal(state_farm_body(farm, "queues"), "1");
    assert_string_equal(state_farm_body(farm, "stuck"), "0");
    const char *soon = "stuck-s=0 silent-s=600";
    RMT_WAIT_UNTIL(state_farm_is_due(farm, soon, "stuck"), STATE_WAIT_MS);
    OK("task_take", "by=w1", "service=capture@source/web nonce=n1 n=1 lease-ms=1", "");
    RMT_WAIT_UNTIL(state_farm_is_due(farm, soon, "late"), STATE_WAIT_MS);
    assert_string_equal(state_farm_body(farm, "queues"), "0");
    assert_string_equal(state_farm_body(farm, "stuck"), "0");
    OK("task_reap", "", "silent-s=600", ""); // It turns silent
    OK("scan", "", soon, "");
    assert_string_equal(state_farm_body(farm, "late"), "0");
    RMT_WAIT_UNTIL(state_farm_is_due(farm, "stuck-s=0 silent-s=0", "late"),
                   STATE_WAIT_MS);
}

// P4: the job names the service that nobody offers.
static void
test_a_task_without_a_worker_is_shown_as_stuck(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("task_stuck", "", "stuck-s=0", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "stuck"),
                        "no worker offers commit@hq; start an imager of hq: systemctl "
                        "start ramet-imager");
    OK("peer_hello", "by=w1 role=imager name=i place=hq", "nonce=n services=commit@hq=2",
       "");
    OK("task_stuck", "", "stuck-s=0", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("farm_status", "", "", "");
    assert_string_equal(state_farm_item(farm, 0, "service"), "commit@hq");
    assert_string_equal(state_farm_item(farm, 0, "slots"), "2");
    assert_string_equal(state_farm_item(farm, 0, "queued"), "1");
    OK("task_take", "by=w1", "service=commit@hq nonce=n n=1", "");
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(state_farm_body(farm, "stuck"), "");
}

static void
test_holders_are_told_to_those_with_a_reason(void **state)
{
    state_farm_t *farm = *state;
    s_begin_capture(farm);
    OK("peer_hello", "by=w1 role=imager name=i place=hq",
       "nonce=n services=receive@hq=2 port=99 addresses=@ key=dk", "");
    REFUSED(RMT_E_NOT_ALLOWED, "holders", "by=s1", "place=hq service=receive", "");
    OK("task_take", "by=s1", "service=commit@hq nonce=n1 n=1", "");
    OK("holders", "by=s1", "place=hq service=receive", "");
    assert_string_equal(state_farm_item(farm, 0, "addresses"), "@");
    assert_string_equal(state_farm_item(farm, 0, "key"), "dk");
    REFUSED(RMT_E_NOT_ALLOWED, "holders", "by=s1", "place=other service=receive", "");
    REFUSED(RMT_E_NOT_ALLOWED, "holders", "by=s1",
            "place=hq service=package image=" IMAGE, "");
    OK("grants", "", "place=hq", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "key"), "s1");
    const long left_ms = atol(state_farm_item(farm, 0, "left-ms"));
    assert_true(left_ms > 0 && left_ms <= 3600 * 1000);
    OK("grants", "", "place=hq key=s1", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("grants", "", "place=hq key=s2", "");
    assert_int_equal(state_farm_count(farm), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_an_idempotent_submit_makes_one_job),
        CASE(test_a_request_that_was_refused_stays_refused),
        CASE(test_an_idempotency_key_is_of_one_request),
        CASE(test_a_task_that_waits_is_told),
        CASE(test_a_result_counts_once_and_only_from_its_holder),
        CASE(test_a_step_that_is_wrong_writes_nothing),
        CASE(test_what_stands_behind_the_end_of_a_job_is_left_out),
        CASE(test_a_lease_that_runs_out_fences_the_old_attempt),
        CASE(test_an_attempt_has_so_many_phases),
        CASE(test_a_task_of_one_machine_is_never_given_away_while_it_may_run),
        CASE(test_a_task_is_taken_for_the_last_greeting_alone),
        CASE(test_a_task_that_ends_its_workers_is_set_aside),
        CASE(test_a_life_that_lost_a_task_does_not_count),
        CASE(test_a_scan_tells_what_is_due),
        CASE(test_a_task_without_a_worker_is_shown_as_stuck),
        CASE(test_holders_are_told_to_those_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
