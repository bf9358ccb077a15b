// Tokens, keys and presence of peers.
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "state/rmt_limits.h"

static void
test_a_token_is_used_up_and_fits_one_role(void **state)
{
    state_farm_t *farm = *state;
    REFUSED(RMT_E_USAGE, "key_token", "hash=h0", "role=admin", "");
    REFUSED(RMT_E_USAGE, "key_token", "hash=h0", "role=imager", "");
    OK("key_token", "hash=h1", "role=imager place=hq uses=2 approve=yes", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h9", "key=k1 role=imager name=i1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=installer name=i1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=imager name=i1 place=x",
            "");
    OK("enrol", "hash=h1", "key=k1 role=imager name=i1", "");
    assert_string_equal(state_farm_body(farm, "place"), "hq");
    OK("enrol", "hash=h1", "key=k1 role=imager name=i1", ""); // A repeat uses nothing
    OK("enrol", "hash=h1", "key=k2 role=imager name=i2", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k3 role=imager name=i3", "");
    OK("key_revoke", "", "name=i1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=imager name=i1", "");
    OK("key_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 2);
}

// M1: it has announced itself.
static void
test_a_new_machine_waits_for_approval(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target place=lab uses=9", "");
    OK("enrol", "hash=h1", "key=k1 role=target identity=uuid-1 hardware=hw", "");
    assert_string_equal(state_farm_body(farm, "pending"), "yes");
    rmt_auto_str name = strdup(state_farm_body(farm, "name"));
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k1 role=target identity=uuid-1",
            "");
    rmt_auto_str body = rmt_text("class=target name=%s", name);
    OK("record_show", "", body, "");
    assert_string_equal(state_farm_body(farm, "approved"), "pending");
    assert_string_equal(state_farm_body(farm, "engine"), "lab");
    OK("record_approve", "", body, "");
    OK("enrol", "hash=h1", "key=k1 role=target identity=uuid-1", "");
    // The next boot brings a fresh key: the old one gives way.
    OK("key_token", "hash=h2", "role=target place=lab approve=yes", "");
    OK("enrol", "hash=h2", "key=k2 role=target identity=uuid-1", "");
    assert_string_equal(state_farm_body(farm, "name"), name);
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h2", "key=k1 role=target", "");
}

// M20: the thin-kernel has a new key at each start, and needs no person for it.
static void
test_a_known_machine_does_not_wait_again(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target place=lab uses=9", "");
    OK("record_add", "", "class=target name=t1 engine=lab identity=uuid:a", "");
    OK("enrol", "hash=h1", "key=k1 role=target identity=uuid:A", "");
    assert_string_equal(state_farm_body(farm, "name"), "t1");
    OK("enrol", "hash=h1", "key=k2 role=target identity=uuid:A", "");
    assert_string_equal(state_farm_body(farm, "name"), "t1");
    REFUSED(RMT_E_NOT_ALLOWED, "enrol", "hash=h1", "key=k1 role=target identity=uuid:A",
            "");
    // Its name alone does not make a machine known.
    OK("enrol", "hash=h1", "key=k3 role=target name=t1", "");
    assert_string_equal(state_farm_body(farm, "pending"), "yes");
}

// [1.35]: the first is still heard.
static void
test_a_second_live_key_is_not_let_in(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target name=t1 place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=k1 role=target name=t1", "");
    OK("peer_hello", "by=k1 role=target name=t1", "nonce=n1", "");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k2 role=target name=t1", "");
}

static void
s_redis(state_farm_t *farm, const char *command, const char *key, const char *argument)
{
    const char *const words[] = {"redis-cli", "-s", farm->redis.socket, command, key,
                                 argument,    NULL};
    rmt_error_t error = {0};
    RMT_OK(rmt_process_run(words, NULL, NULL, &error));
}

// [1.30] P17: who asks without end, each time with another key, fills no memory: the
// oldest answers go, and those of others stay.
static void
test_the_answers_of_one_key_are_bounded(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "by=b idem=x", "class=source name=other place=hq", "");
    REFUSED(RMT_E_NOT_FOUND, "record_set", "by=a idem=x", "class=source name=web rack=1",
            "");
    rmt_auto_str script = rmt_text(
        "for i = 2, %d do redis.call('RPUSH', 'ramet:idems:a', i) end", RMT_ANSWERS_KEPT);
    s_redis(farm, "EVAL", script, "0");
    OK("record_add", "", "class=source name=web place=hq", "");
    REFUSED(RMT_E_NOT_FOUND, "record_set", "by=a idem=x", "class=source name=web rack=1",
            "");
    REFUSED(RMT_E_NOT_FOUND, "record_set", "by=a idem=y", "class=source name=api rack=1",
            "");
    OK("record_set", "by=a idem=x", "class=source name=web rack=1", "");
    OK("record_add", "by=b idem=x", "class=source name=other place=hq", "");
}

// A machine that starts twice within a minute is one machine: the doubt of its first
// start, more than 20 s ago, is over once the old key was silent.
static void
test_a_doubt_about_two_machines_ends_with_the_old_key(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target name=t1 place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=k1 role=target name=t1", "");
    OK("peer_hello", "by=k1 role=target name=t1", "nonce=n1", "");
    s_redis(farm, "set", "ramet:second:target/t1", "1"); // Long ago
    s_redis(farm, "zrem", "ramet:live", "k1");
    OK("enrol", "hash=h1", "key=k2 role=target name=t1", "");
    OK("peer_hello", "by=k2 role=target name=t1", "nonce=n2", "");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k3 role=target name=t1", "");
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(state_farm_body(farm, "held"), "");
}

// [1.35]: a person has to look which of them it is.
static void
test_two_machines_that_say_the_same_name_are_held(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target name=t1 place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=k1 role=target name=t1", "");
    OK("peer_hello", "by=k1 role=target name=t1", "nonce=n1", "");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k2 role=target name=t1", "");
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(state_farm_body(farm, "held"), "");
    s_redis(farm, "set", "ramet:second:target/t1", "1"); // So it was 20 s ago
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k2 role=target name=t1", "");
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(state_farm_body(farm, "state"), "held");
    assert_string_equal(state_farm_body(farm, "held"), "two live machines enrol as t1");
}

static const char *
s_presence(state_farm_t *farm, const char *key, const char *silent_ms)
{
    rmt_auto_str item =
        rmt_text("key=%s role=target name=t1 services= silent-ms=%s", key, silent_ms);
    OK("presence", "", "", item);
    OK("record_show", "", "class=target name=t1", "");
    return state_farm_body(farm, "present");
}

// P4: what a broker tells of a peer is when it was heard, not when that is told; so a
// machine that starts anew is let in 15 s after the last word of its old key.
static void
test_a_peer_is_present_for_15_s_after_its_last_word(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=target name=t1 place=lab uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=k1 role=target name=t1", "");
    assert_string_equal(s_presence(farm, "k1", "15500"), "no");
    OK("enrol", "hash=h1", "key=k2 role=target name=t1", "");
    assert_string_equal(s_presence(farm, "k2", "9000"), "yes");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h1", "key=k3 role=target name=t1", "");
    // Another broker, which heard it before, does not make it older; a clock put back
    // does (P25).
    assert_string_equal(s_presence(farm, "k2", "15500"), "yes");
    s_redis(farm, "eval", "redis.call('ZADD', 'ramet:presence', 9e15, 'target/t1')", "0");
    assert_string_equal(s_presence(farm, "k2", "15500"), "no");
}

// The one grant that holders of the place hear of; "" when there is none.
static const char *
s_granted(state_farm_t *farm, const char *place)
{
    rmt_auto_str body = rmt_text("place=%s", place);
    OK("grants", "", body, "");
    for (size_t i = 0; i < state_farm_count(farm); i++)
        if (strcmp(state_farm_item(farm, i, "op"), "add") == 0)
            return state_farm_item(farm, i, "key");
    return "";
}

// P19 T5: with a key end its grants, its tasks in hand, its offers, its address and the
// tokens that it made, and another broker can do nothing in its name.
static void
test_nothing_outlives_a_revoked_key(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=imager place=hq uses=9 approve=yes", "");
    OK("key_token", "hash=h2", "role=source place=hq uses=9 approve=yes", "");
    OK("enrol", "hash=h1", "key=i1 role=imager name=i1", "");
    OK("enrol", "hash=h2", "key=k1 role=source name=web", "");
    OK("peer_hello", "by=i1 role=imager name=i1 place=hq",
       "nonce=n1 services=receive@hq=1 port=7 addresses=a", "");
    OK("peer_hello", "by=k1 role=source name=web",
       "nonce=n2 services=capture@source/web=1", "");
    OK("image_create", "by=admin job=" UID1 " job-name=j stamp=1", "source=web name=img",
       "");
    OK("job_view", "", "job=" UID1, "");
    rmt_auto_str rev = rmt_text("job=%s rev=%s", UID1, state_farm_body(farm, "rev"));
    OK("job_step", "", rev,
       "op=job event=begin set.stage=capture|op=task task=" UID2
       " service=capture@source/web stage=capture subject=web b.place=hq");
    OK("task_take", "by=k1", "service=capture@source/web nonce=n2 n=1", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("holders", "by=k1", "place=hq service=receive", "");
    assert_string_equal(s_granted(farm, "hq"), "k1");

    OK("key_revoke", "", "name=web", "");
    assert_string_equal(s_granted(farm, "hq"), "");
    assert_string_equal(state_farm_item(farm, 0, "op"), "drop");
    assert_string_equal(state_farm_item(farm, 0, "key"), "k1");
    OK("task_show", "", "task=" UID2, "");
    assert_string_equal(state_farm_body(farm, "state"), "queued");
    assert_string_equal(state_farm_body(farm, "attempt"), "2");
    REFUSED(RMT_E_NOT_ALLOWED, "task_take", "by=k1",
            "service=capture@source/web nonce=n2 n=1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "holders", "by=k1", "place=hq service=receive", "");

    // A holder that is revoked is no holder any longer.
    OK("enrol", "hash=h2", "key=k2 role=source name=web", "");
    OK("task_take", "by=k2", "service=capture@source/web nonce=n3 n=1", "");
    OK("holders", "by=k2", "place=hq service=receive", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("key_revoke", "", "name=i1", "");
    REFUSED(RMT_E_UNAVAILABLE, "holders", "by=k2", "place=hq service=receive", "");
}

// What is kept of a peer, and of a place with imagers, ends with its last key.
static void
test_a_peer_is_forgotten_with_its_last_key(void **state)
{
    state_farm_t *farm = *state;
    OK("key_token", "hash=h1", "role=imager place=hq uses=9 approve=yes", "");
    OK("key_token", "hash=h2", "role=imager place=hq uses=9", "");
    OK("enrol", "hash=h1", "key=i1 role=imager name=a", "");
    OK("enrol", "hash=h1", "key=i2 role=imager name=b", "");
    OK("enrol", "hash=h2", "key=i3 role=imager name=c", "");
    OK("peer_hello", "by=i1 role=imager name=a place=hq", "nonce=n clock-ahead-s=+70",
       "");
    OK("farm_status", "", "", "");
    assert_string_equal(state_farm_body(farm, "clocks"), "imager/a +70 s");
    OK("key_revoke", "", "key=i3", "");
    OK("key_revoke", "", "key=i1", "");
    OK("farm_status", "", "", "");
    assert_string_equal(state_farm_body(farm, "clocks"), "");
    OK("store_check", "job=" UID1 " job-name=j-aaaaaaaa", "place=hq", "");
    OK("key_revoke", "", "key=i2", "");
    REFUSED(RMT_E_NOT_FOUND, "store_check", "job=" UID2 " job-name=j-bbbbbbbb",
            "place=hq", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_token_is_used_up_and_fits_one_role),
        CASE(test_a_new_machine_waits_for_approval),
        CASE(test_a_known_machine_does_not_wait_again),
        CASE(test_a_second_live_key_is_not_let_in),
        CASE(test_the_answers_of_one_key_are_bounded),
        CASE(test_a_doubt_about_two_machines_ends_with_the_old_key),
        CASE(test_two_machines_that_say_the_same_name_are_held),
        CASE(test_a_peer_is_present_for_15_s_after_its_last_word),
        CASE(test_nothing_outlives_a_revoked_key),
        CASE(test_a_peer_is_forgotten_with_its_last_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
