// Redis whose power is cut while jobs are submitted (P1): no job that was acknowledged is
// lost.
#include "cuts/power.h"
#include "integration/state_farm.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "tools/rmt_test.h"

#define UID_SIZE 32 // Letters of a job's id

// The farm over the Redis in a folder, which is started.
static void
s_farm_start(state_farm_t *farm, const char *folder)
{
    rmt_error_t error = {0};
    *farm = (state_farm_t){0};
    snprintf(farm->redis.dir, sizeof farm->redis.dir, "%s/redis", folder);
    snprintf(farm->redis.socket, sizeof farm->redis.socket, "%s/redis.sock", folder);
    (void) mkdir(farm->redis.dir, 0700);
    redis_server_start(&farm->redis);
    const rmt_state_server_t server = {.address = farm->redis.socket, .timeout_ms = 2000};
    farm->state = rmt_state_new(&server, NULL, &error);
    RMT_OK(farm->state);
}

static void
s_submit_for_ever(state_farm_t *farm, int acks)
{
    OK("record_add", "", "class=source name=web place=hq", "");
    for (unsigned n = 1;; n++) {
        char job[UID_SIZE + 1], ack[POWER_ACK_SIZE + 1];
        snprintf(job, sizeof job, "%0*u", UID_SIZE, n);
        snprintf(ack, sizeof ack, "%-*s", POWER_ACK_SIZE, job);
        rmt_auto_str meta = rmt_text("by=a job=%s job-name=j-%08u", job, n);
        rmt_auto_str body = rmt_text("source=web name=image-%u", n);
        OK("image_create", meta, body, "");
        power_acknowledge(acks, ack);
    }
}

static void
s_writer(const char *folder, int acks)
{
    state_farm_t farm;
    s_farm_start(&farm, folder);
    s_submit_for_ever(&farm, acks);
}

static void
s_writer_each_second(const char *folder, int acks)
{
    rmt_error_t error = {0};
    state_farm_t farm;
    s_farm_start(&farm, folder);
    const char *const lax[] = {"redis-cli", "-s",          farm.redis.socket, "CONFIG",
                               "SET",       "appendfsync", "everysec",        NULL};
    RMT_OK(rmt_process_run(lax, NULL, NULL, &error));
    s_submit_for_ever(&farm, acks);
}

static void
s_reader(const char *folder, const char *acks, power_loss_t *loss)
{
    state_farm_t farm;
    s_farm_start(&farm, folder);
    for (size_t i = 0; i < loss->acknowledged; i++) {
        rmt_auto_str body = rmt_text("job=%.*s", UID_SIZE, acks + i * POWER_ACK_SIZE);
        loss->lost += state_farm_call(&farm, "job_show", "", body, "") != RMT_E_OK;
    }
    rmt_state_destroy(&farm.state);
    rmt_msg_destroy(&farm.reply);
    redis_server_end(&farm.redis, SIGTERM);
}

// P1
static void
test_a_power_cut_loses_no_acknowledged_job(void **state)
{
    (void) state;
    const power_run_t run = {"ext4", s_writer, s_reader, 60};
    const power_loss_t loss = power_cut(&run, power_cuts_asked(5), power_seed_asked());
    assert_true(loss.acknowledged > 0);
    assert_int_equal(loss.lost, 0);
}

// The counter-test: a Redis that syncs once a second does lose jobs by the same cuts.
static void
test_a_power_cut_is_seen_where_redis_syncs_each_second(void **state)
{
    (void) state;
    const power_run_t run = {"ext4", s_writer_each_second, s_reader, 60};
    assert_true(power_cut(&run, 5, power_seed_asked()).lost > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_power_cut_loses_no_acknowledged_job,
                                  power_teardown),
        cmocka_unit_test_teardown(test_a_power_cut_is_seen_where_redis_syncs_each_second,
                                  power_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
