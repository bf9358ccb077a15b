// A task in hand that gives no sign of life loses its place in the beats.
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "net/rmt_held_task.h"

typedef struct {
    const char *phase; // NULL: none is told
    int64_t limit_ms;
} case_t;

// Tells its phase, then waits for the end without a sign of life.
static int
s_stand_still(rmt_task_t *task, void *context, rmt_error_t *error)
{
    const case_t *one = context;
    if (one->phase)
        rmt_task_progress(task, one->phase, 0, 0, NULL);
    while (!rmt_task_cancelled(task))
        rmt_wait_turn();
    return rmt_fail(error, RMT_E_CANCELLED, "stopped");
}

static rmt_msg_t *
s_say_nothing(void *context)
{
    (void) context;
    return rmt_msg_new(RMT_MSG_BEAT);
}

static rmt_peer_t *
s_peer(void)
{
    rmt_error_t error = {0};
    rmt_key_t key;
    const char *const brokers[] = {"127.0.0.1:9", NULL};
    RMT_OK(rmt_key_new(&key, &error));
    const rmt_peer_config_t config = {brokers,       &key,          key.public_text,
                                      s_say_nothing, s_say_nothing, NULL};
    rmt_peer_t *peer = rmt_peer_new(&config, &error);
    RMT_OK(peer);
    return peer;
}

static rmt_held_task_t *
s_start(const case_t *one)
{
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_TASK);
    rmt_msg_body(msg);
    rmt_held_task_t *run = rmt_held_task_new(&msg, 0);
    const rmt_task_setup_t setup = {s_stand_still, (void *) (uintptr_t) one, "h"};
    rmt_held_task_start(run, &setup);
    return run;
}

// Wait for the phase to be told.
static void
s_hear(rmt_held_task_t *run, rmt_peer_t *peer)
{
    uint64_t sequence = 0;
    const rmt_held_task_ear_t ear = {0};
    zmq_pollitem_t item = {zsock_resolve(rmt_held_task_pipe(run)), 0, ZMQ_POLLIN, 0};
    assert_int_equal(zmq_poll(&item, 1, 10000), 1);
    rmt_held_task_read(run, peer, &sequence, &ear);
}

// [1.21] what stands still for longer than its phase may is left out of the beats, so
// that its lease runs out.
static void
test_a_task_that_stands_still_is_left_out_after_the_limit_of_its_phase(void **state)
{
    (void) state;
    static const case_t cases[] = {
        {NULL, 120000},    {"partition", 120000}, {"format", 600000},
        {"unpack", 60000}, {"verify", 60000},     {"configure", 120000},
    };
    rmt_auto(rmt_peer) peer = s_peer();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto(rmt_held_task) run = s_start(&cases[i]);
        if (cases[i].phase)
            s_hear(run, peer);
        const int64_t now = rmt_clock_ms();
        assert_true(rmt_held_task_is_alive(run, now)); // Its last sign of life is seen
        if (!rmt_held_task_is_alive(run, now + cases[i].limit_ms - 10000))
            fail_msg("%s is given up too soon", cases[i].phase);
        if (rmt_held_task_is_alive(run, now + cases[i].limit_ms))
            fail_msg("%s is never given up", cases[i].phase);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_a_task_that_stands_still_is_left_out_after_the_limit_of_its_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
