// What the gateway makes of events and snapshots.
#include "gateway/topics.h"
#include "base/rmt_auto.h"
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>

#define JOB "job/0a/target/n1"
#define TARGET "target/n1/state"

// What was told, each as TOPIC=STATE/PHASE; or TOPIC-; since the last look.
static char s_said[1000];

static void
s_told(void *context, const char *topic, const rmt_record_t *value)
{
    (void) context;
    const size_t used = strlen(s_said);
    snprintf(s_said + used, sizeof s_said - used, value ? "%s=%s/%s;" : "%s-;", topic,
             value ? rmt_record_text(value, "state", "") : "",
             value ? rmt_record_text(value, "phase", "") : "");
}

static void
s_expect(const char *said)
{
    assert_string_equal(s_said, said);
    *s_said = '\0';
}

static bool
s_hear(topics_t *topics, const char *topic, const char *cursor, const char *state,
       const char *phase)
{
    rmt_auto(rmt_msg) event = rmt_msg_new(RMT_MSG_EVENT);
    rmt_msg_text(&event->topic, topic);
    rmt_msg_text(&event->cursor, cursor);
    if (*state)
        rmt_record_set(rmt_msg_body(event), "state", state);
    rmt_record_set(rmt_msg_body(event), "phase", phase);
    return topics_apply(topics, event);
}

// A snapshot of topics that are free, up to NULL.
static topics_change_t
s_see(topics_t *topics, const char *cursor, const char *const *names)
{
    rmt_auto(rmt_msg) all = rmt_msg_new(RMT_MSG_REPLY);
    rmt_record_set(rmt_msg_body(all), "cursor", cursor);
    all->items = rmt_records_new();
    for (; *names; names++) {
        rmt_record_t *record = rmt_record_new();
        rmt_record_set(record, "topic", *names);
        rmt_record_set(record, "state", "free");
        rmt_records_append(all->items, &record);
    }
    return topics_snapshot(topics, all);
}

// The broker tells an entry about a target of a job under two topics, with one cursor;
// another broker tells it again.
static void
test_an_entry_is_applied_to_each_of_its_topics(void **state)
{
    (void) state;
    static const struct {
        const char *topic, *cursor;
        bool is_applied;
    } rows[] = {{JOB, "7-0", true},    {TARGET, "7-0", true},
                {JOB, "7-0", false},   {TARGET, "7-0", false},
                {JOB, "6-9", false},   {JOB, "7-1", true},
                {TARGET, "7-1", true}, {"job/0b/target/n2", "4-9", false}};
    rmt_auto(topics) topics = topics_new(s_told, NULL);
    s_see(topics, "5-0", (const char *const[]){TARGET, NULL});
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (s_hear(topics, rows[i].topic, rows[i].cursor, "running", "unpack") !=
            rows[i].is_applied)
            fail_msg("row %zu: %s %s", i, rows[i].topic, rows[i].cursor);
    assert_string_equal(topics_heard(topics), "7-1");
    s_expect(TARGET "=free/;" JOB "=running/unpack;" TARGET "=running/unpack;");
}

// Percentages are not in the audit stream, and may come behind the end.
static void
test_a_percentage_after_the_end_changes_nothing(void **state)
{
    (void) state;
    static const struct {
        const char *topic, *ended;
        bool is_applied;
    } rows[] = {{JOB, "running", true},
                {JOB, "failed", false},
                {JOB, "cancelled", false},
                {JOB, "done", false},
                {"job/0a/task/capture@source/web", "failed", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(topics) topics = topics_new(s_told, NULL);
        assert_true(s_hear(topics, rows[i].topic, "7-0", rows[i].ended, "x"));
        if (s_hear(topics, rows[i].topic, "", "", "unpack") != rows[i].is_applied)
            fail_msg("row %zu: %s", i, rows[i].ended);
        *s_said = '\0';
    }
}

// The answers of which a snapshot is made are of different moments.
static void
test_a_topic_ends_when_two_snapshots_lack_it(void **state)
{
    (void) state;
    static const char *const both[] = {"a", "b", NULL}, *const one[] = {"a", NULL};
    static const struct {
        const char *const *names;
        const char *said;
        bool has_ended, has_missing;
    } rows[] = {{both, "a=free/;b=free/;", false, false},
                {one, "", false, true},
                {both, "", false, false},
                {one, "", false, true},
                {one, "b-;", true, false},
                {one, "", false, false}};
    rmt_auto(topics) topics = topics_new(s_told, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const topics_change_t change = s_see(topics, "5-0", rows[i].names);
        assert_int_equal(change.has_ended, rows[i].has_ended);
        assert_int_equal(change.has_missing, rows[i].has_missing);
        s_expect(rows[i].said);
    }
}

// A machine is free or locked; running and failed are words of a job.
static void
test_a_machine_keeps_its_state_while_a_job_tells_its_phase(void **state)
{
    (void) state;
    rmt_auto(topics) topics = topics_new(s_told, NULL);
    s_see(topics, "5-0", (const char *const[]){TARGET, NULL});
    s_expect(TARGET "=free/;");
    for (size_t i = 0; i < 2; i++) {
        static const char *const names[] = {TARGET, JOB};
        rmt_auto(rmt_msg) event = rmt_msg_new(RMT_MSG_EVENT);
        rmt_msg_text(&event->topic, names[i]);
        rmt_msg_text(&event->cursor, "7-0");
        rmt_record_set(rmt_msg_body(event), "what", "job.target");
        rmt_record_set(rmt_msg_body(event), "state", "failed");
        rmt_record_set(rmt_msg_body(event), "phase", "unpack");
        assert_true(topics_apply(topics, event));
    }
    s_expect(TARGET "=free/unpack;" JOB "=failed/unpack;");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_machine_keeps_its_state_while_a_job_tells_its_phase),
        cmocka_unit_test(test_an_entry_is_applied_to_each_of_its_topics),
        cmocka_unit_test(test_a_percentage_after_the_end_changes_nothing),
        cmocka_unit_test(test_a_topic_ends_when_two_snapshots_lack_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
