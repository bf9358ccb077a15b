// How many connections a key may have, what ends them, and what a peer is told. P17, P19.
// Keys are muted for 2 s here.
#include <string.h>

#include "integration/broker_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "net/rmt_enrol.h"

// One REQUEST that every port answers by itself; its answer, or NULL.
static rmt_msg_t *
s_ask(zsock_t *socket, int timeout_ms)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, "no.verb");
    (void) rmt_socket_send(socket, NULL, request, false, &error);
    return broker_hear(socket, timeout_ms);
}

static bool
s_is_served(zsock_t *socket)
{
    rmt_auto(rmt_msg) answer = s_ask(socket, 500);
    return answer && answer->code != RMT_E_BUSY;
}

// [4.39] P17: the one that is too many is told so and ends; there is space again when
// another one has ended, and other keys are not concerned.
static void
test_a_key_has_so_many_connections_to_a_port(void **state)
{
    broker_farm_t *farm = *state;
    static const struct {
        const char *role, *name;
        rmt_port_t port;
        size_t max;
    } rows[] = {{"source", "web", RMT_PORT_AGENTS, 4},
                {"installer", "n1", RMT_PORT_WORKERS, 4},
                {"viewer", "eve", RMT_PORT_CONSOLE, 16}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zsock_t *sockets[17];
        const rmt_key_t key = broker_enrol(farm, rows[i].role, rows[i].name, "lab");
        for (size_t n = 0; n <= rows[i].max; n++)
            sockets[n] = broker_dial(farm, &key, rows[i].port);
        for (size_t n = 0; n < rows[i].max; n++)
            assert_true(s_is_served(sockets[n]));
        rmt_auto(rmt_msg) refused = s_ask(sockets[rows[i].max], BROKER_WAIT_MS);
        assert_non_null(refused);
        assert_int_equal(refused->code, RMT_E_BUSY);
        assert_non_null(strstr(refused->text, "too many connections"));
        assert_true(s_is_served(sockets[0]));
        zsock_destroy(&sockets[1]);
        RMT_WAIT_UNTIL(s_is_served(sockets[rows[i].max]), BROKER_WAIT_MS);
        for (size_t n = 0; n <= rows[i].max; n++)
            zsock_destroy(&sockets[n]);
    }
}

static size_t
s_hear_engines(rmt_client_t *listener, uint32_t timeout_ms)
{
    rmt_error_t error = {0};
    size_t count = 0;
    for (;; count++) {
        rmt_auto(rmt_msg) event = rmt_client_next_event(listener, timeout_ms, &error);
        if (!event)
            return count;
    }
}

// [4.33] P17: a connection that only listens ends as well as the one that floods.
static void
test_a_mute_ends_every_connection_of_its_key(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = broker_enrol(farm, "dashboard", "wall", "");
    rmt_auto(rmt_client) listener = broker_client(farm, &key);
    RMT_OK(rmt_client_subscribe(listener, "engine/", &error));
    broker_await_heard(farm, listener);
    (void) s_hear_engines(listener, 300);
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_CONSOLE);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    while (broker_count_in_log(farm, "event=peer.muted") == 0) {
        assert_true(rmt_clock_ms() < limit);
        for (int i = 0; i < 100; i++)
            (void) rmt_socket_send(socket, NULL, beat, false, &error);
        rmt_wait_turn();
    }
    rmt_auto(rmt_msg) added = broker_need(farm, "engine.add", "name=late", "");
    assert_int_equal(s_hear_engines(listener, 500), 0);
}

static size_t
s_count_refused_in_audit(const broker_farm_t *farm, const rmt_key_t *key)
{
    char script[300], answer[20];
    snprintf(script, sizeof script,
             "local n = 0 for _, e in ipairs(redis.call('XRANGE', 'ramet:audit', '-', "
             "'+')) do local t = table.concat(e[2], ' ') if string.find(t, "
             "'act.refused', 1, true) and string.find(t, '%s', 1, true) then n = n + 1 "
             "end end return n",
             key->public_text);
    broker_eval(farm, script, answer, sizeof answer);
    return strtoul(strpbrk(answer, "0123456789"), NULL, 10);
}

static void
s_beat(zsock_t *socket)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    (void) rmt_socket_send(socket, NULL, beat, false, &error);
    rmt_auto(rmt_msg) answer = broker_hear(socket, 20);
}

// [4.38] P19: it is told so; when it goes on its connection ends, and there is one line
// in the log, and one entry in the audit stream.
static void
test_an_agent_whose_key_has_ended_does_not_beat_for_ever(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "capture@source/web");
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    rmt_auto(rmt_msg) gone = broker_need(farm, "key.revoke", "name=web", "");
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    rmt_auto(rmt_msg) refused = broker_say(socket, beat, RMT_MSG_REFUSED);
    assert_int_equal(refused->code, RMT_E_NOT_ALLOWED);
    RMT_WAIT_UNTIL((s_beat(socket), broker_count_in_log(farm, "event=handshake.refused")),
                   BROKER_WAIT_MS);
    rmt_auto_str line = rmt_text("event=act.refused key=%s", key.public_text);
    assert_int_equal(broker_count_in_log(farm, line), 1);
    assert_int_equal(s_count_refused_in_audit(farm, &key), 1);
}

// [4.37]: each kind of act is in the audit stream, and no kind fills it.
static void
test_a_refused_act_is_audited_once_a_minute(void **state)
{
    static const char *const verbs[] = {"key.token", "job.cancel", "target.protect"};
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = broker_enrol(farm, "viewer", "eve", "");
    rmt_auto(rmt_client) client = broker_client(farm, &key);
    for (int i = 0; i < 30; i++)
        assert_null(broker_ask(client, verbs[i % 3], "", "", NULL, &error));
    assert_int_equal(error.code, RMT_E_NOT_ALLOWED);
    rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
    assert_int_equal(rmt_record_u64(status->body, "refused", 0), 30);
    assert_int_equal(s_count_refused_in_audit(farm, &key), 3);
}

// [4.32] [1.50] P17: each request is answered, those over the rate by BUSY.
static void
test_a_request_over_the_rate_hears_busy(void **state)
{
    enum { COUNT = 300 };
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "");
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, "no.verb");
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    int sent = 0, answered = 0;
    bool is_busy = false;
    while (!is_busy) {
        assert_true(rmt_clock_ms() < limit);
        for (int i = 0; i < 10; i++, sent++)
            RMT_OK(rmt_socket_send(socket, NULL, request, true, &error));
        for (; answered < sent; answered++) {
            rmt_auto(rmt_msg) reply = broker_hear(socket, 2000);
            assert_non_null(reply);
            assert_int_equal(reply->kind, RMT_MSG_REPLY);
            is_busy |= reply->code == RMT_E_BUSY;
        }
    }
    assert_true(sent > COUNT);
}

// [1.62]: a broker without Redis has no time for a newcomer, and the next one has.
static void
test_a_newcomer_goes_on_to_a_broker_that_is_open(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    broker_farm_t closed = *farm;
    closed.port = broker_free_ports();
    snprintf(closed.redis.socket, sizeof closed.redis.socket, "%s/none", farm->redis.dir);
    broker_configure(&closed, "closed", 1000);
    pid_t broker = broker_spawn(&closed, "closed");
    rmt_auto(rmt_msg) token =
        broker_need(farm, "key.token", "role=viewer name=eve approve=yes", "");
    rmt_auto_str first = rmt_text("127.0.0.1:%d", closed.port);
    rmt_auto_str second = rmt_text("127.0.0.1:%d", farm->port);
    const char *const brokers[] = {first, second, NULL};
    rmt_key_t key;
    RMT_OK(rmt_key_new(&key, &error));
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "role", "viewer");
    rmt_record_set(body, "name", "eve");
    rmt_auto(rmt_record) answer = NULL;
    const rmt_enrol_config_t config = {
        .brokers = brokers,
        .broker_key = farm->broker_key.public_text,
        .own = &key,
        .token = rmt_record_text(token->body, "token", ""),
        .body = body,
        .timeout_ms = BROKER_WAIT_MS,
    };
    RMT_OK(rmt_enrol(&config, &answer, &error));
    (void) end_program(&broker, SIGTERM);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_key_has_so_many_connections_to_a_port),
        CASE(test_a_mute_ends_every_connection_of_its_key),
        CASE(test_an_agent_whose_key_has_ended_does_not_beat_for_ever),
        CASE(test_a_refused_act_is_audited_once_a_minute),
        CASE(test_a_request_over_the_rate_hears_busy),
        CASE(test_a_newcomer_goes_on_to_a_broker_that_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
