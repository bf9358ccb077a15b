// What a store may let go, and what its upkeep found.
#include <string.h>
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "integration/state_farm.h"

static void
test_images_stay_while_an_open_job_names_them(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("image_show", "", "name=" IMAGE, "");
    assert_string_equal(state_farm_body(farm, "name"), "img");
    OK("image_list", "", "", "");
    assert_string_equal(state_farm_item(farm, 0, "hardware"), "");
    OK("record_add", "", "class=engine name=lab", "");
    OK("deploy_plan", "job=" UID2 " job-name=j-bbbbbbbb", "image=img engines=lab", "");
    REFUSED(RMT_E_REFUSED, "image_remove", "", "name=img", "");
    OK("job_cancel", "", "job=" UID2, "");
    REFUSED(RMT_E_REFUSED, "job_cancel", "", "job=" UID2, "");
    OK("image_remove", "", "name=img", "");
    REFUSED(RMT_E_NOT_FOUND, "image_show", "", "name=img", "");
}

// What people write on an image, and its name, change; what is under its id stays.
static void
test_an_image_is_described_and_renamed(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("image_set", "", "name=img tags=web,,stable description=first", "");
    OK("image_set", "", "name=img description=second", "");
    REFUSED(RMT_E_USAGE, "image_set", "", "name=img bytes=7", "");
    REFUSED(RMT_E_USAGE, "image_set", "", "name=img tags=Web", "");
    REFUSED(RMT_E_NOT_FOUND, "image_set", "", "name=other tags=web", "");
    OK("record_add", "", "class=engine name=lab", "");
    OK("store_pin", "by=a", "place=lab image=img", "");
    OK("deploy_plan", "job=" UID2 " job-name=j-bbbbbbbb", "image=img engines=lab", "");
    REFUSED(RMT_E_REFUSED, "image_rename", "", "name=img to=base", ""); // In use
    OK("job_cancel", "", "job=" UID2, "");
    REFUSED(RMT_E_USAGE, "image_rename", "", "name=img to=Base", "");
    REFUSED(RMT_E_EXISTS, "image_rename", "", "name=img to=img", "");
    OK("image_rename", "", "name=img to=base", "");
    REFUSED(RMT_E_NOT_FOUND, "image_show", "", "name=img", "");
    OK("image_show", "", "name=" IMAGE, "");
    assert_string_equal(state_farm_body(farm, "name"), "base");
    assert_string_equal(state_farm_body(farm, "tags"), "web,stable");
    assert_string_equal(state_farm_body(farm, "description"), "second");
    assert_string_equal(state_farm_body(farm, "source"), "web");
    OK("store_pins", "", "place=lab", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("image_placed", "place=hq", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("image_removed", "place=hq", "", ""); // Nothing is to be collected
    assert_int_equal(state_farm_count(farm), 0);
    OK("image_set", "", "name=base tags= description=", "");
    OK("image_show", "", "name=base", "");
    assert_string_equal(state_farm_body(farm, "tags"), "");
}

// [6.19]: The same system imaged twice is one id with two names.
static void
test_an_id_leaves_the_catalogue_with_its_last_name(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("image_create", "by=a job=" UID2 " job-name=j-b", "source=web name=twin", "");
    OK("job_step", "", "job=" UID2 " rev=1",
       "op=job event=begin|op=image set.id=" IMAGE
       " set.name=twin set.place=hq set.state=COMPLETE|"
       "op=job event=finish");
    OK("image_placed", "place=hq", "", "");
    assert_int_equal(state_farm_count(farm), 2);
    OK("image_placed", "place=lab", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("image_remove", "", "name=twin", "");
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("image_show", "", "name=" IMAGE, ""); // By its id it is found under the other name
    assert_string_equal(state_farm_body(farm, "name"), "img");
    OK("image_remove", "", "name=img", "");
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "id"), IMAGE);
}

static void
test_what_is_pinned_or_may_be_coming_back_is_not_let_go(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_add", "", "class=engine name=hq", "");
    REFUSED(RMT_E_NOT_FOUND, "store_pin", "", "place=nowhere image=img", "");
    REFUSED(RMT_E_NOT_FOUND, "store_unpin", "", "place=lab image=img", "");
    OK("store_pin", "by=a", "place=lab image=img reason=why", "");
    OK("store_pins", "", "place=lab", "");
    assert_string_equal(state_farm_item(farm, 0, "reason"), "why");
    OK("image_remove", "", "name=img", "");
    OK("image_removed", "place=lab", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(state_farm_count(farm), 1);
    OK("store_unpin", "", "place=lab image=" IMAGE, "");
    OK("image_removed", "place=lab", "", "");
    assert_int_equal(state_farm_count(farm), 1);

    // A commit may have saved it again just now.
    OK("image_create", "by=a job=" UID2 " job-name=j-b", "source=web name=twin", "");
    OK("job_step", "", "job=" UID2 " rev=1", "op=job set.stage=commit event=begin");
    OK("image_removed", "place=hq", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    assert_string_equal(state_farm_body(farm, "busy"), "j-b");
    OK("image_removed", "place=lab", "", "");
    assert_int_equal(state_farm_count(farm), 1);
}

// [2.16]: the job in the way is named.
static void
test_gc_is_refused_with_an_age_shorter_than_a_capture_runs(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("record_add", "", "class=engine name=hq", "");
    OK("record_add", "", "class=engine name=lab", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-a", "source=web name=i", "");
    rmt_pause(20, "the capture gets older than age-s=0");
    REFUSED(RMT_E_REFUSED, "store_gc", "job=" UID2 " job-name=j-b", "place=hq age-s=0",
            "");
    assert_non_null(strstr(farm->reply->text, "j-a"));
    REFUSED(RMT_E_USAGE, "store_gc", "job=" UID2 " job-name=j-b", "place=hq age-s=x", "");
    OK("store_gc", "job=" UID2 " job-name=j-b", "place=lab age-s=0", "");
    OK("store_gc", "job=" UID3 " job-name=j-c", "place=hq", "");
    OK("job_show", "", "job=" UID3, "");
    assert_string_equal(state_farm_body(farm, "age-s"), "86400");
}

static void
test_findings_count_once_and_only_from_who_holds_the_task(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=engine name=hq", "");
    OK("store_check", "job=" UID1 " job-name=j-a", "place=hq", "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=task task=" UID2 " service=check@hq stage=check subject=hq");
    OK("task_take", "by=w1", "service=check@hq nonce=n1 n=1", "");
    REFUSED(RMT_E_NOT_ALLOWED, "finding_put", "by=w2", "task=" UID2 " attempt=1 at=0",
            "text=a");
    REFUSED(RMT_E_FENCED, "finding_put", "by=w1", "task=" UID2 " attempt=2 at=0",
            "text=a");
    OK("finding_put", "by=w1", "task=" UID2 " attempt=1 at=0", "text=a|text=b");
    for (int i = 0; i < 2; i++) // A page may travel twice
        OK("finding_put", "by=w1", "task=" UID2 " attempt=1 at=2", "text=c");
    REFUSED(RMT_E_REFUSED, "finding_put", "by=w1", "task=" UID2 " attempt=1 at=9",
            "text=z");
    OK("job_findings", "", "job=j-a", "");
    assert_int_equal(state_farm_count(farm), 3);
    assert_string_equal(state_farm_item(farm, 2, "text"), "c");
    OK("finding_put", "by=w1", "task=" UID2 " attempt=1 at=0", ""); // From the start
    OK("job_findings", "", "job=j-a", "");
    assert_int_equal(state_farm_count(farm), 0);
}

// M2: a target is no source, and the way to one is told.
static void
test_a_target_is_no_source_of_an_image(void **state)
{
    state_farm_t *farm = *state;
    OK("record_add", "", "class=target name=n1", "");
    REFUSED(RMT_E_REFUSED, "image_create", "by=a job=" UID2 " job-name=j-b",
            "source=target/n1", "");
    assert_non_null(strstr(farm->reply->text, "ramet key token source --name n1"));
    REFUSED(RMT_E_USAGE, "image_create", "by=a job=" UID2 " job-name=j-b",
            "source=target/_", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_target_is_no_source_of_an_image),
        CASE(test_images_stay_while_an_open_job_names_them),
        CASE(test_an_image_is_described_and_renamed),
        CASE(test_an_id_leaves_the_catalogue_with_its_last_name),
        CASE(test_what_is_pinned_or_may_be_coming_back_is_not_let_go),
        CASE(test_gc_is_refused_with_an_age_shorter_than_a_capture_runs),
        CASE(test_findings_count_once_and_only_from_who_holds_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
