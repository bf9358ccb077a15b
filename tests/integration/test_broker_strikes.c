// What a broken rule costs the peer that breaks it. P16, P17. Keys are muted for 2 s
// here.
#include <string.h>

#include "integration/broker_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_key.h"

static void
s_say(zsock_t *socket, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    (void) rmt_socket_send(socket, NULL, msg, false, &error); // A full queue is a flood
}

// A HELLO with facts of so many octets.
static rmt_msg_t *
s_long_hello(const char *role, const char *name, const char *service, size_t size)
{
    rmt_msg_t *hello = broker_hello(role, name, service);
    rmt_auto_ptr facts = zmalloc(size);
    memset(facts, 'x', size);
    rmt_record_put(rmt_msg_body(hello), "hardware", facts, size);
    return hello;
}

// [1.52] [4.31] P17: others are refused as BUSY; a second later the next one is taken.
static void
test_one_hello_a_second_is_taken(void **state)
{
    enum { COUNT = 30 };
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "imager", "i1", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_WORKERS);
    rmt_auto(rmt_msg) hello = s_long_hello("imager", "i1", "commit@hq", 50000);
    const int64_t begin = rmt_clock_ms();
    for (int i = 0; i < COUNT; i++)
        s_say(socket, hello);
    int welcome = 0, busy = 0;
    while (welcome + busy < COUNT) {
        rmt_auto(rmt_msg) answer = broker_hear(socket, BROKER_WAIT_MS);
        assert_non_null(answer);
        welcome += answer->kind == RMT_MSG_WELCOME;
        busy += answer->kind == RMT_MSG_REFUSED && answer->code == RMT_E_BUSY;
    }
    assert_in_range(welcome, 1, 3 + (rmt_clock_ms() - begin) / 1000);
    for (bool is_welcome = false; !is_welcome;) {
        rmt_pause(300, "a HELLO is taken once a second");
        s_say(socket, hello);
        rmt_auto(rmt_msg) answer = broker_hear(socket, BROKER_WAIT_MS);
        assert_non_null(answer);
        is_welcome = answer->kind == RMT_MSG_WELCOME;
        assert_true(rmt_clock_ms() - begin < BROKER_WAIT_MS);
    }
}

// [4.31] P16: octets, services, and tasks in hand.
static void
test_a_hello_has_its_size(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    const char *service = "capture@source/web";
    for (int i = 0; i < 3; i++) {
        rmt_auto(rmt_msg) hello =
            s_long_hello("source", "web", service, i == 0 ? 70000 : 10);
        for (int n = 0; i == 1 && n < 64; n++)
            rmt_record_set(rmt_records_add(hello->items), "service", service);
        for (int n = 0; i == 2 && n < 1025; n++)
            rmt_record_set(rmt_records_add(hello->hand), "attempt", "1");
        rmt_auto(rmt_msg) refused = broker_say(socket, hello, RMT_MSG_REFUSED);
        assert_int_equal(refused->code, RMT_E_TOO_BIG);
    }
    rmt_auto(rmt_msg) hello = s_long_hello("source", "web", service, 30000);
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
}

// Send without pause until the broker has muted a key so many times.
static void
s_flood(broker_farm_t *farm, zsock_t *socket, const rmt_msg_t *msg, const char *words)
{
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    while (broker_count_in_log(farm, words) == 0) {
        if (rmt_clock_ms() > limit)
            fail_msg("the broker never said %s (%s/broker.log)", words, farm->redis.dir);
        for (int i = 0; i < 2000; i++)
            s_say(socket, msg);
        rmt_wait_turn();
    }
}

static void
s_await_welcome(zsock_t *socket, const rmt_msg_t *hello)
{
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    for (;;) {
        s_say(socket, hello);
        rmt_auto(rmt_msg) answer = broker_hear(socket, 1100);
        if (answer && answer->kind == RMT_MSG_WELCOME)
            return;
        if (rmt_clock_ms() > limit)
            fail_msg("no WELCOME, but %s",
                     answer ? rmt_msg_kind_name(answer->kind) : "nothing");
    }
}

// [4.33] P17: the first flood mutes the key, which is heard again later; the second holds
// the machine, with a reason, and an admin is served all the while.
static void
test_a_flood_mutes_a_key_and_the_next_one_holds_its_machine(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "target", "t1", "lab");
    rmt_auto(rmt_msg) hello = broker_hello("target", "t1", "write@target/t1");
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    static const char *const words[] = {"times=1", "times=2"};
    for (size_t i = 0; i < 2; i++) {
        rmt_auto(rmt_msg) show = broker_need(farm, "target.show", "name=t1", "");
        assert_string_not_equal(rmt_record_text(show->body, "state", ""), "held");
        rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
        s_await_welcome(socket, hello);
        s_flood(farm, socket, beat, words[i]);
    }
    rmt_auto(rmt_msg) held = broker_need(farm, "target.show", "name=t1", "");
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    while (!strstr(rmt_record_text(held->body, "held", ""), "ramet target unhold t1")) {
        assert_true(rmt_clock_ms() < limit);
        rmt_msg_destroy(&held);
        held = broker_need(farm, "target.show", "name=t1", "");
    }
}

// [4.33]: each of these is a strike, and none of them is more.
static void
test_every_broken_rule_is_a_strike(void **state)
{
    broker_farm_t *farm = *state;
    static const struct {
        const char *role, *name;
        rmt_port_t port;
        rmt_msg_kind_t kind;
    } rows[] = {
        {"source", "web", RMT_PORT_AGENTS, RMT_MSG_RECORDED},
        {"viewer", "eve", RMT_PORT_CONSOLE, RMT_MSG_BEAT},
        {"installer", "n1", RMT_PORT_WORKERS, RMT_MSG_CREDIT},
        {"dashboard", "wall", RMT_PORT_CONSOLE, RMT_MSG_REQUEST},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const bool is_worker = rows[i].port != RMT_PORT_CONSOLE;
        const rmt_key_t key = broker_enrol(farm, rows[i].role, rows[i].name, "lab");
        rmt_auto(zsock) socket = broker_dial(farm, &key, rows[i].port);
        if (is_worker) {
            rmt_auto(rmt_msg) hello = broker_hello(rows[i].role, rows[i].name, "");
            s_await_welcome(socket, hello);
        }
        rmt_auto(rmt_msg) msg = rmt_msg_new(rows[i].kind);
        rmt_msg_text(&msg->service, "write@target/other");
        rmt_msg_text(&msg->verb, "key.token");
        rmt_auto_str words =
            rmt_text("role=%s name=%s times=1", rows[i].role, rows[i].name);
        for (int n = 0; n < 40; n++)
            s_say(socket, msg);
        rmt_msg_t *heard = broker_hear(socket, 100);
        rmt_msg_destroy(&heard);
        assert_int_equal(broker_count_in_log(farm, words), 0);
        s_flood(farm, socket, msg, words);
    }
}

// [4.33]: also what Redis refuses, which the broker by itself cannot judge.
static void
test_an_act_that_redis_refuses_is_a_strike(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "");
    s_await_welcome(socket, hello);
    rmt_auto(rmt_msg) ask = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&ask->verb, "holders");
    rmt_record_set(rmt_msg_body(ask), "place", "hq");
    rmt_record_set(ask->body, "service", "receive");
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    while (broker_count_in_log(farm, "role=source name=web times=1") == 0) {
        assert_true(rmt_clock_ms() < limit);
        for (int i = 0; i < 10; i++)
            s_say(socket, ask);
        rmt_auto(rmt_msg) refused = broker_hear(socket, 1000);
        assert_true(!refused || refused->code == RMT_E_NOT_ALLOWED);
        rmt_pause(100, "no more than the rate of the port");
    }
}

// [4.33]: a word about a task that is in no hands accuses the worker of nothing: it may
// have had the task before Redis came back with older contents.
static void
test_a_word_about_a_task_in_no_hands_is_no_strike(void **state)
{
    broker_farm_t *farm = *state;
    hand_t *imager = hand_hire_imager(farm);
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "capture@source/web");
    s_await_welcome(socket, hello);
    rmt_auto(rmt_msg) made = broker_need(farm, "image.create", "source=web name=w1", "");
    rmt_auto(rmt_msg) waits =
        broker_await_job(farm, rmt_record_text(made->body, "job", ""), "running");
    char task[40];
    broker_eval(farm,
                "for _, k in ipairs(redis.call('KEYS', 'ramet:task:*')) do "
                "if redis.call('HGET', k, 'stage') == 'capture' then "
                "return string.sub(k, 12) end end",
                task, sizeof task);
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) progress = rmt_msg_new(RMT_MSG_PROGRESS);
    RMT_OK(rmt_uid_parse(progress->task, task, &error));
    progress->attempt = 1;
    rmt_msg_text(&progress->phase, "read");
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    for (int i = 0; i < 5; i++) {
        s_say(socket, progress);
        rmt_auto(rmt_msg) answer = broker_say(socket, beat, RMT_MSG_BEAT);
    }
    rmt_auto(rmt_msg) after = broker_need(farm, "farm.status", "", "");
    assert_int_equal(broker_count_in_log(farm, "event=act.refused"), 0);
    hand_dismiss(&imager);
}

// P17: results and phases without number, of tasks that are nobody's; commands go on.
static void
test_results_without_number_leave_room_for_commands(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "imager", "i1", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_WORKERS);
    rmt_auto(rmt_msg) hello = broker_hello("imager", "i1", "commit@hq");
    s_await_welcome(socket, hello);
    const int64_t until = rmt_clock_ms() + 3000;
    for (uint32_t task = 0; rmt_clock_ms() < until;) {
        for (int i = 0; i < 200; i++) {
            rmt_auto(rmt_msg) result =
                rmt_msg_new(i % 2 ? RMT_MSG_RESULT : RMT_MSG_PROGRESS);
            memcpy(result->task, &task, sizeof task);
            task++;
            result->attempt = 1;
            rmt_msg_text(&result->phase, "commit");
            s_say(socket, result);
        }
        rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
    }
}

// ---- The enrol port

static rmt_msg_t *
s_knock(const char *token)
{
    rmt_msg_t *knock = rmt_msg_new(RMT_MSG_ENROL);
    rmt_msg_text(&knock->token, token);
    rmt_record_set(rmt_msg_body(knock), "role", "viewer");
    rmt_record_set(knock->body, "name", "eve");
    return knock;
}

// [4.35] [4.37] P17: guesses lock their address out, with few lines in the log; machines
// with keys go on from there, and a right token is taken when the time is over.
static void
test_guesses_at_the_enrol_port_lock_their_address_out(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t known = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) source = broker_dial(farm, &known, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "capture@source/web");
    s_await_welcome(source, hello);
    rmt_token_t guess;
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_key_t stranger;
    RMT_OK(rmt_key_new(&stranger, &error));
    rmt_auto(zsock) socket = broker_dial(farm, &stranger, RMT_PORT_ENROL);
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    while (broker_count_in_log(farm, "event=enrol.locked") == 0) {
        assert_true(rmt_clock_ms() < limit);
        for (int i = 0; i < 20; i++) {
            rmt_token_new(&guess, farm->broker_key.public_text);
            rmt_auto(rmt_msg) knock = s_knock(rmt_token_text(&guess, text));
            s_say(socket, knock);
        }
        rmt_wait_turn();
    }
    assert_in_range(broker_count_in_log(farm, "event=key.knocked"), 1, 3);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    rmt_auto(rmt_msg) answer = broker_say(source, beat, RMT_MSG_BEAT);
    const rmt_key_t late = broker_enrol(farm, "viewer", "eve", "");
    (void) late;
}

// ---- The events port

static zsock_t *
s_subscriber(const broker_farm_t *farm, const rmt_key_t *key)
{
    rmt_error_t error = {0};
    rmt_auto_str endpoint = rmt_text("127.0.0.1:%d", farm->port + RMT_PORT_EVENTS);
    zsock_t *socket = rmt_socket_new(RMT_SOCKET_EVENTS_CLIENT, endpoint, key,
                                     farm->broker_key.public_text, &error);
    RMT_OK(socket);
    return socket;
}

// True when the connection of a watched socket has ended within this time.
static bool
s_is_cut(zactor_t *monitor, int timeout_ms)
{
    zsock_set_rcvtimeo(monitor, timeout_ms);
    rmt_auto_str event = zstr_recv(monitor);
    return event && streq(event, "DISCONNECTED");
}

// [4.36] P17: the connection of a subscriber that wants too much ends, by number and by
// length; one within the limits hears its events all the while.
static void
test_a_subscriber_has_its_limits(void **state)
{
    broker_farm_t *farm = *state;
    static const struct {
        int count, size;
        bool is_cut;
    } rows[] = {{64, 20, false}, {65, 20, true}, {1, 200, false}, {1, 201, true}};
    const rmt_key_t key = broker_enrol(farm, "viewer", "eve", "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(zsock) socket = s_subscriber(farm, &key);
        zactor_t *monitor = zactor_new(zmonitor, socket);
        assert_int_equal(zstr_sendx(monitor, "LISTEN", "DISCONNECTED", NULL), 0);
        assert_int_equal(zstr_send(monitor, "START"), 0);
        assert_int_equal(zsock_wait(monitor), 0);
        rmt_auto_ptr topic = zmalloc((size_t) rows[i].size + 1);
        for (int n = 0; n < rows[i].count; n++) {
            memset(topic, 'a' + n % 26, (size_t) rows[i].size);
            ((char *) topic)[0] = (char) ('A' + n / 26);
            zsock_set_subscribe(socket, topic);
        }
        const bool is_cut = s_is_cut(monitor, rows[i].is_cut ? BROKER_WAIT_MS : 500);
        zactor_destroy(&monitor);
        if (is_cut != rows[i].is_cut)
            fail_msg("%d topics of %d octets: %s", rows[i].count, rows[i].size,
                     is_cut ? "cut" : "not cut");
        assert_true(broker_count_in_log(farm, "event=peer.cut") >= (i >= 1));
    }
    rmt_auto(rmt_client) listener = broker_client(farm, &farm->admin);
    rmt_error_t error = {0};
    RMT_OK(rmt_client_subscribe(listener, "engine/", &error));
    broker_await_heard(farm, listener);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_one_hello_a_second_is_taken),
        CASE(test_a_hello_has_its_size),
        CASE(test_a_flood_mutes_a_key_and_the_next_one_holds_its_machine),
        CASE(test_every_broken_rule_is_a_strike),
        CASE(test_an_act_that_redis_refuses_is_a_strike),
        CASE(test_a_word_about_a_task_in_no_hands_is_no_strike),
        CASE(test_guesses_at_the_enrol_port_lock_their_address_out),
        CASE(test_a_subscriber_has_its_limits),
        CASE(test_results_without_number_leave_room_for_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
