// The audit stream and its way into the files of the brokers (P24; [8.x] of
// docs/spec/8-audit.md).
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "state/rmt_limits.h"

#define TRIM_SLACK 3000 // The stream may be so much longer than it must be
#define BY "by=k1 role=operator name=ann address=10.1.2.3"

static uint64_t
s_eval(const state_farm_t *farm, const char *script)
{
    rmt_auto_str output = redis_server_eval(&farm->redis, script);
    return strtoull(output, NULL, 10);
}

// So many entries beside those that are there, as fast as Redis makes them.
static void
s_fill(const state_farm_t *farm, int count)
{
    rmt_auto_str script = rmt_text(
        "for i = 1, %d do redis.call('XADD', 'ramet:audit', '*', 'what', 'note', "
        "'moment', i, 'serial', redis.call('INCR', 'ramet:audit-serial')) end",
        count);
    (void) s_eval(farm, script);
}

static uint64_t
s_length(const state_farm_t *farm)
{
    return s_eval(farm, "return redis.call('XLEN', 'ramet:audit')");
}

// The file of the broker with this key ends with line n, and has all up to an entry.
static void
s_export(state_farm_t *farm, const char *key, int n, const char *id, const char *more)
{
    rmt_auto_str body =
        rmt_text("key=%s broker=b-%s n=%d link=l%d id=%s%s", key, key, n, n, id, more);
    OK("audit_export", "", body, "");
}

static char *
s_last(state_farm_t *farm)
{
    OK("scan", "", "", "");
    return strdup(state_farm_body(farm, "audit"));
}

// P24 [8.1]: the entry is there when the call is answered, with who did it, and from
// where.
static void
test_each_change_is_an_entry_of_the_same_call(void **state)
{
    static const struct {
        const char *function, *body, *what;
    } rows[] = {
        {"record_add", "class=target name=t7 engine=lab", "target.add"},
        {"record_set", "class=target name=t7 rack=r1", "target.set"},
        {"target_hold", "name=t7 reason=fan", "target.hold"},
        {"target_unhold", "name=t7", "target.unhold"},
        {"target_protect", "name=t7 reason=fan", "target.protect"},
        {"target_unprotect", "name=t7", "target.unprotect"},
        {"record_remove", "class=target name=t7", "target.remove"},
        {"store_pin", "place=lab image=img", "store.pin"},
        {"store_unpin", "place=lab image=img", "store.unpin"},
        {"script_add", "engine=lab name=10-a content=one", "script.add"},
        {"script_remove", "engine=lab name=10-a", "script.remove"},
        {"key_token", "role=viewer", "key.token"},
        {"image_create", "source=web name=img-2", "job.submit"},
        {"job_cancel", "job=" UID2, "job.cancel"},
        {"image_remove", "name=img", "image.remove"},
    };
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str before = s_last(farm);
        OK(rows[i].function, BY " hash=h job=" UID2 " job-name=j-bbbbbbbb", rows[i].body,
           "");
        rmt_auto_str after = rmt_text("after=%s", before);
        OK("audit_read", "", after, "");
        size_t at = 0;
        while (at < state_farm_count(farm) &&
               strcmp(state_farm_item(farm, at, "what"), rows[i].what) != 0)
            at++;
        if (at == state_farm_count(farm))
            fail_msg("%s made no entry %s", rows[i].function, rows[i].what);
        assert_string_equal(state_farm_item(farm, at, "by"), "k1");
        assert_string_equal(state_farm_item(farm, at, "by-name"), "ann");
        assert_string_equal(state_farm_item(farm, at, "by-role"), "operator");
        assert_string_equal(state_farm_item(farm, at, "address"), "10.1.2.3");
    }
    // What was refused has changed nothing.
    rmt_auto_str before = s_last(farm);
    REFUSED(RMT_E_NOT_FOUND, "target_hold", BY, "name=nobody reason=fan", "");
    rmt_auto_str after = s_last(farm);
    assert_string_equal(after, before);
}

// P24 [8.6]: a broker gets what it does not have, and Redis knows how far it has come.
static void
test_a_broker_gets_what_its_file_does_not_have(void **state)
{
    state_farm_t *farm = *state;
    OK("audit_append", "", "what=note text=one", "");
    OK("audit_append", "", "what=note text=two", "");
    s_export(farm, "a", 0, "0-0", "");
    assert_int_equal(state_farm_count(farm), 2);
    assert_string_equal(state_farm_item(farm, 0, "serial"), "1");
    assert_string_equal(state_farm_item(farm, 1, "text"), "two");
    rmt_auto_str first = strdup(state_farm_item(farm, 0, "id"));
    rmt_auto_str second = strdup(state_farm_item(farm, 1, "id"));
    s_export(farm, "a", 2, first, ""); // It has a mark and the first one
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "text"), "two");
    s_export(farm, "a", 3, second, " fault=full");
    assert_int_equal(state_farm_count(farm), 0);
    OK("audit_heads", "", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "n"), "3");
    assert_string_equal(state_farm_item(farm, 0, "link"), "l3");
    OK("farm_check", "", "version=1 appendonly=yes", "");
    assert_non_null(strstr(state_farm_item(farm, 0, "text"), "broker b-a cannot write"));
    // The broker that asks knows of its own files itself, so its fault is told once.
    const size_t count = state_farm_count(farm);
    OK("farm_check", "", "version=1 appendonly=yes broker=b-a audit-fault=gone", "");
    assert_int_equal(state_farm_count(farm), count);
    assert_non_null(strstr(state_farm_item(farm, 0, "text"), "audit files: gone"));
}

// P24 [8.7]: whatever the length of the stream, what a broker of the last day has in no
// file stays in it.
static void
test_nothing_is_trimmed_before_it_is_in_a_file(void **state)
{
    state_farm_t *farm = *state;
    OK("audit_append", "", "what=note text=first", "");
    s_export(farm, "a", 0, "0-0", "");
    s_export(farm, "b", 0, "0-0", "");
    rmt_auto_str first = strdup(state_farm_item(farm, 0, "id"));
    s_fill(farm, RMT_AUDIT_KEPT + TRIM_SLACK);
    const uint64_t whole = s_length(farm);
    rmt_auto_str last = s_last(farm);
    s_export(farm, "a", 2, last, ""); // One has all, the other nothing
    assert_int_equal(s_length(farm), whole);
    s_export(farm, "b", 2, first, "");
    assert_int_equal(s_length(farm), whole);
    for (int i = 0; i < 3; i++)
        s_export(farm, "b", 3 + i, last, "");
    const uint64_t left = s_length(farm);
    assert_true(left >= RMT_AUDIT_KEPT && left < RMT_AUDIT_KEPT + TRIM_SLACK);
    // A third one that was away for long is told that something is missing.
    s_export(farm, "c", 1, first, "");
    assert_string_equal(state_farm_body(farm, "gap"), "yes");
}

// P17 P24 [8.8]: when no broker can write its files, new jobs are refused before Redis is
// full; what is under way goes on.
static void
test_no_new_job_while_no_file_has_the_audit(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "job=" UID1 " job-name=j-aaaaaaaa", "source=web name=one", "");
    s_fill(farm, RMT_AUDIT_WAITING_MAX);
    REFUSED(RMT_E_UNAVAILABLE, "image_create", "job=" UID2 " job-name=j-bbbbbbbb",
            "source=web name=two", "");
    assert_non_null(strstr(farm->reply->text, "ramet doctor"));
    OK("farm_check", "", "version=1 appendonly=yes", "");
    assert_non_null(strstr(state_farm_item(farm, 0, "text"), "new jobs are refused"));
    OK("job_cancel", "", "job=" UID1, "");
    rmt_auto_str last = s_last(farm);
    s_export(farm, "a", 1, last, "");
    OK("image_create", "job=" UID2 " job-name=j-bbbbbbbb", "source=web name=two", "");
}

static void
s_copy(const state_farm_t *farm, const char *from, const char *to)
{
    rmt_error_t error = {0};
    rmt_auto_str source = rmt_text("%s/%s", farm->redis.dir, from);
    rmt_auto_str target = rmt_text("%s/%s", farm->redis.dir, to);
    const char *const words[] = {"cp",   "-aT",  "--remove-destination",
                                 source, target, NULL};
    RMT_OK(rmt_io_remove_tree(target, &error));
    RMT_OK(rmt_process_run(words, NULL, NULL, &error));
}

// P24 [8.9]: a Redis that was restored from an older copy is known by the entry that it
// lacks; the broker goes on behind what that copy knew to be in its file.
static void
test_a_restored_redis_is_told(void **state)
{
    state_farm_t *farm = *state;
    rmt_error_t error = {0};
    OK("era_open", "", "era=0 last=0-0", "");
    OK("audit_append", "", "what=note text=old", "");
    s_export(farm, "a", 0, "0-0", "");
    rmt_auto_str old = strdup(state_farm_item(farm, 0, "id"));
    s_export(farm, "a", 2, old, "");
    rmt_auto_str aof = rmt_text("%s/copy", farm->redis.dir);
    RMT_OK(rmt_io_mkdirs(aof, 0700, &error));
    s_copy(farm, "appendonlydir", "copy");
    OK("audit_append", "", "what=note text=lost", "");
    OK("audit_read", "", "", "");
    rmt_auto_str lost = strdup(state_farm_item(farm, 1, "id"));
    rmt_auto_str moment = rmt_text(" moment=%s", state_farm_item(farm, 1, "moment"));
    s_export(farm, "a", 3, lost, moment);
    assert_string_equal(state_farm_body(farm, "lost"), "");
    redis_server_end(&farm->redis, SIGKILL);
    REFUSED(RMT_E_UNAVAILABLE, "queues", "", "", ""); // So that the loss is heard of
    s_copy(farm, "copy", "appendonlydir");
    redis_server_start(&farm->redis);
    OK("audit_append", "", "what=note text=since", "");
    s_export(farm, "a", 3, lost, moment);
    assert_string_equal(state_farm_body(farm, "lost"), "yes");
    assert_string_equal(state_farm_body(farm, "after"), old);
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "text"), "since");
}

// P24 [8.10]: a file that ends before what the broker said of it was cut. The broker
// writes a mark and says so; from then on its files count as they are.
static void
test_a_file_that_lost_its_end_is_told(void **state)
{
    state_farm_t *farm = *state;
    OK("audit_append", "", "what=note text=one", "");
    s_export(farm, "a", 0, "0-0", "");
    rmt_auto_str id = strdup(state_farm_item(farm, 0, "id"));
    s_export(farm, "a", 9, id, "");
    s_export(farm, "a", 9, id, ""); // Said again
    assert_string_equal(state_farm_body(farm, "cut"), "");
    s_export(farm, "a", 4, "0-0", "");
    assert_string_equal(state_farm_body(farm, "cut"), "9");
    s_export(farm, "a", 5, "0-0", " cut=9");
    assert_string_equal(state_farm_body(farm, "cut"), "");
    assert_int_equal(state_farm_count(farm), 1); // It is written again
    OK("audit_heads", "", "", "");
    assert_string_equal(state_farm_item(farm, 0, "n"), "5");
    OK("audit_export", "", "key=a broker=b n=5 link=other id=0-0", "");
    assert_string_equal(state_farm_body(farm, "cut"), "5"); // Or exchanged
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    OK("farm_check", "", "version=1 appendonly=yes", "");
    assert_string_equal(state_farm_item(farm, 0, "check"), "audit");
    assert_non_null(strstr(state_farm_item(farm, 0, "text"), "had lines that are gone"));
}

static void
s_need_listed(state_farm_t *farm, const char *body, size_t count, const char *first)
{
    OK("audit_list", "", body, "");
    assert_int_equal(state_farm_count(farm), count);
    assert_string_equal(state_farm_item(farm, 0, "what"), first);
}

// P24: who did what, the youngest first, by key or name, target, job, and refused acts.
static void
test_the_audit_is_searched(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_add", BY, "class=target name=t1 engine=lab", "");
    OK("record_add", "by=k2 role=admin name=bob", "class=target name=t2 engine=lab", "");
    OK("audit_append", "", "what=act.refused key=k3 by-name=eve act=target.add", "");
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=k2 job=" UID1 " job-name=j-aaaaaaaa", "source=web name=one",
       "");
    s_need_listed(farm, "by=ann", 1, "target.add");
    s_need_listed(farm, "by=k1", 1, "target.add");
    s_need_listed(farm, "by=eve", 1, "act.refused");
    s_need_listed(farm, "by=k3", 1, "act.refused");
    s_need_listed(farm, "target=t2", 1, "target.add");
    s_need_listed(farm, "job=j-aaaaaaaa", 1, "job.submit");
    s_need_listed(farm, "refused=yes", 1, "act.refused");
    s_need_listed(farm, "since-ms=1", 6, "job.submit");
    OK("audit_list", "", "since-ms=99999999999999", "");
    assert_int_equal(state_farm_count(farm), 0);
    s_need_listed(farm, "limit=2", 2, "job.submit");
    rmt_auto_str meta = rmt_text("cursor=%s", farm->reply->cursor);
    OK("audit_list", meta, "limit=2", "");
    assert_string_equal(state_farm_item(farm, 0, "what"), "act.refused");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_change_is_an_entry_of_the_same_call),
        CASE(test_a_broker_gets_what_its_file_does_not_have),
        CASE(test_nothing_is_trimmed_before_it_is_in_a_file),
        CASE(test_no_new_job_while_no_file_has_the_audit),
        CASE(test_a_restored_redis_is_told),
        CASE(test_a_file_that_lost_its_end_is_told),
        CASE(test_the_audit_is_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
