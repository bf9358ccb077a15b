// What the doctor finds wrong, each with what to do (M27).
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"

#define SOUND "version=1 appendonly=yes appendfsync=always maxmemory-policy=noeviction"

// The index of the finding of a check whose text has these words; fails without one.
static size_t
s_find(state_farm_t *farm, const char *body, const char *check, const char *words)
{
    OK("farm_check", "", body, "");
    for (size_t i = 0; i < state_farm_count(farm); i++)
        if (strcmp(state_farm_item(farm, i, "check"), check) == 0 &&
            strstr(state_farm_item(farm, i, "text"), words))
            return i;
    fail_msg("no finding of %s with: %s", check, words);
    return 0;
}

static void
s_need(state_farm_t *farm, const char *check, const char *words, const char *next)
{
    const size_t i = s_find(farm, SOUND, check, words);
    assert_non_null(strstr(state_farm_item(farm, i, "next"), next));
}

// M27: nothing is wrong in a farm without machines, with a sound Redis and a trust root.
static void
test_a_sound_farm_has_no_findings(void **state)
{
    state_farm_t *farm = *state;
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    OK("farm_check", "", SOUND, "");
    assert_int_equal(state_farm_count(farm), 0);
    assert_string_equal(state_farm_body(farm, "wrong"), "0");
    // A farm that demands no replica has none too few.
    OK("farm_check", "", SOUND " redis-replicas=0 min-replicas-to-write=1", "");
    assert_int_equal(state_farm_count(farm), 0);
}

// M27: of Redis and of the broker itself.
static void
test_unsafe_settings_are_named(void **state)
{
    static const struct {
        const char *body, *check, *words;
    } rows[] = {
        {"version=1 appendonly=no appendfsync=always maxmemory-policy=noeviction",
         "redis", "appendonly no"},
        {"version=1 appendonly=yes appendfsync=no maxmemory-policy=noeviction", "redis",
         "appendfsync no"},
        {"version=1 appendonly=yes appendfsync=always maxmemory-policy=volatile-ttl",
         "redis", "maxmemory-policy volatile-ttl"},
        {"version=1 settings-fault=NOPERM", "redis", "NOPERM"},
        {SOUND " state-fault=full", "broker", "full"},
        {SOUND " redis-replicas=1 min-replicas-to-write=0", "redis",
         "min-replicas-to-write 0"},
        {SOUND " redis-replicas=1 min-replicas-to-write=1", "redis",
         "Redis has 0 replicas, and 1 must have"},
    };
    state_farm_t *farm = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        (void) s_find(farm, rows[i].body, rows[i].check, rows[i].words);
}

// M27: peers with another version, and stores that are nearly full.
static void
test_versions_and_full_stores_are_named(void **state)
{
    state_farm_t *farm = *state;
    OK("peer_hello", "by=k1 role=imager name=hq place=hq",
       "nonce=n version=1 store-free=4000000000 store-size=100000000000", "");
    OK("peer_hello", "by=k2 role=installer name=lab place=lab",
       "nonce=n version=2 store-free=5000000000 store-size=100000000000", "");
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    s_need(farm, "peers", "the store of imager/hq", "store gc");
    s_need(farm, "peers", "installer/lab 2", "same version");
    assert_string_equal(state_farm_body(farm, "wrong"), "1");
    assert_string_equal(state_farm_body(farm, "notes"), "1");
}

// M27: what waits for a person, and what holds up a job.
static void
test_what_waits_for_a_person_is_named(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    OK("key_token", "hash=h", "role=viewer", "");
    OK("enrol", "hash=h", "key=k7 role=viewer name=wall", "");
    OK("target_hold", "", "name=t2 reason=fan", "");
    OK("job_step", "", "job=" DEPLOY " rev=1",
       "op=job event=begin set.stage=match|op=task task=" UID3
       " service=match@lab stage=match subject=lab");
    OK("task_stuck", "", "stuck-s=0", "");
    s_need(farm, "keys", "wall", "ramet key approve");
    s_need(farm, "targets", "held: t2", "ramet target unhold");
    s_need(farm, "services", "no worker offers match@lab", "start an installer of lab");
    s_need(farm, "jobs", "j-dddddddd is stuck: no worker offers match@lab",
           "ramet job show j-dddddddd");
}

// M27: a lock that outlives its job.
static void
test_a_lock_of_an_ended_job_is_named(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=job event=begin set.stage=x|op=lock");
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=target target=t1 event=begin|op=task task=" UID3
       " service=prepare@target/t1 stage=prepare subject=t1|op=arm target=t1 task=" UID3
       " plan=p nonce=n1 key=k5|op=failed target=t1 code=12 text=io");
    s_need(farm, "targets", "locked, and no job installs them: t1", "--take-over");
}

// M27 P20: a farm without a trust root, and the present targets that were told none.
static void
test_targets_without_the_trust_root_are_named(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_import", "", "class=target", "name=t1 engine=lab|name=t2 engine=lab");
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n version=1", "");
    OK("peer_hello", "by=a2 role=target name=t2", "nonce=n version=1 trust-root=" IMAGE,
       "");
    // The engine without an installer is the other one.
    s_need(farm, "trust", "the farm has no trust root", "ramet trust create");
    assert_string_equal(state_farm_body(farm, "wrong"), "2");
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    s_need(farm, "trust", "no trust root, so they carry out no order: t1", "trust-root");
    assert_string_equal(state_farm_body(farm, "wrong"), "2");
}

// M27: of a token for many machines, while there is time to make another one; not of one
// that one machine uses once.
static void
test_a_token_that_ends_soon_is_named(void **state)
{
    state_farm_t *farm = *state;
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    OK("key_token", "hash=h1 token=aaaa", "role=target uses=5 ttl-s=86400", "");
    OK("key_token", "hash=h2 token=bbbb", "role=target uses=1 ttl-s=3600", "");
    OK("farm_check", "", SOUND, "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("key_token", "hash=h3 token=cccc", "role=target uses=5 ttl-s=3600", "");
    s_need(farm, "keys", "1 tokens that machines enrol with end soon: cccc (target",
           "ramet key token ROLE");
    assert_string_equal(state_farm_body(farm, "wrong"), "0");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_sound_farm_has_no_findings),
        CASE(test_unsafe_settings_are_named),
        CASE(test_versions_and_full_stores_are_named),
        CASE(test_what_waits_for_a_person_is_named),
        CASE(test_a_lock_of_an_ended_job_is_named),
        CASE(test_targets_without_the_trust_root_are_named),
        CASE(test_a_token_that_ends_soon_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
