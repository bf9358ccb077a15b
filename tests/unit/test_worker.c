// A worker's loop ends with an error when it can no longer wait, and does not spin.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "net/rmt_worker.h"

static int
s_run(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) task;
    (void) context;
    (void) error;
    return 0;
}

static void
test_a_worker_that_cannot_wait_says_so(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_key_t own, broker;
    RMT_OK(rmt_key_new(&own, &error));
    RMT_OK(rmt_key_new(&broker, &error));
    static const char *const brokers[] = {"127.0.0.1:1", NULL};
    const rmt_service_t service = {"capture@source/s", 1, s_run};
    const rmt_worker_config_t config = {.brokers = brokers,
                                        .own = &own,
                                        .broker_key = broker.public_text,
                                        .role = "source",
                                        .name = "s",
                                        .services = &service,
                                        .service_count = 1};
    rmt_auto(rmt_worker) worker = rmt_worker_new(&config, &error);
    assert_non_null(worker);
    RMT_OK(rmt_failpoint_arm("worker.wait=error:EIO@3", &error));
    RMT_FAILS(rmt_worker_run(worker, &error), RMT_E_IO);
    assert_int_equal(rmt_failpoint_acted(), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_that_cannot_wait_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
