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

// Each farm is the one before it with more targets.
static const radius_row_t s_rows[] = {
    {1, 1, false},   {9, 9, false},    {10, 2, false},  {10, 3, true},  {14, 2, false},
    {14, 3, true},   {15, 3, false},   {15, 4, true},   {99, 20, true}, {100, 20, false},
    {124, 25, true}, {130, 25, false}, {200, 26, true},
};

// Ask for jobs with and without the number of their targets.
static void
s_check_row(state_farm_t *farm, size_t index)
{
    const radius_row_t *row = &s_rows[index];
    rmt_auto_str records = s_items("name=t", row->farm, " engine=lab");
    OK("record_import", "", "class=target", records);
    rmt_auto_str items = s_items("target=t", row->job, "");
    rmt_auto_str plain = rmt_text("by=a job=%032zx job-name=j-a%zu", 256 + index, index);
    rmt_auto_str counted =
        rmt_text("by=a job=%032zx job-name=j-b%zu", 512 + index, index);
    rmt_auto_str show = rmt_text("job=%032zx", 512 + index);
    OK("deploy_start", plain, "image=img dry-run=yes", items);
    assert_int_equal(atoi(state_farm_body(farm, "targets")), row->job);
    assert_string_equal(state_farm_body(farm, "engines"), "lab");
    assert_int_equal(strcmp(state_farm_body(farm, "large"), "no") != 0, row->is_large);
    const rmt_code_t code = row->is_large ? RMT_E_USAGE : RMT_E_OK;
    REFUSED(code, "deploy_start", plain, "image=img", items);
    rmt_auto_str wrong = rmt_text("image=img count=%zu", row->job + 1);
    rmt_auto_str right = rmt_text("image=img count=%zu", row->job);
    REFUSED(RMT_E_USAGE, "deploy_start", counted, wrong, items);
    REFUSED(RMT_E_NOT_FOUND, "job_show", "", show, "");
    OK("deploy_start", counted, right, items);
}

// P8 [4.6] [4.7]: no large job is made without the right number, and none of another
// number than the user has counted.
static void
test_a_large_job_needs_the_number_of_its_targets(void **state)
{
    state_farm_t *farm = *state;
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++)
        s_check_row(farm, i);
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

// P8 [4.9]: at the request, at the lock, and when the disk is about to be armed.
static void
test_a_protected_target_is_refused_at_each_step(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    REFUSED(RMT_E_USAGE, "target_protect", "", "name=t1", "");
    REFUSED(RMT_E_NOT_FOUND, "target_protect", "", "name=t9 reason=dns", "");
    REFUSED(RMT_E_USAGE, "record_set", "", "class=target name=t1 protected=no", "");
    OK("target_protect", "", "name=t1 reason=name_server", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t2|target=t1");
    assert_non_null(strstr(farm->reply->text, "protected: name server"));
    OK("record_show", "", "class=target name=t1", "");
    assert_string_equal(state_farm_body(farm, "state"), "protected");
    assert_string_equal(state_farm_body(farm, "reason"), "name server");
    OK("target_page", "", "engine=lab", "");
    assert_string_equal(state_farm_item(farm, 0, "state"), "protected");
    OK("job_step", "", "job=" DEPLOY " rev=1",
       "op=job event=begin set.stage=locked|op=lock");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_non_null(strstr(state_farm_item(farm, 0, "error"), "protected: name server"));
    OK("lock_list", "", "", "");
    assert_int_equal(state_farm_count(farm), 0);
    OK("target_unprotect", "", "name=t1", "");
    OK("deploy_start", NEXT, "image=img", "target=t1");
}

// P8 [4.9]: a protection that comes behind the lock stops what is not armed.
static void
test_a_target_that_is_protected_late_is_not_armed(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", "op=job event=begin set.stage=x|op=lock");
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=target target=t1 event=begin|op=task task=" UID3
       " service=prepare@target/t1 stage=prepare subject=t1");
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
    OK("target_protect", "", "name=t1 reason=late", "");
    OK("job_step", "", "job=" DEPLOY " rev=3 task=" UID3 " attempt=1 worker=a1 code=0",
       "op=arm target=t1 task=" UID3 " plan=p nonce=n1 key=k1");
    OK("job_show", "", "job=" DEPLOY, "");
    assert_string_equal(state_farm_item(farm, 0, "state"), "failed");
    REFUSED(RMT_E_NOT_FOUND, "lock_show", "", "target=t1", "");
}

typedef struct {
    const char *function, *meta, *body; // Tells of a machine uuid:7
    const char *drop, *drop_body;       // Makes it free again; NULL: nothing does
} own_row_t;

static const own_row_t s_own[] = {
    {"peer_hello", "by=k1 role=imager name=hq place=hq", "nonce=n identity=UUID:7",
     "key_revoke", "name=hq"},
    {"peer_hello", "by=k2 role=installer name=lab place=lab", "nonce=n identity=uuid:7",
     "key_revoke", "name=lab"},
    {"peer_hello", "by=k1 role=source name=web", "nonce=n identity=uuid:7",
     "record_remove", "class=source name=web"},
    {"era_open", "", "broker=host:7700 identity=uuid:7", NULL, NULL},
};

// What is said of the machine counts, by its record or by its own agent alone.
static void
s_check_own(state_farm_t *farm, const own_row_t *row)
{
    state_farm_begin_deploy(farm, "");
    OK("key_token", "hash=h7", "role=imager place=hq approve=yes", "");
    OK("enrol", "hash=h7", "key=k1 role=imager name=hq", "");
    OK("key_token", "hash=h8", "role=installer place=lab approve=yes", "");
    OK("enrol", "hash=h8", "key=k2 role=installer name=lab", "");
    OK("record_set", "", "class=target name=t1 identity=uuid:7", "");
    OK("peer_hello", "by=a2 role=target name=t2", "nonce=n2 identity=uuid:7", "");
    OK(row->function, row->meta, row->body, "");
    OK(row->function, row->meta, row->body, ""); // Once more, as at each start
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    assert_non_null(strstr(farm->reply->text, "it is the machine of"));
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t2");
    OK("record_show", "", "class=target name=t2", "");
    assert_string_equal(state_farm_body(farm, "state"), "protected");
    OK("events_snapshot", "", "topic=target/t1/", "");
    assert_string_equal(state_farm_item(farm, 0, "state"), "protected");
    if (!row->drop)
        return;
    OK(row->drop, "", row->drop_body, "");
    OK("deploy_start", NEXT, "image=img", "target=t1");
}

// P8 [4.9]: broker, imager, installer and source.
static void
test_machines_of_ramet_itself_are_protected(void **state)
{
    for (size_t i = 0; i < sizeof s_own / sizeof *s_own; i++) {
        assert_int_equal(state_farm_setup(state), 0);
        s_check_own(*state, &s_own[i]);
        state_farm_teardown(state);
    }
}

// P8 [4.9]: of two programs on one machine one may leave; one that moves takes its
// protection with it.
static void
test_a_machine_is_protected_while_one_program_is_there(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    OK("record_set", "", "class=target name=t1 identity=uuid:7", "");
    OK("era_open", "", "broker=host:7700 identity=uuid:7", "");
    OK("peer_hello", "by=k9 role=source name=web", "nonce=n identity=uuid:7", "");
    OK("record_remove", "", "class=source name=web", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    OK("era_open", "", "broker=host:7700 identity=uuid:8", "");
    OK("deploy_start", NEXT, "image=img", "target=t1");
}

// P8 [4.9]: a stranger with a token enrols the name of a live source, and is refused.
static void
test_a_refused_stranger_leaves_the_source_protected(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    OK("scan", "clock=100000", "", "");
    OK("record_set", "", "class=target name=t1 identity=uuid:7", "");
    OK("key_token", "hash=h7", "role=source name=web approve=yes", "");
    OK("enrol", "hash=h7", "key=k1 role=source name=web", "");
    OK("peer_hello", "by=k1 role=source name=web", "nonce=n identity=uuid:7", "");
    OK("key_token", "hash=h8", "role=source name=web uses=3", "");
    OK("key_token", "hash=h9", "role=source name=web uses=3 approve=yes", "");
    REFUSED(RMT_E_UNAVAILABLE, "enrol", "hash=h8", "key=k2 role=source name=web", "");
    OK("presence", "", "", "key=k1 role=source name=web silent-ms=0");
    // The source is not heard for a while, so the stranger takes its place and waits.
    OK("enrol", "hash=h8 clock=130000", "key=k2 role=source name=web", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    OK("key_revoke", "", "key=k2", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    // It comes back with another key, on another machine.
    OK("enrol", "hash=h9", "key=k3 role=source name=web", "");
    OK("peer_hello", "by=k3 role=source name=web", "nonce=m identity=uuid:8", "");
    OK("deploy_start", NEXT, "image=img", "target=t1");
}

// P8 [4.9]: two workers of one name on a machine; one of them leaves.
static void
test_a_machine_stays_protected_by_the_second_of_two(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    OK("record_set", "", "class=target name=t1 identity=uuid:7", "");
    OK("key_token", "hash=h7", "role=installer place=lab uses=2 approve=yes", "");
    OK("enrol", "hash=h7", "key=k1 role=installer name=lab", "");
    OK("enrol", "hash=h7", "key=k2 role=installer name=lab", "");
    OK("peer_hello", "by=k1 role=installer name=lab", "nonce=n identity=uuid:7", "");
    OK("peer_hello", "by=k2 role=installer name=lab", "nonce=m identity=uuid:7", "");
    OK("key_revoke", "", "key=k1", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    OK("key_revoke", "", "key=k2", "");
    OK("deploy_start", NEXT, "image=img", "target=t1");
}

// P8 [4.9]: a broker has got another address and machine. What it said of its old one
// ends when an admin says so, and not while it may run there.
static void
test_the_machine_of_a_broker_that_is_gone_can_be_freed(void **state)
{
    state_farm_t *farm = *state;
    state_farm_begin_deploy(farm, "");
    OK("record_set", "", "class=target name=t1 identity=uuid:7", "");
    OK("era_open", "", "broker=old:7700 identity=uuid:7", "");
    OK("target_unprotect", "", "name=t1", "");
    assert_string_equal(state_farm_body(farm, "protected"),
                        "it is the machine of broker old:7700");
    const char *later = "clock=9999999999990";
    OK("era_open", later, "broker=new:7700 identity=uuid:8", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    assert_non_null(strstr(farm->reply->text, "ramet target unprotect t1"));
    OK("scan", later, "broker=old:7700", ""); // It works again
    OK("target_unprotect", later, "name=t1", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    OK("target_unprotect", "clock=9999999999999", "name=t1", "");
    REFUSED(RMT_E_REFUSED, "deploy_start", NEXT, "image=img", "target=t1");
    OK("target_unprotect", "clock=19999999999999", "name=t1", "");
    assert_string_equal(state_farm_body(farm, "protected"), "");
    OK("deploy_start", NEXT, "image=img", "target=t1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_large_job_needs_the_number_of_its_targets),
        CASE(test_pending_targets_do_not_count),
        CASE(test_a_target_counts_once),
        CASE(test_a_large_retry_needs_the_number_of_its_targets),
        CASE(test_a_protected_target_is_refused_at_each_step),
        CASE(test_a_target_that_is_protected_late_is_not_armed),
        cmocka_unit_test(test_machines_of_ramet_itself_are_protected),
        CASE(test_a_machine_is_protected_while_one_program_is_there),
        CASE(test_a_refused_stranger_leaves_the_source_protected),
        CASE(test_a_machine_stays_protected_by_the_second_of_two),
        CASE(test_the_machine_of_a_broker_that_is_gone_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
