// More calls than Redis can do at once: each is answered, and the next ones as before.
#include "state_farm.h"
#include "tools/rmt_test.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"

typedef struct {
    size_t done, late, other;
} count_t;

static void
s_on_answer(void *context, rmt_msg_t *reply)
{
    count_t *count = context;
    count->done += reply->code == RMT_E_OK;
    count->late += rmt_msg_is_away(reply);
    count->other += reply->code != RMT_E_OK && reply->code != RMT_E_UNAVAILABLE;
}

static void
s_call_many(state_farm_t *farm, size_t calls, size_t size, count_t *count)
{
    rmt_auto_ptr text = zmalloc(size);
    rmt_auto(rmt_record) body = rmt_record_new();
    memset(text, 'x', size);
    rmt_record_set(body, "what", "note");
    rmt_record_put(body, "text", text, size);
    const rmt_call_t call = {"audit_append", NULL, body, NULL};
    for (size_t i = 0; i < calls; i++)
        rmt_state_call(farm->state, &call, s_on_answer, count);
}

// Until all are answered. Returns the milliseconds.
static int64_t
s_wait_answers(state_farm_t *farm, const count_t *count, size_t calls, int64_t limit_ms)
{
    const int64_t begin = rmt_clock_ms();
    while (count->done + count->late + count->other < calls) {
        if (rmt_clock_ms() - begin > limit_ms)
            fail_msg("%zu done, %zu late, %zu otherwise of %zu", count->done, count->late,
                     count->other, calls);
        zmq_pollitem_t item = {zsock_resolve(rmt_state_socket(farm->state)), 0,
                               ZMQ_POLLIN, 0};
        (void) zmq_poll(&item, 1, 100);
        rmt_state_handle(farm->state);
    }
    return rmt_clock_ms() - begin;
}

// [4.34] P17: calls that wait too long are answered late, none is lost, and the next call
// is made as if nothing had been.
static void
test_a_backlog_of_large_calls_is_worked_off(void **state)
{
    enum { CALLS = 2000, SIZE = 100 * 1024 };
    state_farm_t *farm = *state;
    count_t count = {0};
    s_call_many(farm, CALLS, SIZE, &count);
    const int64_t took = s_wait_answers(farm, &count, CALLS, 4 * STATE_WAIT_MS);
    print_message("%zu done, %zu late in %lld ms\n", count.done, count.late,
                  (long long) took);
    assert_int_equal(count.other, 0);
    assert_true(count.done > 0);
    OK("audit_append", "", "what=note", "");
}

// [4.34] P17: while Redis is stopped, nothing waits longer than its time-out; then the
// next call is made.
static void
test_a_backlog_ends_with_its_time_out(void **state)
{
    enum { CALLS = 3000 };
    state_farm_t *farm = *state;
    OK("audit_append", "", "what=note", "");
    count_t count = {0};
    assert_int_equal(kill(farm->redis.pid, SIGSTOP), 0);
    s_call_many(farm, CALLS, 20000, &count);
    (void) s_wait_answers(farm, &count, CALLS, 2 * STATE_WAIT_MS);
    assert_int_equal(kill(farm->redis.pid, SIGCONT), 0);
    assert_int_equal(count.late, CALLS);
    const int64_t until = rmt_clock_ms() + STATE_WAIT_MS;
    while (state_farm_call(farm, "audit_append", "", "what=note", "") != RMT_E_OK)
        assert_true(rmt_clock_ms() < until);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_backlog_of_large_calls_is_worked_off),
        CASE(test_a_backlog_ends_with_its_time_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
