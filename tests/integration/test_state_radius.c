// Blast radius: how many machines one job may reach (P8).
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define NEW "by=a job=" DEPLOY " job-name=j-dddddddd"
#define NEXT "by=a job=" UID2 " job-name=j-eeeeeeee"

// Items "PREFIX1|PREFIX2|..." of so many targets, each with more behind its name.
static char *
s_items(const char *prefix, size_t count, const char *more)
{
    char *items = strdup("");
    for (size_t i = 1; i <= count; i++) {
        rmt_auto_str before = items;
        items = rmt_text("%s%s%s%zu%s", before, *before ? "|" : "", prefix, i, more);
    }
    return items;
}

static void
s_add_targets(state_farm_t *farm, size_t count)
{
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    rmt_auto_str items = s_items("name=t", count, " engine=lab");
    OK("record_import", "", "class=target", items);
}

typedef struct {
    size_t farm, job;
    bool is_large;
} radius_row_t;

static const radius_row_t s_rows[] = {
    {1, 1, false},    {9, 9, false},   {10, 2, false},  {10, 3, true},  {14, 2, false},
    {14, 3, true},    {15, 3, false},  {15, 4, true},   {99, 20, true}, {100, 20, false},
    {130, 25, false}, {124, 25, true}, {200, 26, true},
};

// Ask for a job with and without the number of its targets. The job is never made but at
// the end.
static void
s_check_row(state_farm_t *farm, const radius_row_t *row)
{
    s_add_targets(farm, row->farm);
    rmt_auto_str items = s_items("target=t", row->job, "");
    OK("deploy_start", NEW, "image=img dry-run=yes", items);
    assert_int_equal(atoi(state_farm_body(farm, "targets")), row->job);
    assert_string_equal(state_farm_body(farm, "engines"), "lab");
    assert_int_equal(strcmp(state_farm_body(farm, "large"), "no") != 0, row->is_large);
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", "job=" DEPLOY, "");
    const rmt_code_t code = row->is_large ? RMT_E_USAGE : RMT_E_OK;
    REFUSED(code, "deploy_start", NEW, "image=img", items);
    rmt_auto_str wrong = rmt_text("image=img count=%zu", row->job + 1);
    rmt_auto_str right = rmt_text("image=img count=%zu", row->job);
    REFUSED(RMT_E_USAGE, "deploy_start", NEXT, wrong, items);
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", "job=" UID2, "");
    OK("deploy_start", NEXT, right, items);
}

// P8 [4.6] [4.7]: no large job is made without the right number, and none of another
// number than the user has counted.
static void
test_a_large_job_needs_the_number_of_its_targets(void **state)
{
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        assert_int_equal(state_farm_setup(state), 0);
        s_check_row(*state, &s_rows[i]);
        state_farm_teardown(state);
    }
}

// P8 [4.6]: machines that wait for approval do not make a farm larger.
static void
test_pending_targets_do_not_count(void **state)
{
    state_farm_t *farm = *state;
    s_add_targets(farm, 10);
    OK("key_token", "hash=h7", "role=target place=lab uses=90", "");
    for (int i = 0; i < 10; i++) {
        rmt_auto_str body = rmt_text("key=k%d role=target name=p%d", i, i);
        OK("enrol", "hash=h7", body, "");
    }
    REFUSED(RMT_E_USAGE, "deploy_start", NEW, "image=img",
            "target=t1|target=t2|target=t3");
    OK("deploy_start", NEW, "image=img", "target=t1|target=t2");
}

// P8 [4.7]: a target that is named twice counts once.
static void
test_a_target_counts_once(void **state)
{
    state_farm_t *farm = *state;
    s_add_targets(farm, 12);
    OK("deploy_start", NEW, "image=img count=2", "target=t1|target=t2|target=t1");
}

// P8 [4.6]: a retry is a job like another.
static void
test_a_large_retry_needs_the_number_of_its_targets(void **state)
{
    state_farm_t *farm = *state;
    s_add_targets(farm, 12);
    OK("deploy_start", NEW, "image=img count=4",
       "target=t1|target=t2|target=t3|target=t4");
    OK("job_step", "", "job=" DEPLOY " rev=1",
       "op=job event=begin|op=failed target=t1 code=12|op=failed target=t2 code=12|"
       "op=failed target=t3 code=12|op=failed target=t4 code=12");
    OK("job_retry", NEXT, "job=" DEPLOY " dry-run=yes", "");
    assert_string_equal(state_farm_body(farm, "targets"), "4");
    REFUSED(RMT_E_USAGE, "job_retry", NEXT, "job=" DEPLOY, "");
    REFUSED(RMT_E_USAGE, "job_retry", NEXT, "job=" DEPLOY " count=3", "");
    OK("job_retry", NEXT, "job=" DEPLOY " count=4", "");
    OK("job_show", "", "job=" UID2, "");
    assert_int_equal(state_farm_count(farm), 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_large_job_needs_the_number_of_its_targets),
        CASE(test_pending_targets_do_not_count),
        CASE(test_a_target_counts_once),
        CASE(test_a_large_retry_needs_the_number_of_its_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
