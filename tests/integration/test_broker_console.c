// The console in front of a real broker: what a person sees and may stop.
#include "integration/broker_farm.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "base/rmt_signals.h"

// The admin's console, with the trust root and keys of a farm of one person.
static void
s_configure(const broker_farm_t *farm)
{
    rmt_error_t error = {0};
    const char *dir = farm->redis.dir;
    rmt_auto_str broker = rmt_text("%s/broker.pub", dir);
    rmt_auto_str admin = rmt_text("%s/admin.key", dir);
    rmt_auto_str path = rmt_text("%s/console.cfg", dir);
    rmt_auto_str trust = rmt_text("%s/trust", dir);
    rmt_auto_str config =
        rmt_text("brokers = \"127.0.0.1:%u\"\nbroker-key = \"%s\"\nkey = \"%s\"\n"
                 "trust-root = \"%s/farm.root\"\norder-key = \"%s/order.key\"\n",
                 farm->port, broker, admin, trust, trust);
    RMT_OK(rmt_key_save_public(&farm->broker_key, broker, &error));
    RMT_OK(rmt_key_save(&farm->admin, admin, &error));
    RMT_OK(rmt_io_save(path, config, strlen(config), 0600, &error));
    rmt_auto_str program = rmt_text("%s/ramet", getenv("RAMET_BIN"));
    const char *const words[] = {
        program,    "trust", "create", trust, "--farm", "lab", "--unsigned-images",
        "--config", path,    NULL};
    rmt_auto_str output = NULL;
    RMT_OK(rmt_process_run(words, NULL, &output, &error));
}

static pid_t
s_start_deployment(const broker_farm_t *farm)
{
    rmt_auto_str program = rmt_text("%s/ramet", getenv("RAMET_BIN"));
    rmt_auto_str config = rmt_text("%s/console.cfg", farm->redis.dir);
    char *argv[] = {program,     "deploy", "start", "img",      "--engine", "lab",
                    "--targets", "t1",     "--yes", "--config", config,     NULL};
    return spawn_program(farm->redis.dir, "console", argv);
}

static bool
s_has_said(const broker_farm_t *farm, const char *words)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/console.log", farm->redis.dir);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    return rmt_io_load(path, 1 << 20, &text, &size, &error) == 0 && strstr(text, words);
}

static size_t
s_count_deployments(broker_farm_t *farm)
{
    size_t count = 0;
    rmt_auto(rmt_msg) jobs = broker_need(farm, "job.list", "", "");
    for (size_t i = 0; i < rmt_records_count(jobs->items); i++)
        count += rmt_record_is(rmt_records_at(jobs->items, i), "kind", "deploy");
    return count;
}

// P4 M12: while the engines match, nothing is silent: what is missing is named, and
// Ctrl-C starts nothing.
static void
test_a_deployment_that_waits_for_its_plan_can_be_stopped(void **state)
{
    broker_farm_t *farm = *state;
    s_configure(farm);
    hand_t *imager = hand_hire_imager(farm), *source = hand_hire_source(farm);
    rmt_auto_str image_job = broker_submit(farm, NULL);
    rmt_auto(rmt_msg) image = broker_await_job(farm, image_job, "done");
    rmt_auto(rmt_msg) engine = broker_need(farm, "engine.add", "name=lab", "");
    rmt_auto(rmt_msg) target = broker_need(farm, "target.add", "name=t1 engine=lab", "");
    pid_t console = s_start_deployment(farm);
    RMT_WAIT_UNTIL(s_has_said(farm, "nothing is locked yet"), BROKER_WAIT_MS);
    RMT_WAIT_UNTIL(s_has_said(farm, "stuck: no worker offers match@lab"), BROKER_WAIT_MS);
    const int status = end_program(&console, SIGINT);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), rmt_code_exit(RMT_E_CANCELLED));
    assert_true(s_has_said(farm, "no deployment was started"));
    assert_false(s_has_said(farm, "the plan failed"));
    assert_int_equal(s_count_deployments(farm), 0);
    hand_dismiss(&imager);
    hand_dismiss(&source);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_deployment_that_waits_for_its_plan_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
