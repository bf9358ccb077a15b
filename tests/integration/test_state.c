// The function library in a real Redis: every transition, and those that are refused.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "integration/redis_server.h"
#include "rmt_process.h"
#include "rmt_auto.h"
#include "rmt_clock.h"
#include "rmt_io.h"
#include "rmt_state.h"

typedef struct {
    redis_server_t redis;
    rmt_state_t *state;
    rmt_msg_t *reply;
    bool is_answered;
} farm_t;

#define UID1 "00000000000000000000000000000001"
#define UID2 "00000000000000000000000000000002"
#define UID3 "00000000000000000000000000000003"
#define UID4 "00000000000000000000000000000004"
#define IMAGE "01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
s_on_reply(void *context, rmt_msg_t *reply)
{
    farm_t *farm = context;
    rmt_msg_t kept = *reply;
    *reply = *farm->reply;
    *farm->reply = kept;
    farm->is_answered = true;
}

// "name=value name=value"; "_" in a value is a blank.
static void
s_fill(rmt_record_t *record, const char *text)
{
    rmt_auto_str copy = strdup(text);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = '\0';
        for (char *c = value; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        rmt_record_set(record, word, value);
    }
}

// items: records parted by "|". Returns the code; the answer is in farm->reply.
static rmt_code_t
s_call(farm_t *farm, const char *function, const char *meta_text, const char *body_text,
       const char *items_text)
{
    rmt_auto(rmt_record) meta = rmt_record_new();
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) items = rmt_records_new();
    s_fill(meta, meta_text);
    s_fill(body, body_text);
    rmt_auto_str copy = strdup(items_text);
    char *rest = NULL;
    for (char *part = strtok_r(copy, "|", &rest); part; part = strtok_r(NULL, "|", &rest))
        s_fill(rmt_records_add(items), part);
    rmt_msg_destroy(&farm->reply);
    farm->reply = rmt_msg_new(RMT_MSG_REPLY);
    farm->is_answered = false;
    const rmt_call_t call = {function, meta, body, items};
    rmt_state_call(farm->state, &call, s_on_reply, farm);
    rmt_auto(zpoller) poller = zpoller_new(rmt_state_socket(farm->state), NULL);
    const int64_t limit = rmt_clock_ms() + 8000;
    while (!farm->is_answered && rmt_clock_ms() < limit) {
        zpoller_wait(poller, 100);
        rmt_state_handle(farm->state);
    }
    assert_true(farm->is_answered);
    if (farm->reply->code == RMT_E_INTERNAL)
        fail_msg("%s", farm->reply->text);
    return rmt_code_from(farm->reply->code);
}

#define OK(function, meta, body, items)                                                  \
    do {                                                                                 \
        if (s_call(farm, function, meta, body, items) != RMT_OK)                         \
            fail_msg("%s: %s", function, farm->reply->text);                             \
    } while (0)
#define REFUSED(code, function, meta, body, items)                                       \
    assert_int_equal(s_call(farm, function, meta, body, items), code)

static const char *
s_body(const farm_t *farm, const char *name)
{
    return rmt_record_text(farm->reply->body, name, "");
}

static size_t
s_count(const farm_t *farm)
{
    return rmt_records_count(farm->reply->items);
}

static const char *
s_item(const farm_t *farm, size_t index, const char *name)
{
    assert_true(index < s_count(farm));
    return rmt_record_text(rmt_records_at(farm->reply->items, index), name, "");
}

static int
s_setup(void **state)
{
    farm_t *farm = zmalloc(sizeof *farm);
    rmt_error_t error = {0};
    redis_server_new(&farm->redis);
    farm->state = rmt_state_new(farm->redis.socket, 2000, NULL, NULL, &error);
    assert_non_null(farm->state);
    *state = farm;
    return 0;
}

static int
s_teardown(void **state)
{
    farm_t *farm = *state;
    rmt_state_destroy(&farm->state);
    rmt_msg_destroy(&farm->reply);
    redis_server_destroy(&farm->redis);
    free(farm);
    return 0;
}

// ---- Records

static void
test_records_keep_names_and_addresses_unique(void **state)
{
    farm_t *farm = *state;
    OK("record_add", "by=a", "class=target name=t1 address=10.0.0.1 engine=lab", "");
    REFUSED(RMT_E_EXISTS, "record_add", "", "class=target name=t1", "");
    REFUSED(RMT_E_EXISTS, "record_add", "", "class=target name=t2 address=10.0.0.1", "");
    REFUSED(RMT_E_USAGE, "record_add", "", "class=target name=T2", "");
    REFUSED(RMT_E_USAGE, "record_add", "", "class=nothing name=t2", "");
    REFUSED(RMT_E_USAGE, "record_add", "", "class=target name=t2 present=yes", "");
    OK("record_add", "", "class=target name=t2 address=10.0.0.2 hardware=x", "");
    OK("record_set", "", "class=target name=t1 address=10.0.0.3", "");
    OK("record_set", "", "class=target name=t2 address=10.0.0.1", ""); // Free again
    OK("record_list", "", "class=target", "");
    assert_int_equal(s_count(farm), 2);
    assert_string_equal(s_item(farm, 0, "name"), "t1");
    assert_string_equal(s_item(farm, 0, "state"), "free");
    assert_string_equal(s_item(farm, 0, "present"), "no");
    assert_string_equal(s_item(farm, 1, "hardware"), "");
    OK("record_list", "", "class=target select=engine=lab", "");
    assert_int_equal(s_count(farm), 1);
    OK("record_show", "", "class=target name=t2", "");
    assert_string_equal(s_body(farm, "hardware"), "x");
    OK("record_remove", "", "class=target name=t1", "");
    REFUSED(RMT_E_NOT_FOUND, "record_show", "", "class=target name=t1", "");
}

static void
test_import_is_all_or_nothing(void **state)
{
    farm_t *farm = *state;
    REFUSED(RMT_E_EXISTS, "record_import", "", "class=target",
            "name=t1 address=10.0.0.1|name=t2 address=10.0.0.1");
    REFUSED(RMT_E_EXISTS, "record_import", "", "class=target", "name=t1|name=t1");
    REFUSED(RMT_E_USAGE, "record_import", "", "class=target", "name=t1|address=10.0.0.1");
    OK("record_list", "", "class=target", "");
    assert_int_equal(s_count(farm), 0);
    OK("record_import", "", "class=target", "name=t1 mac=aa|name=t2 mac=bb");
    OK("record_import", "", "class=target", "name=t1 mac=cc|name=t3 mac=aa");
    assert_string_equal(s_body(farm, "added"), "1");
    assert_string_equal(s_body(farm, "changed"), "1");
}

static void
test_lists_come_in_pages(void **state)
{
    farm_t *farm = *state;
    for (int i = 0; i < 3; i++) {
        rmt_auto_str items = strdup("");
        for (int n = 0; n < 400; n++) {
            char *longer = rmt_text("%s%sname=t%d-%03d", items, n ? "|" : "", i, n);
            free(items);
            items = longer;
        }
        OK("record_import", "", "class=target", items);
    }
    size_t total = 0;
    rmt_auto_str cursor = strdup("");
    do {
        rmt_auto_str meta = *cursor ? rmt_text("cursor=%s", cursor) : strdup("");
        OK("record_list", meta, "class=target", "");
        total += s_count(farm);
        free(cursor);
        cursor = strdup(farm->reply->cursor);
    } while (*cursor);
    assert_int_equal(total, 1200);
}

static void
test_scripts_are_given_in_name_order(void **state)
{
    farm_t *farm = *state;
    REFUSED(RMT_E_NOT_FOUND, "script_add", "", "engine=lab name=a content=x", "");
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_add", "", "class=target name=t9 engine=lab", "");
    OK("script_add", "hash=h2", "engine=lab name=20-b content=two", "");
    OK("script_add", "hash=h1", "engine=lab name=10-a content=one", "");
    OK("script_add", "hash=h3", "engine=lab name=15-c content=other target=t9", "");
    OK("script_page", "", "engine=lab target=t1", "");
    assert_int_equal(s_count(farm), 2);
    assert_string_equal(s_item(farm, 0, "content"), "one");
    OK("script_list", "", "engine=lab", "");
    assert_int_equal(s_count(farm), 3);
    assert_string_equal(s_item(farm, 0, "content"), "");
    OK("script_remove", "", "engine=lab name=10-a", "");
    REFUSED(RMT_E_NOT_FOUND, "script_remove", "", "engine=lab name=10-a", "");
}

// ---- Keys

static void
test_a_token_is_used_up_and_fits_one_role(void **state)
{
    farm_t *farm = *state;
    REFUSED(RMT_E_USAGE, "key_token", "hash=h0", "role=admin", "");
    REFUSED(RMT_E_USAGE, "key_token", "hash=h0", "role=imager", "");
    OK("key_token", "hash=h1", "role=imager place=hq uses=2 approve=yes", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h9", "key=k1 role=imager name=i1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=installer name=i1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=imager name=i1 place=x",
            "");
    OK("enrol", "hash=h1", "key=k1 role=imager name=i1", "");
    assert_string_equal(s_body(farm, "place"), "hq");
    OK("enrol", "hash=h1", "key=k1 role=imager name=i1", ""); // A repeat uses nothing
    OK("enrol", "hash=h1", "key=k2 role=imager name=i2", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k3 role=imager name=i3", "");
    OK("key_revoke", "", "name=i1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=imager name=i1", "");
    OK("key_list", "", "", "");
    assert_int_equal(s_count(farm), 2);
}

static void
test_a_new_machine_waits_for_approval(void **state)
{
    farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target place=lab uses=9", "");
    OK("enrol", "hash=h1", "key=k1 role=target identity=uuid-1 hardware=hw", "");
    assert_string_equal(s_body(farm, "pending"), "yes");
    rmt_auto_str name = strdup(s_body(farm, "name"));
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k1 role=target identity=uuid-1",
            "");
    rmt_auto_str body = rmt_text("class=target name=%s", name);
    OK("record_show", "", body, "");
    assert_string_equal(s_body(farm, "approved"), "pending");
    assert_string_equal(s_body(farm, "engine"), "lab");
    OK("record_approve", "", body, "");
    OK("enrol", "hash=h1", "key=k1 role=target identity=uuid-1", "");
    // The next boot brings a fresh key: the old one gives way.
    OK("key_token", "hash=h2", "role=target place=lab approve=yes", "");
    OK("enrol", "hash=h2", "key=k2 role=target identity=uuid-1", "");
    assert_string_equal(s_body(farm, "name"), name);
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h2", "key=k1 role=target", "");
}

// M20: the thin-kernel has a new key at each start, and needs no person for it.
static void
test_a_known_machine_does_not_wait_again(void **state)
{
    farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target place=lab uses=9", "");
    OK("record_add", "", "class=target name=t1 engine=lab identity=uuid:a", "");
    OK("enrol", "hash=h1", "key=k1 role=target identity=uuid:A", "");
    assert_string_equal(s_body(farm, "name"), "t1");
    OK("enrol", "hash=h1", "key=k2 role=target identity=uuid:A", "");
    assert_string_equal(s_body(farm, "name"), "t1");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=target identity=uuid:A",
            "");
    // Its name alone does not make a machine known.
    OK("enrol", "hash=h1", "key=k3 role=target name=t1", "");
    assert_string_equal(s_body(farm, "pending"), "yes");
}

static void
test_a_second_live_key_is_not_let_in(void **state)
{
    farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target name=t1 place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=k1 role=target name=t1", "");
    OK("peer_hello", "by=k1 role=target name=t1", "nonce=n1", "");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k2 role=target name=t1", "");
}

static void
s_redis(farm_t *farm, const char *command, const char *key, const char *argument)
{
    const char *const words[] = {"redis-cli", "-s", farm->redis.socket, command,
                                 key,         argument, NULL};
    rmt_error_t error = {0};
    assert_int_equal(rmt_process_run(words, NULL, NULL, &error), 0);
}

// A machine that starts twice within a minute is one machine: the doubt of its first
// start, more than 20 s ago, is over once the old key was silent.
static void
test_a_doubt_about_two_machines_ends_with_the_old_key(void **state)
{
    farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target name=t1 place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=k1 role=target name=t1", "");
    OK("peer_hello", "by=k1 role=target name=t1", "nonce=n1", "");
    s_redis(farm, "set", "ramet:second:target/t1", "1"); // Long ago
    s_redis(farm, "zrem", "ramet:live", "k1");
    OK("enrol", "hash=h1", "key=k2 role=target name=t1", "");
    OK("peer_hello", "by=k2 role=target name=t1", "nonce=n2", "");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k3 role=target name=t1", "");
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(s_body(farm, "held"), "");
}

static const char *
s_presence(farm_t *farm, const char *key, const char *silent_ms)
{
    rmt_auto_str item =
        rmt_text("key=%s role=target name=t1 services= silent-ms=%s", key, silent_ms);
    OK("presence", "", "", item);
    OK("record_show", "", "class=target name=t1", "");
    return s_body(farm, "present");
}

// P4: what a broker tells of a peer is when it was heard, not when that is told; so a machine
// that starts anew is let in 15 s after the last word of its old key.
static void
test_a_peer_is_present_for_15_s_after_its_last_word(void **state)
{
    farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target name=t1 place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=k1 role=target name=t1", "");
    assert_string_equal(s_presence(farm, "k1", "15500"), "no");
    OK("enrol", "hash=h1", "key=k2 role=target name=t1", "");
    assert_string_equal(s_presence(farm, "k2", "9000"), "yes");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k3 role=target name=t1", "");
    // Another broker, which heard it before, does not make it older; a clock put back does (P25).
    assert_string_equal(s_presence(farm, "k2", "15500"), "yes");
    s_redis(farm, "eval", "redis.call('ZADD', 'ramet:presence', 9e15, 'target/t1')", "0");
    assert_string_equal(s_presence(farm, "k2", "15500"), "no");
}

// ---- Jobs and tasks

static void
s_add_image(farm_t *farm)
{
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=image set.id=" IMAGE " set.name=img set.place=hq set.source=web "
       "set.state=COMPLETE set.hardware=hw|op=job state=done");
}

static void
test_an_idempotent_submit_makes_one_job(void **state)
{
    farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a idem=x job=" UID1 " job-name=j-aaaaaaaa",
       "source=web name=i", "");
    OK("image_create", "by=a idem=x job=" UID2 " job-name=j-bbbbbbbb",
       "source=web name=i", "");
    assert_string_equal(s_body(farm, "job"), UID1);
    REFUSED(RMT_E_EXISTS, "image_create", "by=b idem=x job=" UID2 " job-name=j-bbbbbbbb",
            "source=web name=i", "");
    REFUSED(RMT_E_NOT_FOUND, "image_create", "job=" UID2 " job-name=j-b", "source=no",
            "");
    OK("job_list", "", "", "");
    assert_int_equal(s_count(farm), 1);
    OK("job_show", "", "job=j-aaa", "");
    assert_string_equal(s_body(farm, "kind"), "image");
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", "job=j-b", "");
}

static void
s_begin_capture(farm_t *farm)
{
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=job set.stage=capture state=running|"
       "op=task task=" UID2 " service=commit@hq stage=capture subject=web b.place=hq");
}

static void
test_a_result_counts_once_and_only_from_its_holder(void **state)
{
    farm_t *farm = *state;
    s_begin_capture(farm);
    OK("drive_list", "", "", "");
    assert_int_equal(s_count(farm), 0);
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=4", "");
    assert_int_equal(s_count(farm), 1);
    assert_string_equal(s_item(farm, 0, "b.place"), "hq");
    OK("task_take", "by=w2", "service=commit@hq nonce=n1 n=4", "");
    assert_int_equal(s_count(farm), 0);
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=w2 code=0",
            "op=job state=done");
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" UID1 " rev=2 task=" UID2 " attempt=2 worker=w1 code=0",
            "op=job state=done");
    OK("job_step", "", "job=" UID1 " rev=1 task=" UID2 " attempt=1 worker=w1 code=0",
       "op=job state=done");
    assert_string_equal(s_body(farm, "again"),
                        "yes"); // The view was old: nothing happened
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(s_body(farm, "state"), "running");
    OK("job_step", "", "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=w1 code=0",
       "op=job state=done");
    assert_string_equal(s_body(farm, "recorded"), "now");
    OK("job_step", "", "job=" UID1 " rev=3 task=" UID2 " attempt=1 worker=w1 code=0",
       "op=job state=failed");
    assert_string_equal(s_body(farm, "recorded"), "before");
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(s_body(farm, "state"), "done");
}

static void
s_nap(long ms)
{
    zclock_sleep((int) ms);
}

static void
test_a_lease_that_runs_out_fences_the_old_attempt(void **state)
{
    farm_t *farm = *state;
    s_begin_capture(farm);
    OK("task_take", "by=w1", "service=commit@hq nonce=n1 n=1 lease-ms=50", "");
    OK("task_beat", "by=w1", "lease-ms=50", "task=" UID2 " attempt=1");
    assert_int_equal(s_count(farm), 0);
    s_nap(60);
    OK("task_reap", "", "", "");
    OK("task_beat", "by=w1", "", "task=" UID2 " attempt=1");
    assert_int_equal(s_count(farm), 1);
    OK("task_take", "by=w2", "service=commit@hq nonce=n2 n=1", "");
    assert_string_equal(s_item(farm, 0, "attempt"), "2");
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" UID1 " rev=2 task=" UID2 " attempt=1 worker=w1 code=0", "");
    REFUSED(RMT_E_FENCED, "task_phase", "by=w1", "task=" UID2 " attempt=1 phase=x", "");
    OK("task_phase", "by=w2", "task=" UID2 " attempt=2 phase=pack", "");
    OK("task_release", "by=w2", "task=" UID2 " attempt=2", "");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(s_body(farm, "attempt"), "3");
    assert_string_equal(s_body(farm, "state"), "queued");
}

static void
test_a_task_of_one_machine_is_never_given_away_while_it_may_run(void **state)
{
    farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=task task=" UID2 " service=capture@source/web stage=capture subject=web");
    OK("task_take", "by=w1", "service=capture@source/web nonce=n1 n=1 lease-ms=1", "");
    s_nap(10);
    OK("task_reap", "", "silent-s=600", "");
    assert_int_equal(s_count(farm), 0);
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(s_body(farm, "state"), "silent");
    OK("peer_hello", "by=w1 role=source name=web", "nonce=n1", "task=" UID2 " attempt=1");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(s_body(farm, "state"), "leased");
    assert_string_equal(s_body(farm, "attempt"), "1");
    OK("peer_hello", "by=w1 role=source name=web", "nonce=n2", "");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(s_body(farm, "state"), "queued");
    assert_string_equal(s_body(farm, "attempt"), "2");
    OK("task_take", "by=w1", "service=capture@source/web nonce=n2 n=1 lease-ms=1", "");
    s_nap(10);
    OK("task_reap", "", "silent-s=0", "");
    assert_int_equal(s_count(farm), 1); // Silent for too long: the broker fails it
}

// What each function would find is found by the one that is asked every second.
static void
test_a_scan_tells_what_is_due(void **state)
{
    farm_t *farm = *state;
    static const char *const kinds[] = {"drive", "queues", "stuck", "late", "boots"};
    OK("scan", "", "stuck-s=60 silent-s=600", "");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        assert_string_equal(s_body(farm, kinds[i]), "0");
    rmt_auto_str before = strdup(s_body(farm, "audit"));
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("scan", "", "stuck-s=60 silent-s=600", "");
    assert_string_equal(s_body(farm, "drive"), "1");
    assert_string_not_equal(s_body(farm, "audit"), before);
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=task task=" UID2 " service=capture@source/web stage=capture subject=web");
    OK("scan", "", "stuck-s=60 silent-s=600", "");
    assert_string_equal(s_body(farm, "queues"), "1");
    assert_string_equal(s_body(farm, "stuck"), "0");
    s_nap(5);
    OK("scan", "", "stuck-s=0 silent-s=600", "");
    assert_string_equal(s_body(farm, "stuck"), "1");
    OK("task_take", "by=w1", "service=capture@source/web nonce=n1 n=1 lease-ms=1", "");
    s_nap(10);
    OK("scan", "", "stuck-s=0 silent-s=600", "");
    assert_string_equal(s_body(farm, "queues"), "0");
    assert_string_equal(s_body(farm, "stuck"), "0");
    assert_string_equal(s_body(farm, "late"), "1");
    OK("task_reap", "", "silent-s=600", ""); // It turns silent
    OK("scan", "", "stuck-s=0 silent-s=600", "");
    assert_string_equal(s_body(farm, "late"), "0");
    s_nap(5);
    OK("scan", "", "stuck-s=0 silent-s=0", "");
    assert_string_equal(s_body(farm, "late"), "1");
}

static void
test_a_task_without_a_worker_is_shown_as_stuck(void **state)
{
    farm_t *farm = *state;
    s_begin_capture(farm);
    OK("task_stuck", "", "stuck-s=0", "");
    assert_int_equal(s_count(farm), 1);
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(s_body(farm, "stuck"), "no worker offers commit@hq");
    OK("peer_hello", "by=w1 role=imager name=i place=hq", "nonce=n services=commit@hq=2",
       "");
    OK("task_stuck", "", "stuck-s=0", "");
    assert_int_equal(s_count(farm), 0);
    OK("farm_status", "", "", "");
    assert_string_equal(s_item(farm, 0, "service"), "commit@hq");
    assert_string_equal(s_item(farm, 0, "slots"), "2");
    assert_string_equal(s_item(farm, 0, "queued"), "1");
    OK("task_take", "by=w1", "service=commit@hq nonce=n n=1", "");
    OK("job_show", "", "job=" UID1, "");
    assert_string_equal(s_body(farm, "stuck"), "");
}

static void
test_holders_are_told_to_those_with_a_reason(void **state)
{
    farm_t *farm = *state;
    s_begin_capture(farm);
    OK("peer_hello", "by=w1 role=imager name=i place=hq",
       "nonce=n services=receive@hq=2 port=99 addresses=@ key=dk", "");
    REFUSED(RMT_E_NOT_ALLOWED, "holders", "by=s1", "place=hq service=receive", "");
    OK("task_take", "by=s1", "service=commit@hq nonce=n1 n=1", "");
    OK("holders", "by=s1", "place=hq service=receive", "");
    assert_string_equal(s_item(farm, 0, "addresses"), "@");
    assert_string_equal(s_item(farm, 0, "key"), "dk");
    REFUSED(RMT_E_NOT_ALLOWED, "holders", "by=s1", "place=other service=receive", "");
    REFUSED(RMT_E_NOT_ALLOWED, "holders", "by=s1",
            "place=hq service=package image=" IMAGE, "");
    OK("grants", "", "place=hq", "");
    assert_int_equal(s_count(farm), 1);
    assert_string_equal(s_item(farm, 0, "key"), "s1");
}

static void
test_images_stay_while_an_open_job_names_them(void **state)
{
    farm_t *farm = *state;
    s_add_image(farm);
    OK("image_show", "", "name=" IMAGE, "");
    assert_string_equal(s_body(farm, "name"), "img");
    OK("image_list", "", "", "");
    assert_string_equal(s_item(farm, 0, "hardware"), "");
    OK("record_add", "", "class=engine name=lab", "");
    OK("deploy_plan", "job=" UID2 " job-name=j-bbbbbbbb", "image=img engines=lab", "");
    REFUSED(RMT_E_REFUSED, "image_remove", "", "name=img", "");
    OK("job_cancel", "", "job=" UID2, "");
    REFUSED(RMT_E_REFUSED, "job_cancel", "", "job=" UID2, "");
    OK("image_remove", "", "name=img", "");
    REFUSED(RMT_E_NOT_FOUND, "image_show", "", "name=img", "");
}

// ---- Deployments

#define DEPLOY "dddddddddddddddddddddddddddddddd"
#define PREPARE "0000000000000000000000000000000a"
#define WRITE "0000000000000000000000000000000b"
#define FIRSTKEY "firstboot-key"
#define SECONDKEY "firstboot-key-2"

// A deploy job over t1 and t2 of engine lab, with verdicts; t1 is present.
// The same system imaged twice is one id with two names.
static void
test_an_id_leaves_the_catalogue_with_its_last_name(void **state)
{
    farm_t *farm = *state;
    s_add_image(farm);
    OK("image_create", "by=a job=" UID2 " job-name=j-b", "source=web name=twin", "");
    OK("job_step", "", "job=" UID2 " rev=1",
       "op=image set.id=" IMAGE " set.name=twin set.place=hq set.state=COMPLETE|"
       "op=job state=done");
    OK("image_placed", "place=hq", "", "");
    assert_int_equal(s_count(farm), 2);
    OK("image_placed", "place=lab", "", "");
    assert_int_equal(s_count(farm), 0);
    OK("image_remove", "", "name=twin", "");
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(s_count(farm), 0);
    OK("image_show", "", "name=" IMAGE, ""); // By its id it is found under the other name
    assert_string_equal(s_body(farm, "name"), "img");
    OK("image_remove", "", "name=img", "");
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(s_count(farm), 1);
    assert_string_equal(s_item(farm, 0, "id"), IMAGE);
}

static void
test_what_is_pinned_or_may_be_coming_back_is_not_let_go(void **state)
{
    farm_t *farm = *state;
    s_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_add", "", "class=engine name=hq", "");
    REFUSED(RMT_E_NOT_FOUND, "store_pin", "", "place=nowhere image=img", "");
    REFUSED(RMT_E_NOT_FOUND, "store_unpin", "", "place=lab image=img", "");
    OK("store_pin", "by=a", "place=lab image=img reason=why", "");
    OK("store_pins", "", "place=lab", "");
    assert_string_equal(s_item(farm, 0, "reason"), "why");
    OK("image_remove", "", "name=img", "");
    OK("image_removed", "place=lab", "", "");
    assert_int_equal(s_count(farm), 0);
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(s_count(farm), 1);
    OK("store_unpin", "", "place=lab image=" IMAGE, "");
    OK("image_removed", "place=lab", "", "");
    assert_int_equal(s_count(farm), 1);

    // A commit may have saved it again just now.
    OK("image_create", "by=a job=" UID2 " job-name=j-b", "source=web name=twin", "");
    OK("job_step", "", "job=" UID2 " rev=1", "op=job set.stage=commit state=running");
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(s_count(farm), 0);
    assert_string_equal(s_body(farm, "busy"), "j-b");
    OK("image_removed", "place=lab", "", "");
    assert_int_equal(s_count(farm), 1);
}

static void
test_gc_is_refused_with_an_age_shorter_than_a_capture_runs(void **state)
{
    farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("record_add", "", "class=engine name=hq", "");
    OK("record_add", "", "class=engine name=lab", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-a", "source=web name=i", "");
    s_nap(20);
    REFUSED(RMT_E_REFUSED, "store_gc", "job=" UID2 " job-name=j-b", "place=hq age-s=0",
            "");
    assert_non_null(strstr(farm->reply->text, "j-a"));
    REFUSED(RMT_E_USAGE, "store_gc", "job=" UID2 " job-name=j-b", "place=hq age-s=x", "");
    OK("store_gc", "job=" UID2 " job-name=j-b", "place=lab age-s=0", "");
    OK("store_gc", "job=" UID3 " job-name=j-c", "place=hq", "");
    OK("job_show", "", "job=" UID3, "");
    assert_string_equal(s_body(farm, "age-s"), "86400");
}

static void
test_findings_count_once_and_only_from_who_holds_the_task(void **state)
{
    farm_t *farm = *state;
    OK("record_add", "", "class=engine name=hq", "");
    OK("store_check", "job=" UID1 " job-name=j-a", "place=hq", "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=task task=" UID2 " service=check@hq stage=check subject=hq");
    OK("task_take", "by=w1", "service=check@hq nonce=n1 n=1", "");
    REFUSED(RMT_E_FENCED, "finding_put", "by=w2", "task=" UID2 " attempt=1 at=0",
            "text=a");
    REFUSED(RMT_E_FENCED, "finding_put", "by=w1", "task=" UID2 " attempt=2 at=0",
            "text=a");
    OK("finding_put", "by=w1", "task=" UID2 " attempt=1 at=0", "text=a|text=b");
    for (int i = 0; i < 2; i++) // A page may travel twice
        OK("finding_put", "by=w1", "task=" UID2 " attempt=1 at=2", "text=c");
    REFUSED(RMT_E_REFUSED, "finding_put", "by=w1", "task=" UID2 " attempt=1 at=9",
            "text=z");
    OK("job_findings", "", "job=j-a", "");
    assert_int_equal(s_count(farm), 3);
    assert_string_equal(s_item(farm, 2, "text"), "c");
    OK("finding_put", "by=w1", "task=" UID2 " attempt=1 at=0", ""); // From the start
    OK("job_findings", "", "job=j-a", "");
    assert_int_equal(s_count(farm), 0);
}

static void
s_begin_deploy(farm_t *farm, const char *options)
{
    s_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_import", "", "class=target", "name=t1 engine=lab|name=t2 engine=lab");
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n1", "");
    rmt_auto_str body = rmt_text("image=img engines=lab %s", options);
    OK("deploy_start", "by=a job=" DEPLOY " job-name=j-dddddddd", body,
       "target=t1|target=t2");
    OK("verdict_put", "by=i1 place=lab", "job=" DEPLOY " engine=lab",
       "target=t1 fits=yes choice=c1|target=t2 fits=no reason=no_disk");
}

static const char *
s_target(farm_t *farm, const char *job, size_t index, const char *name)
{
    rmt_auto_str body = rmt_text("job=%s", job);
    OK("job_show", "", body, "");
    return s_item(farm, index, name);
}

static void
test_a_deploy_names_known_targets_of_its_engines(void **state)
{
    farm_t *farm = *state;
    s_add_image(farm);
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
    assert_string_equal(s_body(farm, "engines"), "paris");
    assert_int_equal(s_count(farm), 1);
}

static void
test_locking_is_all_or_nothing(void **state)
{
    farm_t *farm = *state;
    s_begin_deploy(farm, "");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=lock");
    assert_string_equal(s_target(farm, DEPLOY, 0, "state"), "failed");
    assert_string_equal(s_item(farm, 1, "error"), "no disk");
    assert_string_equal(s_body(farm, "state"), "failed");
    OK("lock_list", "", "", "");
    assert_int_equal(s_count(farm), 0);
}

static void
test_partial_locks_what_can_be_locked(void **state)
{
    farm_t *farm = *state;
    s_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=lock");
    assert_string_equal(s_body(farm, "driven"), "true");
    assert_string_equal(s_target(farm, DEPLOY, 0, "state"), "locked");
    assert_string_equal(s_body(farm, "engines-locked"), "lab");
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(s_body(farm, "epoch"), "1");
    assert_string_equal(s_body(farm, "armed"), "no");
    REFUSED(RMT_E_LOCKED, "record_remove", "", "class=target name=t1", "");
    OK("target_page", "", "engine=lab", "");
    assert_string_equal(s_item(farm, 0, "state"), "locked");
}

static void
test_a_held_or_absent_target_is_not_locked(void **state)
{
    farm_t *farm = *state;
    s_begin_deploy(farm, "partial=yes");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    REFUSED(RMT_E_USAGE, "target_hold", "", "name=t1", "");
    OK("target_hold", "", "name=t1 reason=fan", "");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=lock");
    assert_string_equal(s_target(farm, DEPLOY, 0, "error"), "held: fan");
    assert_string_equal(s_item(farm, 1, "error"), "its agent is not present");
    OK("target_unhold", "", "name=t1", "");
    OK("deploy_start", "job=" UID2 " job-name=j-eeeeeeee",
       "image=img partial=yes when-booted=yes", "target=t2");
    OK("verdict_put", "", "job=" UID2 " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" UID2 " rev=1", "op=lock");
    assert_string_equal(s_target(farm, UID2, 0, "state"), "locked");
}

// Lock t1 and put its prepare task, taken by its agent a1.
static void
s_begin_prepare(farm_t *farm)
{
    s_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=lock");
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=target target=t1 state=running|"
       "op=task task=" PREPARE
       " service=prepare@target/t1 stage=prepare subject=t1 b.order=o");
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
    assert_int_equal(s_count(farm), 1);
    assert_string_equal(s_item(farm, 0, "epoch"), "1");
}

static void
s_arm(farm_t *farm)
{
    s_begin_prepare(farm);
    OK("job_step", "", "job=" DEPLOY " rev=3 task=" PREPARE " attempt=1 worker=a1 code=0",
       "op=arm target=t1 task=" PREPARE " plan=p nonce=n1 key=" FIRSTKEY
       "|op=task task=" WRITE
       " service=write@target/t1 stage=write subject=t1 from=" PREPARE
       " b.plan=p b.nonce=n1");
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(s_body(farm, "armed"), "yes");
}

// M28: what has nothing to decide asks Redis for nothing; an end gives it something, once.
static void
test_a_job_is_driven_at_its_ends_alone(void **state)
{
    farm_t *farm = *state;
    s_begin_deploy(farm, "when-booted=yes");
    OK("verdict_put", "", "job=" DEPLOY " engine=lab", "target=t2 fits=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=lock");
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install set.started=2|op=target target=t1 state=running|"
       "op=target target=t2 state=running");
    assert_string_equal(s_body(farm, "driven"), "false");
    OK("drive_list", "", "", "");
    assert_int_equal(s_count(farm), 0);
    OK("job_cancel", "", "job=" DEPLOY, "target=t1");
    OK("drive_list", "", "", "");
    assert_int_equal(s_count(farm), 1);
    // What was decided before that end is decided again, so that the mark is not lost.
    OK("job_step", "", "job=" DEPLOY " rev=3", "");
    assert_string_equal(s_body(farm, "again"), "yes");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_string_equal(s_body(farm, "started"), "1"); // Room for another canary
    rmt_auto_str step = rmt_text("job=" DEPLOY " rev=%s", s_body(farm, "rev"));
    OK("job_step", "", step, "");
    assert_string_equal(s_body(farm, "driven"), "false");
}

static void
test_an_armed_target_ends_with_its_first_boot(void **state)
{
    farm_t *farm = *state;
    s_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    assert_string_equal(s_item(farm, 0, "b.order"), "o");
    assert_string_equal(s_item(farm, 0, "b.plan"), "p");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=boot target=t1 timeout-s=900");
    assert_string_equal(s_target(farm, DEPLOY, 0, "phase"), "awaiting-first-boot");
    OK("key_get", "", "key=" FIRSTKEY, "");
    assert_string_equal(s_body(farm, "role"), "firstboot");
    const char *meta = "by=" FIRSTKEY " role=firstboot name=t1 epoch=1";
    REFUSED(RMT_E_FENCED, "target_confirm", "by=x name=t1 epoch=9", "image=" IMAGE, "");
    REFUSED(RMT_E_REFUSED, "target_confirm", meta, "image=other", "");
    OK("target_confirm", meta, "image=" IMAGE " boot=b1 degraded=yes", "");
    OK("target_confirm", meta, "image=" IMAGE " boot=b1", ""); // The report once more
    assert_string_equal(s_target(farm, DEPLOY, 0, "phase"), "confirmed (degraded)");
    assert_string_equal(s_body(farm, "state"), "partial");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
    OK("key_get", "", "key=" FIRSTKEY, "");
    assert_string_equal(s_body(farm, "state"), "used");
    OK("job_logs", "", "job=" DEPLOY " target=t1", "");
    assert_true(s_count(farm) >= 5);
    OK("events_snapshot", "", "topic=job/" DEPLOY "/", "");
    assert_int_equal(s_count(farm), 3);
}

// P6, P10: a machine that lost its power while it was written has another key and nonce.
static void
test_a_machine_that_starts_anew_is_prepared_and_armed_again(void **state)
{
    farm_t *farm = *state;
    s_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    const char *prepare = "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=7";
    OK("job_step", "", prepare,
       "op=task task=" PREPARE
       " service=prepare@target/t1 stage=prepare subject=t1 again=yes");
    OK("task_take", "by=a2", "service=prepare@target/t1 nonce=n2 n=1", "");
    assert_string_equal(s_item(farm, 0, "attempt"), "2");
    assert_string_equal(s_item(farm, 0, "b.order"), "o");
    OK("job_step", "", "job=" DEPLOY " rev=5 task=" PREPARE " attempt=2 worker=a2 code=0",
       "op=arm target=t1 task=" PREPARE " plan=q nonce=n2 key=" SECONDKEY
       "|op=task task=" WRITE
       " service=write@target/t1 stage=write subject=t1 from=" PREPARE
       " again=yes b.plan=q b.nonce=n2");
    OK("task_take", "by=a2", "service=write@target/t1 nonce=n2 n=1", "");
    assert_string_equal(s_item(farm, 0, "attempt"), "2");
    assert_string_equal(s_item(farm, 0, "b.nonce"), "n2");
    assert_string_equal(s_item(farm, 0, "epoch"), "1");
    // What the first start says late has no effect.
    REFUSED(RMT_E_FENCED, "job_step", "",
            "job=" DEPLOY " rev=6 task=" WRITE " attempt=1 worker=a1 code=0",
            "op=boot target=t1");
    // Nor has it when the machine's key gives way to another one without a word of it.
    OK("key_token", "hash=h7", "role=target place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h7", "key=a2 role=target name=t1 identity=uuid:7", "");
    OK("enrol", "hash=h7", "key=a3 role=target name=t1 identity=uuid:7", "");
    OK("task_take", "by=a3", "service=write@target/t1 nonce=n3 n=1", "");
    assert_string_equal(s_item(farm, 0, "attempt"), "3");
}

// M18, M25: what a first boot says, and what is wrong with it, is there for people.
static void
test_a_first_boot_is_heard_and_its_faults_are_told(void **state)
{
    farm_t *farm = *state;
    s_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=target target=t1 warning=twin|op=target target=t1 warning=no_boot_entry|"
       "op=target target=t1 warning=twin|op=boot target=t1 timeout-s=0");
    assert_string_equal(s_target(farm, DEPLOY, 0, "warning"), "twin; no boot entry");
    assert_non_null(strstr(s_target(farm, DEPLOY, 0, "text"), "nothing since"));
    const char *meta = "by=" FIRSTKEY " role=firstboot name=t1 epoch=1";
    REFUSED(RMT_E_FENCED, "target_heard", "by=x name=t1 epoch=9", "text=x", "");
    OK("target_heard", meta, "text=scripts-run", "");
    assert_non_null(strstr(s_target(farm, DEPLOY, 0, "text"), "last heard: scripts-run"));
    s_nap(5);
    OK("boot_reap", "", "", "");
    assert_string_equal(s_target(farm, DEPLOY, 0, "error"),
                        "awaiting first boot; last heard: scripts-run");
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n9", "");
    assert_non_null(strstr(s_target(farm, DEPLOY, 0, "text"), "its installer answers"));
    OK("target_confirm", meta,
       "image=" IMAGE " boot=b1 failed-units=nginx.service missing-addresses=10.0.0.7",
       "script=01-a exit=0 end=well|script=02-b exit=3 end=status-3 output=last");
    assert_string_equal(s_target(farm, DEPLOY, 0, "phase"), "confirmed (degraded)");
    assert_string_equal(s_target(farm, DEPLOY, 0, "warning"),
                        "twin; no boot entry; failed units: nginx.service; addresses not up: 10.0.0.7; "
                        "script 02-b status-3");
    OK("job_logs", "", "job=" DEPLOY " target=t1", "");
    bool is_told = false;
    for (size_t i = 0; i < s_count(farm); i++)
        is_told = is_told || (strcmp(s_item(farm, i, "what"), "script.failed") == 0 &&
                              strcmp(s_item(farm, i, "text"), "02-b status-3: last") == 0);
    assert_true(is_told);
    REFUSED(RMT_E_FENCED, "target_heard", meta, "text=x", ""); // Its key is used up
}

static void
test_a_failure_before_arm_unlocks_and_after_it_does_not(void **state)
{
    farm_t *farm = *state;
    s_begin_prepare(farm);
    OK("job_step", "",
       "job=" DEPLOY " rev=3 task=" PREPARE " attempt=1 worker=a1 code=16",
       "op=failed target=t1 code=16 text=disk_is_gone");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
    assert_string_equal(s_target(farm, DEPLOY, 0, "error"), "disk is gone");
    OK("job_retry", "job=" UID2 " job-name=j-eeeeeeee", "job=" DEPLOY, "");
    OK("job_show", "", "job=" UID2, "");
    assert_int_equal(s_count(farm), 2);
}

static void
test_a_lock_is_taken_over_only_from_a_dead_writer(void **state)
{
    farm_t *farm = *state;
    s_arm(farm);
    const char *again = "job=" UID2 " job-name=j-eeeeeeee";
    OK("deploy_start", again, "image=img take-over=yes", "target=t1");
    OK("verdict_put", "", "job=" UID2 " engine=lab", "target=t1 fits=yes");
    OK("job_step", "", "job=" UID2 " rev=1", "op=lock");
    assert_string_equal(s_target(farm, UID2, 0, "code"), "5"); // Its job has not ended
    OK("job_step", "", "job=" DEPLOY " rev=4", "op=failed target=t1 code=12 text=io");
    OK("lock_show", "", "target=t1", "");
    OK("job_retry", "job=" UID3 " job-name=j-ffffffff", "job=" UID2, "");
    OK("verdict_put", "", "job=j-ffffffff engine=lab", "target=t1 fits=yes");
    OK("job_step", "", "job=" UID3 " rev=1", "op=lock");
    OK("job_show", "", "job=j-ffffffff", "");
    assert_string_equal(s_item(farm, 0, "code"),
                        "5"); // The agent is the one of the write
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n2", "");
    OK("job_retry", "job=" UID4 " job-name=j-gggggggg", "job=j-ffffffff", "");
    OK("verdict_put", "", "job=j-gggggggg engine=lab", "target=t1 fits=yes");
    OK("job_step", "", "job=" UID4 " rev=1", "op=lock");
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(s_body(farm, "epoch"), "2");
    assert_string_equal(s_body(farm, "armed"), "no");
    REFUSED(RMT_E_FENCED, "target_confirm", "by=" FIRSTKEY " name=t1 epoch=1",
            "image=" IMAGE, "");
}

static void
test_a_broken_lock_fences_and_holds(void **state)
{
    farm_t *farm = *state;
    s_arm(farm);
    REFUSED(RMT_E_USAGE, "lock_break", "", "target=t1", "");
    OK("lock_break", "by=a", "target=t1 reason=burnt", "");
    REFUSED(RMT_E_NOT_FOUND, "lock_break", "", "target=t1 reason=burnt", "");
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    assert_int_equal(s_count(farm), 0);
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(s_body(farm, "state"), "held");
    REFUSED(RMT_E_FENCED, "target_confirm", "by=" FIRSTKEY " name=t1 epoch=1",
            "image=" IMAGE, "");
    assert_string_equal(s_target(farm, DEPLOY, 0, "state"), "failed");
}

static void
test_a_task_for_a_disk_needs_the_lock(void **state)
{
    farm_t *farm = *state;
    s_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1",
       "op=task task=" WRITE " service=write@target/t1 stage=write subject=t1");
    assert_string_equal(s_target(farm, DEPLOY, 0, "code"), "7");
    OK("queues", "", "", "");
    assert_int_equal(s_count(farm), 0);
}

static void
test_cancel_spares_what_is_armed(void **state)
{
    farm_t *farm = *state;
    s_arm(farm);
    OK("job_cancel", "", "job=" DEPLOY, "");
    assert_string_equal(s_body(farm, "going-on"), "1");
    OK("lock_show", "", "target=t1", "");
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    assert_int_equal(s_count(farm), 1);
}

static void
test_cancel_before_arm_unlocks(void **state)
{
    farm_t *farm = *state;
    s_begin_prepare(farm);
    OK("job_cancel", "", "job=" DEPLOY, "target=t1");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
    OK("task_beat", "by=a1", "", "task=" PREPARE " attempt=1");
    assert_int_equal(s_count(farm), 1); // The agent is told to stop
    OK("job_step", "", "job=" DEPLOY " rev=9 task=" PREPARE " attempt=1 worker=a1 code=0",
       "");
    assert_string_equal(s_body(farm, "recorded"), "before");
}

static void
test_a_first_boot_that_does_not_come_fails_but_keeps_the_lock(void **state)
{
    farm_t *farm = *state;
    s_arm(farm);
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
    OK("job_step", "", "job=" DEPLOY " rev=4 task=" WRITE " attempt=1 worker=a1 code=0",
       "op=boot target=t1 timeout-s=0");
    s_nap(5);
    OK("scan", "", "", "");
    assert_string_equal(s_body(farm, "boots"), "1");
    OK("boot_reap", "", "", "");
    assert_string_equal(s_target(farm, DEPLOY, 0, "error"), "awaiting first boot");
    OK("lock_show", "", "target=t1", "");
    OK("target_confirm", "by=" FIRSTKEY " name=t1 epoch=1", "image=" IMAGE, "");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
}

// ---- Eras and Redis itself

static void
test_a_redis_behind_the_state_file_raises_the_era(void **state)
{
    farm_t *farm = *state;
    OK("era_open", "", "era=0 last=0-0", "");
    assert_string_equal(s_body(farm, "era"), "1");
    OK("audit_append", "", "what=note text=x", "");
    rmt_auto_str last = strdup(s_body(farm, "id"));
    rmt_auto_str same = rmt_text("era=1 last=%s", last);
    OK("era_open", "", same, "");
    assert_string_equal(s_body(farm, "raised"), "no");
    OK("era_open", "", "era=1 last=9999999999999-0", "");
    assert_string_equal(s_body(farm, "era"), "2");
    assert_string_equal(s_body(farm, "raised"), "yes");
    OK("era_open", "", "era=7 last=0-0", "");
    assert_string_equal(s_body(farm, "era"), "8");
    OK("audit_read", "", "after=0-0", "");
    assert_int_equal(s_count(farm), 3);
}

static void
test_calls_fail_while_redis_is_gone_and_work_again_after(void **state)
{
    farm_t *farm = *state;
    OK("record_add", "", "class=source name=web", "");
    redis_server_end(&farm->redis, SIGKILL);
    REFUSED(RMT_E_UNAVAILABLE, "record_list", "", "class=source", "");
    redis_server_start(&farm->redis);
    OK("record_list", "", "class=source", ""); // appendfsync always: nothing is lost
    assert_int_equal(s_count(farm), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_records_keep_names_and_addresses_unique),
        CASE(test_import_is_all_or_nothing),
        CASE(test_lists_come_in_pages),
        CASE(test_scripts_are_given_in_name_order),
        CASE(test_a_token_is_used_up_and_fits_one_role),
        CASE(test_a_new_machine_waits_for_approval),
        CASE(test_a_known_machine_does_not_wait_again),
        CASE(test_a_second_live_key_is_not_let_in),
        CASE(test_a_doubt_about_two_machines_ends_with_the_old_key),
        CASE(test_a_peer_is_present_for_15_s_after_its_last_word),
        CASE(test_an_idempotent_submit_makes_one_job),
        CASE(test_a_result_counts_once_and_only_from_its_holder),
        CASE(test_a_lease_that_runs_out_fences_the_old_attempt),
        CASE(test_a_task_of_one_machine_is_never_given_away_while_it_may_run),
        CASE(test_a_scan_tells_what_is_due),
        CASE(test_a_task_without_a_worker_is_shown_as_stuck),
        CASE(test_holders_are_told_to_those_with_a_reason),
        CASE(test_images_stay_while_an_open_job_names_them),
        CASE(test_an_id_leaves_the_catalogue_with_its_last_name),
        CASE(test_what_is_pinned_or_may_be_coming_back_is_not_let_go),
        CASE(test_gc_is_refused_with_an_age_shorter_than_a_capture_runs),
        CASE(test_findings_count_once_and_only_from_who_holds_the_task),
        CASE(test_a_deploy_names_known_targets_of_its_engines),
        CASE(test_locking_is_all_or_nothing),
        CASE(test_partial_locks_what_can_be_locked),
        CASE(test_a_held_or_absent_target_is_not_locked),
        CASE(test_a_job_is_driven_at_its_ends_alone),
        CASE(test_an_armed_target_ends_with_its_first_boot),
        CASE(test_a_machine_that_starts_anew_is_prepared_and_armed_again),
        CASE(test_a_first_boot_is_heard_and_its_faults_are_told),
        CASE(test_a_failure_before_arm_unlocks_and_after_it_does_not),
        CASE(test_a_lock_is_taken_over_only_from_a_dead_writer),
        CASE(test_a_broken_lock_fences_and_holds),
        CASE(test_a_task_for_a_disk_needs_the_lock),
        CASE(test_cancel_spares_what_is_armed),
        CASE(test_cancel_before_arm_unlocks),
        CASE(test_a_first_boot_that_does_not_come_fails_but_keeps_the_lock),
        CASE(test_a_redis_behind_the_state_file_raises_the_era),
        CASE(test_calls_fail_while_redis_is_gone_and_work_again_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
