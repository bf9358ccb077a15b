// What a broker says to whom: replies, tasks within the credit, and who gets in where.
#include <signal.h>
#include <string.h>
#include "integration/broker_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

// [1.7] [1.29]: each request has its reply, and no other.
static void
test_a_reply_has_the_sequence_of_its_request(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(zsock) socket = broker_dial(farm, &farm->admin, RMT_PORT_CONSOLE);
    static const struct {
        const char *verb;
        uint64_t sequence;
    } rows[] = {{"farm.status", 7}, {"make.coffee", UINT64_MAX}, {"engine.list", 7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
        rmt_msg_text(&request->verb, rows[i].verb);
        request->sequence = rows[i].sequence;
        RMT_OK(rmt_socket_send(socket, NULL, request, true, &error));
    }
    uint64_t heard = 0, sum = 0;
    for (rmt_msg_t *reply; (reply = broker_hear(socket, heard < 3 ? 5000 : 200));
         heard++) {
        assert_int_equal(reply->kind, RMT_MSG_REPLY);
        assert_true(reply->sequence == 7 || reply->sequence == UINT64_MAX);
        assert_true((reply->sequence == 7) == (reply->code == RMT_E_OK));
        sum += reply->sequence;
        rmt_msg_destroy(&reply);
    }
    assert_int_equal(heard, 3);
    assert_true(sum == 13); // 7 + 7 - 1, modulo 2^64
}

// Tasks that come before the broker answers a beat.
static size_t
s_count_tasks(zsock_t *socket)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    RMT_OK(rmt_socket_send(socket, NULL, beat, true, &error));
    size_t count = 0;
    for (;;) {
        rmt_auto(rmt_msg) msg = broker_hear(socket, 5000);
        assert_non_null(msg);
        if (msg->kind == RMT_MSG_BEAT)
            return count;
        count += msg->kind == RMT_MSG_TASK;
    }
}

// A source web that has told what it does. Caller owns the result.
static zsock_t *
s_greet_source(broker_farm_t *farm)
{
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    zsock_t *socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "capture@source/web");
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    return socket;
}

// It takes one task. Caller owns the result.
static rmt_msg_t *
s_credit(void)
{
    rmt_msg_t *credit = rmt_msg_new(RMT_MSG_CREDIT);
    rmt_msg_text(&credit->service, "capture@source/web");
    credit->slots = 1;
    return credit;
}

// [1.22]: two tasks wait; without CREDIT none of them comes, with CREDIT for one comes
// one.
static void
test_no_more_tasks_come_than_the_credit_allows(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    hand_t *imager = hand_hire_imager(farm);
    rmt_auto(zsock) socket = s_greet_source(farm);
    for (int i = 0; i < 2; i++) {
        rmt_auto_str body = rmt_text("source=web name=img%d", i);
        rmt_auto(rmt_msg) made = broker_need(farm, "image.create", body, "");
        rmt_auto(rmt_msg) waits =
            broker_await_job(farm, rmt_record_text(made->body, "job", ""), "running");
    }
    assert_int_equal(s_count_tasks(socket), 0);
    rmt_auto(rmt_msg) credit = s_credit();
    rmt_auto(rmt_msg) first = broker_say(socket, credit, RMT_MSG_TASK);
    assert_int_equal(s_count_tasks(socket), 0);
    assert_null(broker_hear(socket, 500)); // More than one look of the broker
    RMT_OK(rmt_socket_send(socket, NULL, credit, true, &error));
    rmt_auto(rmt_msg) second = broker_hear(socket, 5000);
    assert_non_null(second);
    assert_int_equal(second->kind, RMT_MSG_TASK);
    assert_memory_not_equal(second->task, first->task, RMT_UID_SIZE);
    hand_dismiss(&imager);
}

// Beat until a message of this kind comes.
static rmt_msg_t *
s_beat_until(zsock_t *socket, rmt_msg_kind_t kind)
{
    rmt_error_t error = {0};
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    while (rmt_clock_ms() < limit) {
        rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
        RMT_OK(rmt_socket_send(socket, NULL, beat, true, &error));
        rmt_auto(rmt_msg) msg = broker_hear(socket, 100);
        if (msg && msg->kind == kind)
            return rmt_take(&msg);
        rmt_pause(50, "a key that beats without a pause is muted");
    }
    fail_msg("no message of kind %s in %d ms", rmt_msg_kind_name(kind), BROKER_WAIT_MS);
    return NULL;
}

// [1.69] P4: Redis may carry out what the broker has given up: the task is leased to a
// worker to which it was never sent. The worker is asked to greet, and gets it.
static void
test_a_task_that_was_never_sent_is_offered_again(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    hand_t *imager = hand_hire_imager(farm);
    rmt_auto(zsock) socket = s_greet_source(farm);
    rmt_auto_str job = broker_submit(farm, NULL);
    rmt_auto(rmt_msg) waits = broker_await_job(farm, job, "running");
    rmt_auto(rmt_msg) credit = s_credit();

    kill(farm->redis.pid, SIGSTOP);
    RMT_OK(rmt_socket_send(socket, NULL, credit, true, &error));
    RMT_WAIT_UNTIL(broker_count_in_log(farm, "event=redis.down") == 1, BROKER_WAIT_MS);
    kill(farm->redis.pid, SIGCONT);
    rmt_auto(rmt_msg) ask = s_beat_until(socket, RMT_MSG_REFUSED);
    assert_int_equal(ask->code, RMT_E_NOT_FOUND);
    rmt_auto(rmt_msg) again = broker_hello("source", "web", "capture@source/web");
    rmt_auto(rmt_msg) known = broker_say(socket, again, RMT_MSG_WELCOME);
    RMT_OK(rmt_socket_send(socket, NULL, credit, true, &error));
    rmt_auto(rmt_msg) task = s_beat_until(socket, RMT_MSG_TASK);
    // 1 when Redis has dropped the call: a reset connection may come before its words.
    assert_in_range(task->attempt, 1, 2);
    hand_dismiss(&imager);
}

static bool
s_shows_done(broker_farm_t *farm, const char *job, const char *done)
{
    rmt_auto_str body = rmt_text("job=%s", job);
    rmt_auto(rmt_msg) show = broker_need(farm, "job.show", body, "");
    return streq(rmt_record_text(show->body, "done", ""), done);
}

// P17: what the broker keeps of a task in hand, its percentage too, goes with the worker.
static void
test_the_percentage_of_a_worker_that_has_gone_is_forgotten(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    hand_t *imager = hand_hire_imager(farm);
    rmt_auto(zsock) socket = s_greet_source(farm);
    rmt_auto(rmt_msg) credit = s_credit();
    RMT_OK(rmt_socket_send(socket, NULL, credit, true, &error));
    rmt_auto(rmt_msg) made = broker_need(farm, "image.create", "source=web name=w1", "");
    const char *job = rmt_record_text(made->body, "job", "");
    rmt_auto(rmt_msg) task = broker_hear(socket, BROKER_WAIT_MS);
    assert_non_null(task);
    assert_int_equal(task->kind, RMT_MSG_TASK);
    rmt_auto(rmt_msg) progress = rmt_msg_new(RMT_MSG_PROGRESS);
    memcpy(progress->task, task->task, RMT_UID_SIZE);
    progress->attempt = task->attempt;
    progress->done = 17;
    progress->total = 40;
    rmt_msg_text(&progress->phase, "read");
    RMT_OK(rmt_socket_send(socket, NULL, progress, true, &error));
    RMT_WAIT_UNTIL(s_shows_done(farm, job, "17"), BROKER_WAIT_MS);
    rmt_auto(rmt_msg) gone = broker_need(farm, "key.revoke", "name=web", "");
    RMT_WAIT_UNTIL(!s_shows_done(farm, job, "17"), BROKER_WAIT_MS);
    hand_dismiss(&imager);
}

// [1.33]: nothing that is said there can reach one who acts.
static void
test_the_events_port_lets_no_worker_and_no_agent_in(void **state)
{
    broker_farm_t *farm = *state;
    static const struct {
        const char *role, *name, *place;
        bool gets_in;
    } rows[] = {{"imager", "i1", "hq", false},
                {"source", "web", "hq", false},
                {"viewer", "eve", "", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        const rmt_key_t key =
            broker_enrol(farm, rows[i].role, rows[i].name, rows[i].place);
        rmt_auto_str endpoint = rmt_text("127.0.0.1:%d", farm->port + RMT_PORT_EVENTS);
        zsock_t *watcher = NULL;
        zsock_t *socket =
            rmt_socket_new_watched(RMT_SOCKET_EVENTS_CLIENT, endpoint, &key,
                                   farm->broker_key.public_text, &watcher, &error);
        assert_non_null(socket);
        zmq_pollitem_t item = {zsock_resolve(watcher), 0, ZMQ_POLLIN, 0};
        const int told = zmq_poll(&item, 1, rows[i].gets_in ? 500 : BROKER_WAIT_MS);
        assert_int_equal(told, rows[i].gets_in ? 0 : 1);
        if (!rows[i].gets_in)
            RMT_FAILS(rmt_socket_watch(watcher, endpoint, &error), RMT_E_NOT_ALLOWED);
        rmt_socket_close_watched(&socket, &watcher);
    }
}

// [1.34]: nobody brings another one's key in.
static void
test_a_key_is_enrolled_over_its_own_connection_alone(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) token =
        broker_need(farm, "key.token", "role=viewer name=eve approve=yes", "");
    rmt_key_t own, other;
    RMT_OK(rmt_key_new(&own, &error));
    RMT_OK(rmt_key_new(&other, &error));
    rmt_auto(zsock) socket = broker_dial(farm, &own, RMT_PORT_ENROL);
    const rmt_key_t *const keys[] = {&other, &own};
    static const rmt_code_t codes[] = {RMT_E_NOT_ALLOWED, RMT_E_OK};
    for (size_t i = 0; i < 2; i++) {
        rmt_auto(rmt_msg) enrol = rmt_msg_new(RMT_MSG_ENROL);
        rmt_msg_text(&enrol->token, rmt_record_text(token->body, "token", ""));
        rmt_record_set(rmt_msg_body(enrol), "role", "viewer");
        rmt_record_set(enrol->body, "name", "eve");
        rmt_record_set(enrol->body, "key", keys[i]->public_text);
        rmt_auto(rmt_msg) answer = broker_say(socket, enrol, RMT_MSG_ENROLLED);
        assert_int_equal(answer->code, codes[i]);
    }
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_reply_has_the_sequence_of_its_request),
        CASE(test_no_more_tasks_come_than_the_credit_allows),
        CASE(test_a_task_that_was_never_sent_is_offered_again),
        CASE(test_the_percentage_of_a_worker_that_has_gone_is_forgotten),
        CASE(test_the_events_port_lets_no_worker_and_no_agent_in),
        CASE(test_a_key_is_enrolled_over_its_own_connection_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
