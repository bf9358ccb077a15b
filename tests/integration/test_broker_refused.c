// What the library refuses at each try has an end: a real broker, and workers whose
// results no step can record.
#include "integration/broker_farm.h"

#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

#define GIVEN_UP "event=job.step.given-up"

// The job failed, its error has these words, and nothing was tried twice.
static void
s_assert_given_up(broker_farm_t *farm, const char *job, const char *service,
                  const char *why)
{
    rmt_auto(rmt_msg) failed = broker_await_job(farm, job, "failed");
    const char *error = rmt_record_text(failed->body, "error", "");
    if (!strstr(error, service) || !strstr(error, why))
        fail_msg("the job says: %s", error);
    assert_int_equal(broker_count_in_log(farm, GIVEN_UP), 1);
}

static int
s_run_bad_signature(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (hand_run_commit(task, context, error) == -1)
        return -1;
    rmt_record_set(rmt_task_outputs(task), "signature-key", "none");
    rmt_record_set(rmt_task_outputs(task), "signature", "none");
    return 0;
}

// [6.26] P1 P22: the imager sends its result until it is recorded.
static void
test_a_result_that_redis_refuses_fails_its_job(void **state)
{
    broker_farm_t *farm = *state;
    hand_t *source = hand_hire_source(farm);
    const rmt_key_t key = broker_enrol(farm, "imager", "imager-1", "hq");
    const rmt_service_t services[] = {{"commit@hq", 1, s_run_bad_signature}};
    hand_t *imager = hand_hire(farm, "imager", "imager-1", &key, services, 1);
    rmt_auto_str job = broker_submit(farm, NULL);
    s_assert_given_up(farm, job, "what commit@hq gave", "64 hexadecimal digits");
    RMT_WAIT_UNTIL(imager->ends == 1, BROKER_WAIT_MS); // RECORDED: it is not sent again
    assert_int_equal(imager->runs, 1);
    hand_dismiss(&imager);
    // The name is free again.
    const rmt_service_t good[] = {{"commit@hq", 1, hand_run_commit}};
    imager = hand_hire(farm, "imager", "imager-1", &key, good, 1);
    rmt_auto_str again = broker_submit(farm, NULL);
    rmt_auto(rmt_msg) done = broker_await_job(farm, again, "done");
    hand_dismiss(&imager);
    hand_dismiss(&source);
}

typedef struct {
    hand_t *imager, *source, *installer;
} crew_t;

// The image "img" is there, and a machine is matched by this function.
static void
s_hire(broker_farm_t *farm, crew_t *crew, rmt_task_fn *match)
{
    crew->imager = hand_hire_imager(farm);
    crew->source = hand_hire_source(farm);
    rmt_auto_str job = broker_submit(farm, NULL);
    rmt_auto(rmt_msg) image = broker_await_job(farm, job, "done");
    const rmt_key_t key = broker_enrol(farm, "installer", "installer-1", "lab");
    const rmt_service_t services[] = {{"match@lab", 1, match}};
    crew->installer = hand_hire(farm, "installer", "installer-1", &key, services, 1);
}

static void
s_dismiss(crew_t *crew)
{
    hand_dismiss(&crew->imager);
    hand_dismiss(&crew->source);
    hand_dismiss(&crew->installer);
}

static int
s_run_countless(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (hand_run_plain(task, context, error) == -1)
        return -1;
    rmt_record_set_u64(rmt_task_outputs(task), "fits", UINT64_MAX);
    return 0;
}

// [6.26] P1: more than Redis can count.
static void
test_a_count_that_redis_refuses_fails_its_plan(void **state)
{
    broker_farm_t *farm = *state;
    crew_t crew;
    s_hire(farm, &crew, s_run_countless);
    rmt_auto(rmt_msg) plan =
        broker_need(farm, "deploy.plan", "image=img engines=lab", "");
    s_assert_given_up(farm, rmt_record_text(plan->body, "job", ""), "what match@lab gave",
                      "fits cannot be counted");
    RMT_WAIT_UNTIL(crew.installer->ends == 1, BROKER_WAIT_MS);
    s_dismiss(&crew);
}

// [6.26] P4: without a result as well; the look of each second finds such a job again.
static void
test_a_job_whose_next_step_redis_refuses_fails(void **state)
{
    broker_farm_t *farm = *state;
    rmt_auto(rmt_msg) added = broker_need(farm, "source.add", "name=web place=hq", "");
    rmt_auto_str job = broker_submit(farm, NULL);
    rmt_auto(rmt_msg) running = broker_await_job(farm, job, "running");
    char answer[64];
    rmt_auto_str script = rmt_text("local job = 'ramet:job:%s' "
                                   "redis.call('HSET', job, 'stage', 'start') "
                                   "redis.call('HDEL', job, 'source') "
                                   "return redis.call('SADD', 'ramet:drive', '%s')",
                                   job, job);
    broker_eval(farm, script, answer, sizeof answer);
    s_assert_given_up(farm, job, "the next step of this job", "needs subject");
    broker_eval(farm, "return redis.call('SCARD', 'ramet:drive')", answer, sizeof answer);
    assert_string_equal(answer, "0");
}

// [6.26]: what breaks off behind a write. That the task has ended is not all that is
// known.
static void
test_a_step_that_breaks_off_is_told(void **state)
{
    broker_farm_t *farm = *state;
    crew_t crew;
    s_hire(farm, &crew, hand_run_plain);
    crew.installer->is_held = 1;
    rmt_auto(rmt_msg) plan =
        broker_need(farm, "deploy.plan", "image=img engines=lab", "");
    const char *job = rmt_record_text(plan->body, "job", "");
    hand_await_runs(crew.installer, 1);
    char answer[64];
    rmt_auto_str script =
        rmt_text("return redis.call('HSET', 'ramet:job:%s', 'waiting', 'many')", job);
    broker_eval(farm, script, answer, sizeof answer);
    crew.installer->is_held = 0;
    s_assert_given_up(farm, job, "what match@lab gave", "not an integer");
    s_dismiss(&crew);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_result_that_redis_refuses_fails_its_job),
        CASE(test_a_count_that_redis_refuses_fails_its_plan),
        CASE(test_a_job_whose_next_step_redis_refuses_fails),
        CASE(test_a_step_that_breaks_off_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
