// Names, addresses and pages of records; the state behind a Redis that is gone or older.
#include <signal.h>
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "tools/rmt_wait.h"

// M1: a change keeps to that too.
static void
test_records_keep_names_and_addresses_unique(void **state)
{
    state_farm_t *farm = *state;
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
    assert_int_equal(state_farm_count(farm), 2);
    assert_string_equal(state_farm_item(farm, 0, "name"), "t1");
    assert_string_equal(state_farm_item(farm, 0, "state"), "free");
    assert_string_equal(state_farm_item(farm, 0, "present"), "no");
    assert_string_equal(state_farm_item(farm, 1, "hardware"), "");
    OK("record_list", "", "class=target select=engine=lab", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("record_show", "", "class=target name=t2", "");
    assert_string_equal(state_farm_body(farm, "hardware"), "x");
    OK("record_remove", "", "class=target name=t1", "");
    REFUSED(RMT_E_NOT_FOUND, "record_show", "", "class=target name=t1", "");
}

// U10: what is used, or would come back by itself, is removed by force alone.
static void
test_what_is_in_use_is_removed_by_force_alone(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=engine name=rome", "");
    OK("record_add", "", "class=target name=r1 engine=rome", "");
    REFUSED(RMT_E_REFUSED, "record_remove", "", "class=engine name=rome", "");
    assert_non_null(strstr(farm->reply->text, "target r1"));
    OK("script_add", "hash=h", "engine=rome name=10-a content=x target=r1", "");
    REFUSED(RMT_E_EXISTS, "script_add", "hash=h", "engine=rome name=10-a content=y", "");
    OK("script_add", "hash=h", "engine=rome name=10-a content=y target=r1", "");
    OK("script_add", "hash=h", "engine=rome name=10-a content=y force=yes", "");
    OK("record_remove", "", "class=target name=r1", ""); // Its agent is absent
    REFUSED(RMT_E_REFUSED, "record_remove", "", "class=engine name=rome", "");
    OK("record_remove", "", "class=engine name=rome force=yes", "");
    OK("record_add", "", "class=target name=r2", "");
    OK("peer_hello", "by=k2 role=target name=r2", "nonce=n1", "");
    REFUSED(RMT_E_REFUSED, "record_remove", "", "class=target name=r2", "");
    OK("record_remove", "", "class=target name=r2 force=yes", "");
}

// M1: a second import changes what it names.
static void
test_import_is_all_or_nothing(void **state)
{
    state_farm_t *farm = *state;
    REFUSED(RMT_E_EXISTS, "record_import", "", "class=target",
            "name=t1 address=10.0.0.1|name=t2 address=10.0.0.1");
    REFUSED(RMT_E_EXISTS, "record_import", "", "class=target", "name=t1|name=t1");
    REFUSED(RMT_E_USAGE, "record_import", "", "class=target", "name=t1|address=10.0.0.1");
    OK("record_list", "", "class=target", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("record_import", "", "class=target", "name=t1 mac=aa|name=t2 mac=bb");
    OK("record_import", "", "class=target", "name=t1 mac=cc|name=t3 mac=aa");
    assert_string_equal(state_farm_body(farm, "added"), "1");
    assert_string_equal(state_farm_body(farm, "changed"), "1");
}

// [1.16]: the cursor leads to the last record.
static void
test_lists_come_in_pages(void **state)
{
    state_farm_t *farm = *state;
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
        total += state_farm_count(farm);
        free(cursor);
        cursor = strdup(farm->reply->cursor);
    } while (*cursor);
    assert_int_equal(total, 1200);
}

// [1.16]: An envelope has 256 KiB (docs/spec/1-wire.md).
static void
test_a_page_is_no_larger_than_a_message(void **state)
{
    static const size_t counts[] = {2, 1};
    state_farm_t *farm = *state;
    char text[90001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    OK("record_add", "", "class=engine name=lab", "");
    for (int i = 0; i < 3; i++) {
        rmt_auto_str body =
            rmt_text("class=target name=t%d engine=lab comment=%s", i, text);
        OK("record_add", "", body, "");
    }
    rmt_auto_str cursor = strdup("");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        rmt_auto_str meta = rmt_text("cursor=%s", cursor);
        OK("target_page", meta, "engine=lab", "");
        assert_int_equal(state_farm_count(farm), counts[i]);
        free(cursor);
        cursor = strdup(farm->reply->cursor);
    }
    assert_string_equal(cursor, "");
}

static void
test_scripts_of_all_engines_are_listed_to_the_last(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=engine name=hq", "");
    OK("record_add", "", "class=engine name=lab", "");
    for (int i = 0; i < 510; i++) {
        rmt_auto_str body = rmt_text("engine=%s name=s%d content=x", i ? "hq" : "lab", i);
        OK("script_add", "hash=h", body, "");
    }
    size_t total = 0;
    rmt_auto_str cursor = strdup("");
    do {
        rmt_auto_str meta = *cursor ? rmt_text("cursor=%s", cursor) : strdup("");
        OK("script_list", meta, "", "");
        total += state_farm_count(farm);
        free(cursor);
        cursor = strdup(farm->reply->cursor);
    } while (*cursor);
    assert_int_equal(total, 510);
}

static void
test_scripts_are_given_in_name_order(void **state)
{
    state_farm_t *farm = *state;
    REFUSED(RMT_E_NOT_FOUND, "script_add", "", "engine=lab name=a content=x", "");
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_add", "", "class=target name=t9 engine=lab", "");
    OK("script_add", "hash=h2", "engine=lab name=20-b content=two", "");
    OK("script_add", "hash=h1", "engine=lab name=10-a content=one", "");
    OK("script_add", "hash=h3", "engine=lab name=15-c content=other target=t9", "");
    OK("script_page", "", "engine=lab target=t1", "");
    assert_int_equal(state_farm_count(farm), 2);
    assert_string_equal(state_farm_item(farm, 0, "content"), "one");
    OK("script_list", "", "engine=lab", "");
    assert_int_equal(state_farm_count(farm), 3);
    assert_string_equal(state_farm_item(farm, 0, "content"), "");
    OK("script_remove", "", "engine=lab name=10-a", "");
    REFUSED(RMT_E_NOT_FOUND, "script_remove", "", "engine=lab name=10-a", "");
}

static void
test_a_redis_behind_the_state_file_raises_the_era(void **state)
{
    state_farm_t *farm = *state;
    OK("era_open", "", "era=0 last=0-0", "");
    assert_string_equal(state_farm_body(farm, "era"), "1");
    OK("audit_append", "", "what=note text=x", "");
    rmt_auto_str last = strdup(state_farm_body(farm, "id"));
    rmt_auto_str same = rmt_text("era=1 last=%s", last);
    OK("era_open", "", same, "");
    assert_string_equal(state_farm_body(farm, "raised"), "no");
    OK("era_open", "", "era=1 last=9999999999999-0", "");
    assert_string_equal(state_farm_body(farm, "era"), "2");
    assert_string_equal(state_farm_body(farm, "raised"), "yes");
    OK("era_open", "", "era=7 last=0-0", "");
    assert_string_equal(state_farm_body(farm, "era"), "8");
    OK("audit_read", "", "after=0-0", "");
    assert_int_equal(state_farm_count(farm), 3);
}

// Of two brokers the one that knows less may come first to a Redis that lost entries, and
// write others: the one that misses them still finds it out.
static void
test_lost_entries_raise_the_era_though_others_came_since(void **state)
{
    state_farm_t *farm = *state;
    OK("era_open", "", "era=0 last=0-0", "");
    OK("audit_append", "", "what=note text=kept", "");
    rmt_auto_str kept = strdup(state_farm_body(farm, "id"));
    rmt_auto_str less = rmt_text("era=1 last=%s", kept);
    // Another one of the same millisecond: the copy ends before it.
    rmt_auto_str more = rmt_text("era=1 last=%s9", kept);
    OK("era_open", "", less, "");
    assert_string_equal(state_farm_body(farm, "raised"), "no");
    rmt_pause(2, "the next entry has a later id");
    OK("audit_append", "", "what=note text=since", "");
    OK("era_open", "", more, "");
    assert_string_equal(state_farm_body(farm, "raised"), "yes");
    assert_string_equal(state_farm_body(farm, "era"), "2");
}

// [1.64]: the id of a lost entry may be given again when the time of day of Redis goes
// back.
static void
test_another_entry_of_the_same_id_raises_the_era(void **state)
{
    state_farm_t *farm = *state;
    OK("era_open", "", "era=0 last=0-0", "");
    OK("audit_append", "", "what=note text=kept", "");
    OK("era_open", "", "era=1 last=0-0", "");
    rmt_auto_str id = strdup(state_farm_body(farm, "last"));
    rmt_auto_str moment = strdup(state_farm_body(farm, "moment"));
    assert_true(strlen(moment) >= 16);
    rmt_auto_str same = rmt_text("era=1 last=%s moment=%s", id, moment);
    OK("era_open", "", same, "");
    assert_string_equal(state_farm_body(farm, "raised"), "no");
    // The file of an older version has no moment.
    rmt_auto_str old = rmt_text("era=1 last=%s", id);
    OK("era_open", "", old, "");
    assert_string_equal(state_farm_body(farm, "raised"), "no");
    rmt_auto_str other = rmt_text("era=1 last=%s moment=1%s", id, moment);
    OK("era_open", "", other, "");
    assert_string_equal(state_farm_body(farm, "raised"), "yes");
    assert_string_equal(state_farm_body(farm, "era"), "2");
}

// [1.29]: what was answered is there after a crash.
static void
test_calls_fail_while_redis_is_gone_and_work_again_after(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=source name=web", "");
    redis_server_end(&farm->redis, SIGKILL);
    REFUSED(RMT_E_UNAVAILABLE, "record_list", "", "class=source", "");
    redis_server_start(&farm->redis);
    OK("record_list", "", "class=source", ""); // appendfsync always: nothing is lost
    assert_int_equal(state_farm_count(farm), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_records_keep_names_and_addresses_unique),
        CASE(test_what_is_in_use_is_removed_by_force_alone),
        CASE(test_import_is_all_or_nothing),
        CASE(test_lists_come_in_pages),
        CASE(test_a_page_is_no_larger_than_a_message),
        CASE(test_scripts_of_all_engines_are_listed_to_the_last),
        CASE(test_scripts_are_given_in_name_order),
        CASE(test_a_redis_behind_the_state_file_raises_the_era),
        CASE(test_lost_entries_raise_the_era_though_others_came_since),
        CASE(test_another_entry_of_the_same_id_raises_the_era),
        CASE(test_calls_fail_while_redis_is_gone_and_work_again_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
