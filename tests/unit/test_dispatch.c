// The table of jobs: what follows from what.
#include <string.h>
#include "tools/rmt_test.h"
#include "broker/dispatch.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define IMAGE "01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

// "name=value name=value" as a record.
static rmt_record_t *
s_record(const char *text)
{
    rmt_record_t *record = rmt_record_new();
    rmt_auto_str copy = strdup(text);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = '\0';
        rmt_record_set(record, word, value);
    }
    return record;
}

// "op field=value ..." of one operation; from each, what rows want to know.
static char *
s_op_text(const rmt_record_t *op)
{
    static const char *const told[] = {
        "service", "subject",   "target",        "engine",        "event",
        "code",    "set.stage", "set.whole-at",  "count.started", "timeout-s",
        "warning", "attempts",  "set.idle-cuts", "hold"};
    char *text = strdup(rmt_record_text(op, "op", "?"));
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const char *value = rmt_record_text(op, told[i], "");
        if (!*value)
            continue;
        char *longer = rmt_text("%s %s=%s", text, told[i], value);
        free(text);
        text = longer;
    }
    return text;
}

static char *
s_ops_text(const rmt_records_t *ops)
{
    char *text = strdup("");
    for (size_t i = 0; i < rmt_records_count(ops); i++) {
        rmt_auto_str op = s_op_text(rmt_records_at(ops, i));
        char *longer = rmt_text("%s%s%s", text, i ? "; " : "", op);
        free(text);
        text = longer;
    }
    return text;
}

typedef struct {
    const char *job;  // Fields
    const char *task; // "stage subject", or NULL: driven
    uint32_t code;
    const char *outputs; // Fields of the result
    const char *ready;   // Names of targets that may begin
    const char *expect;
} row_t;

static void
s_check(const row_t *row)
{
    rmt_auto(rmt_record) job = s_record(row->job);
    rmt_auto(rmt_record) image = s_record("id=" IMAGE " name=img hardware=h");
    rmt_auto(rmt_record) target = s_record("name=t1 engine=lab");
    rmt_auto(rmt_record) outputs = s_record(row->outputs ? row->outputs : "");
    rmt_auto(rmt_record) task = rmt_record_new();
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_record_set(job, "id", "00000000000000000000000000000001");
    if (rmt_record_flag(job, "wake")) // Then its machine is off
        rmt_record_set(target, "asleep", "yes");
    if (row->task) {
        rmt_auto_str stage = strdup(row->task);
        char *subject = strchr(stage, ' ');
        *subject++ = '\0';
        rmt_record_set(task, "task", "0000000000000000000000000000000a");
        rmt_record_set(task, "stage", stage);
        rmt_record_set(task, "subject", subject);
    }
    rmt_auto_str ready = strdup(row->ready ? row->ready : "");
    char *rest = NULL;
    for (char *name = strtok_r(ready, " ", &rest); name;
         name = strtok_r(NULL, " ", &rest)) {
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "what", "ready");
        rmt_record_set(item, "name", name);
        rmt_record_set(item, "engine", "lab");
    }
    const rmt_job_view_t view = {.job = job,
                                 .image = image,
                                 .items = items,
                                 .task = row->task ? task : NULL,
                                 .target = row->task ? target : NULL};
    const rmt_result_t result = {rmt_code_from(row->code), "why", outputs};
    rmt_auto(rmt_records) ops = rmt_dispatch(&view, row->task ? &result : NULL);
    rmt_auto_str text = s_ops_text(ops);
    assert_string_equal(text, row->expect);
}

static void
s_check_all(const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        s_check(&rows[i]);
}

#define CHECK(rows) s_check_all(rows, sizeof rows / sizeof *rows)

static void
test_an_image_job_captures_commits_and_ends(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=image stage=start source=web place=hq image-name=i", NULL, 0, NULL, NULL,
         "job event=begin set.stage=capture; "
         "task service=capture@source/web subject=web"},
        {"kind=image stage=capture place=hq image-name=i", "capture web", 0,
         "descriptor=d", NULL,
         "job event=begin set.stage=commit; task service=commit@hq subject=i"},
        {"kind=image stage=commit place=hq image-name=i", "commit i", 0, "image=" IMAGE,
         NULL, "image; job; job event=finish"},
        {"kind=image stage=commit place=hq image-name=i", "commit i", 0, "image=nonsense",
         NULL, "job event=fail code=9"},
        {"kind=image stage=capture", "capture web", 12, "", NULL,
         "job event=fail code=12"},
        {"kind=image stage=commit", "commit i", 8, "", NULL, "job event=fail code=8"},
        {"kind=image stage=end", NULL, 0, NULL, NULL, ""},
    };
    CHECK(rows);
}

// P12: a stream that was cut fails no job; attempts that bring nothing do in the end.
static void
test_a_capture_that_was_cut_is_tried_again(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=image stage=capture source=web", "capture web", 11, "cut=yes sent=7", NULL,
         "job set.idle-cuts=0; "
         "task service=capture@source/web subject=web attempts=200"},
        {"kind=image stage=capture source=web idle-cuts=9", "capture web", 4,
         "cut=yes sent=1", NULL,
         "job set.idle-cuts=0; "
         "task service=capture@source/web subject=web attempts=200"},
        {"kind=image stage=capture source=web idle-cuts=8", "capture web", 11,
         "cut=yes sent=0", NULL,
         "job set.idle-cuts=9; "
         "task service=capture@source/web subject=web attempts=200"},
        {"kind=image stage=capture source=web idle-cuts=9", "capture web", 11, "cut=yes",
         NULL, "job event=fail code=11"},
        {"kind=image stage=capture source=web", "capture web", 11, "sent=7", NULL,
         "job event=fail code=11"},
    };
    CHECK(rows);
}

static void
test_a_plan_ends_when_all_engines_have_answered(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=plan stage=start engines=a,b", NULL, 0, NULL, NULL,
         "job event=begin set.stage=match; task service=match@a subject=a; "
         "task service=match@b subject=b"},
        {"kind=plan stage=match waiting=2", "match a", 0, "fits=1", NULL, "job"},
        {"kind=plan stage=match waiting=1 engine-count=1", "match b", 0, "", NULL,
         "job; job event=finish"},
        {"kind=plan stage=match waiting=1 engine-count=1", "match b", 13, "", NULL,
         "job; job event=finish-in-part code=13"},
        {"kind=plan stage=match waiting=1", "match b", 13, "", NULL,
         "job; job event=fail code=13"},
    };
    CHECK(rows);
}

static void
test_a_deployment_goes_through_its_stages(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=deploy stage=match waiting=1", "match lab", 0, "", NULL,
         "job; job event=begin set.stage=locked; lock; drive"},
        {"kind=deploy stage=locked place=hq", NULL, 0, NULL, NULL,
         "job event=begin set.stage=package; task service=package@hq subject=hq"},
        // [4.41]: what all engines hold is asked of no other place.
        {"kind=deploy stage=match waiting=2 whole-at=,lab", "match paris", 0, "whole=yes",
         NULL, "job set.whole-at=,lab,paris"},
        {"kind=deploy stage=locked place=hq engines-locked=lab,paris whole-at=,paris,lab",
         NULL, 0, NULL, NULL,
         "job event=begin set.stage=build; task service=build@lab subject=lab; "
         "task service=build@paris subject=paris"},
        {"kind=deploy stage=locked place=hq engines-locked=lab,paris "
         "whole-at=,lab,paris2",
         NULL, 0, NULL, NULL,
         "job event=begin set.stage=package; task service=package@hq subject=hq"},
        {"kind=deploy stage=package engines-locked=lab,paris", "package hq", 0, "", NULL,
         "job event=begin set.stage=build; task service=build@lab subject=lab; "
         "task service=build@paris subject=paris"},
        {"kind=deploy stage=build", "build lab", 0, "", NULL,
         "job event=begin set.stage=install; built engine=lab; drive"},
        {"kind=deploy stage=install", NULL, 0, NULL, "t1 t2",
         "target target=t1 event=begin; task service=order@lab subject=t1; "
         "target target=t2 event=begin; task service=order@lab subject=t2; "
         "job count.started=2"},
        {"kind=deploy stage=install", "order t1", 0, "order=o", NULL,
         "target target=t1; task service=prepare@target/t1 subject=t1"},
        // A machine that is off is brought to its agent before anything else.
        {"kind=deploy stage=install wake=yes", "order t1", 0, "order=o", NULL,
         "target target=t1; task service=wake@lab subject=t1"},
        {"kind=deploy stage=install wake=yes", "wake t1", 0, "", NULL,
         "await target=t1 timeout-s=900; task service=prepare@target/t1 subject=t1"},
        {"kind=deploy stage=install wake=yes boot-timeout-s=60", "wake t1", 0, "", NULL,
         "await target=t1 timeout-s=60; task service=prepare@target/t1 subject=t1"},
        {"kind=deploy stage=install", "prepare t1", 0, "plan=p nonce=n key=" KEY, NULL,
         "target target=t1; arm target=t1; task service=write@target/t1 subject=t1"},
        {"kind=deploy stage=install", "prepare t1", 0,
         "warning=twin plan=p nonce=n key=" KEY, NULL,
         "target target=t1 warning=twin; arm target=t1; "
         "task service=write@target/t1 subject=t1"},
        {"kind=deploy stage=install", "write t1", 0, "", NULL,
         "task service=netboot@lab subject=t1"},
        {"kind=deploy stage=install", "write t1", 0, "warning=no-entry", NULL,
         "target target=t1 warning=no-entry; task service=netboot@lab subject=t1"},
        {"kind=deploy stage=install", "netboot t1", 0, "", NULL,
         "target target=t1; task service=reboot@target/t1 subject=t1"},
        {"kind=deploy stage=install", "reboot t1", 0, "", NULL,
         "boot target=t1 timeout-s=900"},
        {"kind=deploy stage=install boot-timeout-s=60", "reboot t1", 0, "", NULL,
         "boot target=t1 timeout-s=60"},
    };
    CHECK(rows);
}

static void
test_a_failure_stops_no_more_than_it_must(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=deploy stage=package", "package hq", 8, "", NULL, "stop code=8"},
        {"kind=deploy stage=build", "build lab", 11, "", NULL, "stop engine=lab code=11"},
        {"kind=deploy stage=install", "order t1", 16, "", NULL,
         "failed target=t1 code=16"},
        {"kind=deploy stage=install wake=yes", "wake t1", 11, "", NULL,
         "failed target=t1 code=11"},
        {"kind=deploy stage=install", "write t1", 12, "", NULL,
         "failed target=t1 code=12"},
        // A disk that fails holds its machine, and not that of an engine's store.
        {"kind=deploy stage=install", "write t1", 21, "", NULL,
         "failed target=t1 code=21 hold=yes"},
        {"kind=deploy stage=install", "prepare t1", 21, "", NULL,
         "failed target=t1 code=21 hold=yes"},
        {"kind=deploy stage=install", "order t1", 21, "", NULL,
         "failed target=t1 code=21"},
        {"kind=deploy stage=install", "netboot t1", 11, "", NULL,
         "failed target=t1 code=11"},
        {"kind=deploy stage=install", "reboot t1", 12, "", NULL,
         "failed target=t1 code=12"},
        // A machine that started anew is prepared again.
        {"kind=deploy stage=install", "write t1", 7, "", NULL,
         "target target=t1; task service=prepare@target/t1 subject=t1"},
        {"kind=deploy stage=install", "order t1", 0, "", NULL, "failed target=t1 code=9"},
        {"kind=deploy stage=install", "prepare t1", 0, "plan=p nonce=n key=short", NULL,
         "failed target=t1 code=9"},
    };
    CHECK(rows);
}

// M28: the rest waits for them.
static void
test_canaries_go_first(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=deploy stage=install canary=1", NULL, 0, NULL, "t1 t2",
         "target target=t1 event=begin; task service=order@lab subject=t1; "
         "job count.started=1"},
        {"kind=deploy stage=install canary=1 started=1", NULL, 0, NULL, "t2", ""},
        {"kind=deploy stage=install canary=1 started=1 t-done=1", NULL, 0, NULL, "t2",
         "target target=t2 event=begin; task service=order@lab subject=t2; "
         "job count.started=1"},
        {"kind=deploy stage=install canary=1 started=1 t-failed=1", NULL, 0, NULL, "t2",
         "stop code=15"},
        // One that was refused at the lock is no failed canary.
        {"kind=deploy stage=install canary=1 started=1 t-failed=1 failed-before=1", NULL,
         0, NULL, "t2", ""},
    };
    CHECK(rows);
}

// M28: one failure less does not stop them.
static void
test_more_failures_than_allowed_stop_the_rest(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=deploy stage=install max-failures=1 started=3 t-failed=1", NULL, 0, NULL,
         "", ""},
        {"kind=deploy stage=install max-failures=1 started=3 t-failed=2", NULL, 0, NULL,
         "t4", "stop code=15"},
        {"kind=deploy stage=install started=3 t-failed=2", NULL, 0, NULL, "t4",
         "target target=t4 event=begin; task service=order@lab subject=t4; "
         "job count.started=1"},
    };
    CHECK(rows);
}

static void
test_the_id_of_a_task_is_that_of_its_job_stage_and_subject(void **state)
{
    (void) state;
    uint8_t a[RMT_UID_SIZE], b[RMT_UID_SIZE], c[RMT_UID_SIZE];
    rmt_dispatch_task_id("job", "match", "lab", a);
    rmt_dispatch_task_id("job", "match", "lab", b);
    rmt_dispatch_task_id("job", "matchl", "ab", c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    char text[33]; // printf 'job\0match\0lab' | sha256sum
    assert_string_equal(rmt_uid_text(a, text), "632fbdab54e33c11561e2c17bc45f7b4");
}

static void
test_upkeep_is_one_task_whose_counts_stay_in_the_job(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"kind=gc stage=start place=hq at=hq age-s=60", NULL, 0, NULL, NULL,
         "job event=begin set.stage=gc; task service=gc@hq subject=hq"},
        {"kind=gc stage=gc place=hq at=hq", "gc hq", 0, "removed=2 state=x", NULL,
         "job; job event=finish"},
        {"kind=verify stage=verify place=hq at=hq", "verify hq", RMT_E_CORRUPT,
         "damaged=1", NULL, "job; job event=fail code=8"},
        {"kind=compare stage=start place=hq at=source/web image=i", NULL, 0, NULL, NULL,
         "job event=begin set.stage=compare; "
         "task service=compare@source/web subject=source/web"},
        {"kind=import stage=start place=hq image-name=i descriptor=d", NULL, 0, NULL,
         NULL, "job event=begin set.stage=commit; task service=commit@hq subject=i"},
        {"kind=import stage=commit place=hq image-name=i", "commit i", RMT_E_CORRUPT,
         NULL, NULL, "job event=fail code=8"},
    };
    CHECK(rows);
}

// What a worker calls its outputs must not become a field of the job.
static void
test_a_worker_sets_no_other_field_of_the_job_than_counts(void **state)
{
    (void) state;
    rmt_auto(rmt_record) job = s_record("kind=gc stage=gc place=hq at=hq");
    rmt_auto(rmt_record) task = s_record("stage=gc subject=hq");
    rmt_auto(rmt_record) outputs = s_record("removed=2 state=done kind=deploy rev=9");
    const rmt_job_view_t view = {.job = job, .task = task};
    const rmt_result_t result = {RMT_E_OK, "", outputs};
    rmt_auto(rmt_records) ops = rmt_dispatch(&view, &result);
    const rmt_record_t *op = rmt_records_at(ops, 0);
    assert_string_equal(rmt_record_text(op, "set.removed", ""), "2");
    assert_int_equal(rmt_record_count(op), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_image_job_captures_commits_and_ends),
        cmocka_unit_test(test_upkeep_is_one_task_whose_counts_stay_in_the_job),
        cmocka_unit_test(test_a_worker_sets_no_other_field_of_the_job_than_counts),
        cmocka_unit_test(test_a_capture_that_was_cut_is_tried_again),
        cmocka_unit_test(test_a_plan_ends_when_all_engines_have_answered),
        cmocka_unit_test(test_a_deployment_goes_through_its_stages),
        cmocka_unit_test(test_a_failure_stops_no_more_than_it_must),
        cmocka_unit_test(test_canaries_go_first),
        cmocka_unit_test(test_more_failures_than_allowed_stop_the_rest),
        cmocka_unit_test(test_the_id_of_a_task_is_that_of_its_job_stage_and_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
