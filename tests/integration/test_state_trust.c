// Redis functions: trust roots, as they are published and asked for.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "integration/state_farm.h"

#define TWO "01bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void
test_versions_of_the_trust_root_follow_each_other(void **state)
{
    state_farm_t *farm = *state;
    REFUSED(RMT_E_NOT_FOUND, "trust_root", "", "", "");
    REFUSED(RMT_E_REFUSED, "trust_publish", "by=a", "version=2 id=" TWO " root=x", "");
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    OK("trust_publish", "by=a", "version=2 id=" TWO " root=two", "");
    OK("trust_root", "", "", "");
    assert_string_equal(state_farm_body(farm, "root"), "two");
    OK("trust_root", "", "version=1", "");
    assert_string_equal(state_farm_body(farm, "root"), "one");
    OK("trust_root", "", "id=" TWO, "");
    assert_string_equal(state_farm_body(farm, "version"), "2");
    REFUSED(RMT_E_NOT_FOUND, "trust_root", "", "version=3", "");
}

static void
test_a_published_version_stays_as_it_is(void **state)
{
    state_farm_t *farm = *state;
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    REFUSED(RMT_E_EXISTS, "trust_publish", "by=a", "version=1 id=" TWO " root=x", "");
    REFUSED(RMT_E_EXISTS, "trust_publish", "by=a", "version=1 id=" IMAGE " root=x", "");
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", ""); // Sent twice
    OK("trust_root", "", "", "");
    assert_string_equal(state_farm_body(farm, "root"), "one");
    REFUSED(RMT_E_USAGE, "trust_publish", "by=a", "version=0 id=" TWO " root=x", "");
    REFUSED(RMT_E_USAGE, "trust_publish", "by=a", "version=2 id=two root=x", "");
    REFUSED(RMT_E_TOO_BIG, "trust_publish", "by=a", "version=2 id=" TWO, "");
}

#define KEY "abababababababababababababababababababababababababababababababab"
#define SIGN(counter)                                                                    \
    "image=" IMAGE " key=" KEY " signature=class=signature_key=" KEY "_counter=" counter \
    "_signature=cdcd\n"

static void
test_signatures_stay_while_their_image_has_a_name(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("image_sign", "by=a", SIGN("6"), "");
    OK("image_sign", "by=a", SIGN("7"), ""); // In place of the one before
    OK("image_show", "", "name=img", "");
    assert_string_equal(state_farm_body(farm, "signatures"),
                        "class=signature key=" KEY " counter=7 signature=cdcd\n");
    OK("image_remove", "", "name=img", "");
    OK("image_create", "by=a job=" UID2 " job-name=j-b", "source=web name=twin", "");
    OK("job_step", "", "job=" UID2 " rev=1",
       "op=job event=begin|op=image set.id=" IMAGE
       " set.name=twin set.place=hq set.state=COMPLETE|op=job event=finish");
    OK("image_show", "", "name=twin", "");
    assert_string_equal(state_farm_body(farm, "signatures"), "");
}

static void
test_an_imager_signs_what_it_commits(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("image_create", "by=a job=" UID2 " job-name=j-b", "source=web name=twin", "");
    OK("job_step", "", "job=" UID2 " rev=1",
       "op=job event=begin|op=image set.id=" TWO
       " set.name=twin set.place=hq set.state=COMPLETE sign.key=" KEY
       " sign.signature=class=signature_key=" KEY "_counter=9_signature=ef\n|"
       "op=job event=finish");
    OK("image_show", "", "name=twin", "");
    assert_string_equal(state_farm_body(farm, "signatures"),
                        "class=signature key=" KEY " counter=9 signature=ef\n");
}

static void
test_another_form_of_a_signature_is_not_kept(void **state)
{
    state_farm_t *farm = *state;
    REFUSED(RMT_E_USAGE, "image_sign", "by=a", SIGN("x"), "");
    REFUSED(RMT_E_USAGE, "image_sign", "by=a",
            "image=img key=" KEY " signature=class=signature_key=" KEY, "");
    REFUSED(RMT_E_USAGE, "image_sign", "by=a", "image=" IMAGE " key=ab signature=x", "");
}

#define BATCH "warrants=11111111111111111111111111111111"

// The warrant that a job hands out with the result of this target's order; "" for none.
static const char *
s_warrant(state_farm_t *farm, const char *job, const char *task, const char *target)
{
    rmt_auto_str step = rmt_text(
        "op=task task=%s service=order@lab stage=order subject=%s", task, target);
    rmt_auto_str body = rmt_text("job=%s", job);
    OK("job_view", "", body, "");
    rmt_auto_str with_rev = rmt_text("job=%s rev=%s", job, state_farm_body(farm, "rev"));
    OK("job_step", "", with_rev, step);
    rmt_auto_str with_task = rmt_text("job=%s task=%s", job, task);
    OK("job_view", "", with_task, "");
    for (size_t i = 0; i < state_farm_count(farm); i++)
        if (strcmp(state_farm_item(farm, i, "what"), "target") == 0)
            return state_farm_item(farm, i, "warrant");
    return "no target";
}

// P20: each target's own, unread, also for the job that is made of its failed ones.
static void
test_a_job_hands_out_the_warrants_of_its_batch(void **state)
{
    state_farm_t *farm = *state;
    OK("warrant_put", "by=a", "batch=11111111111111111111111111111111",
       "target=t1 warrant=one");
    state_farm_begin_deploy(farm, BATCH);
    assert_string_equal(s_warrant(farm, DEPLOY, UID3, "t1"), "one");
    assert_string_equal(s_warrant(farm, DEPLOY, UID4, "t2"), "");
    OK("job_view", "", "job=" DEPLOY, "");
    rmt_auto_str body = rmt_text("job=" DEPLOY " rev=%s", state_farm_body(farm, "rev"));
    OK("job_step", "", body,
       "op=job event=begin|op=failed target=t1 code=12|op=failed target=t2 code=12");
    OK("job_retry", "by=a job=" UID2 " job-name=j-bbbbbbbb", "job=" DEPLOY, "");
    assert_string_equal(s_warrant(farm, UID2, UID1, "t1"), "one");
    OK("job_cancel", "", "job=" UID2, "");
    OK("warrant_put", "by=a", "batch=22222222222222222222222222222222",
       "target=t1 warrant=two");
    OK("job_retry", "by=a job=" UID3 " job-name=j-cccccccc",
       "job=" DEPLOY " warrants=22222222222222222222222222222222", "");
    assert_string_equal(s_warrant(farm, UID3, "33333333333333333333333333333333", "t1"),
                        "two");
}

static void
test_a_batch_of_warrants_is_there_and_bounded(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_import", "", "class=target", "name=t1 engine=lab");
    REFUSED(RMT_E_NOT_FOUND, "deploy_start", "by=a job=" DEPLOY " job-name=j-d",
            "image=img " BATCH, "target=t1");
    REFUSED(RMT_E_USAGE, "warrant_put", "by=a", "batch=x", "target=t1 warrant=one");
    REFUSED(RMT_E_USAGE, "warrant_put", "by=a", "batch=11111111111111111111111111111111",
            "target=t1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_versions_of_the_trust_root_follow_each_other),
        CASE(test_a_published_version_stays_as_it_is),
        CASE(test_signatures_stay_while_their_image_has_a_name),
        CASE(test_an_imager_signs_what_it_commits),
        CASE(test_another_form_of_a_signature_is_not_kept),
        CASE(test_a_job_hands_out_the_warrants_of_its_batch),
        CASE(test_a_batch_of_warrants_is_there_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
