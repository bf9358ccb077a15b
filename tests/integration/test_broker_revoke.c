// P19: a live session of each role is silenced within 2 s of the revocation of its key,
// and the sessions of other keys go on.
#include <string.h>

#include "integration/broker_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

#define SILENT_MS 2000

// A key of the first boot comes with ARM alone: here it is put where that would put it.
static rmt_key_t
s_first_boot_key(broker_farm_t *farm)
{
    rmt_error_t error = {0};
    rmt_key_t key;
    RMT_OK(rmt_key_new(&key, &error));
    char script[600], answer[40];
    snprintf(script, sizeof script,
             "local k = '%s' redis.call('HSET', 'ramet:key:' .. k, 'key', k, 'role', "
             "'firstboot', 'name', 'me', 'state', 'approved', 'epoch', '1') "
             "redis.call('ZADD', 'ramet:keys', 0, k) "
             "redis.call('SADD', 'ramet:key-names:me', k) "
             "return redis.call('XADD', 'ramet:audit', '*', 'what', 'key.firstboot', "
             "'key', k)",
             key.public_text);
    broker_eval(farm, script, answer, sizeof answer);
    return key;
}

// One word of a session that is up: the code of the answer.
static rmt_code_t
s_speak(zsock_t *socket, rmt_msg_kind_t kind)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(kind);
    rmt_pause(100, "a key that speaks without pause is muted");
    if (kind == RMT_MSG_REQUEST)
        rmt_msg_text(&msg->verb, "no.verb");
    if (rmt_socket_send(socket, NULL, msg, false, &error) == -1)
        return RMT_E_TIMEOUT;
    rmt_auto(rmt_msg) answer = broker_hear(socket, 1000);
    return answer ? rmt_code_from(answer->code) : RMT_E_TIMEOUT;
}

typedef struct {
    const char *role, *place, *service; // service is "" for one that asks alone
    rmt_port_t port;
} session_t;

static rmt_msg_kind_t
s_word(const session_t *session)
{
    return *session->service ? RMT_MSG_BEAT : RMT_MSG_REQUEST;
}

// Open the session. False when the broker does not know the key yet: a handshake that
// was refused is not tried again.
static bool
s_open(const broker_farm_t *farm, const session_t *session, const rmt_key_t *key,
       zsock_t **socket_p)
{
    zsock_destroy(socket_p);
    *socket_p = broker_dial(farm, key, session->port);
    if (*session->service) {
        rmt_auto(rmt_msg) hello = broker_hello(session->role, "me", session->service);
        rmt_auto(rmt_msg) welcome = broker_say(*socket_p, hello, RMT_MSG_WELCOME);
    }
    return s_speak(*socket_p, s_word(session)) ==
           (*session->service ? RMT_E_OK : RMT_E_UNSUPPORTED);
}

// P19: each role at its own port.
static void
test_a_revoked_key_of_each_role_is_refused_within_2_s(void **state)
{
    broker_farm_t *farm = *state;
    static const session_t rows[] = {
        {"operator", "", "", RMT_PORT_CONSOLE},
        {"viewer", "", "", RMT_PORT_CONSOLE},
        {"dashboard", "", "", RMT_PORT_CONSOLE},
        {"imager", "hq", "commit@hq", RMT_PORT_WORKERS},
        {"installer", "lab", "match@lab", RMT_PORT_WORKERS},
        {"source", "hq", "capture@source/me", RMT_PORT_AGENTS},
        {"target", "lab", "prepare@target/me", RMT_PORT_AGENTS},
        {"firstboot", "", "", RMT_PORT_AGENTS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rmt_key_t key = streq(rows[i].role, "firstboot")
                                  ? s_first_boot_key(farm)
                                  : broker_enrol(farm, rows[i].role, "me", rows[i].place);
        rmt_auto(zsock) socket = NULL;
        RMT_WAIT_UNTIL(s_open(farm, &rows[i], &key, &socket), BROKER_WAIT_MS);
        rmt_auto_str body = rmt_text("key=%s", key.public_text);
        rmt_auto(rmt_msg) gone = broker_need(farm, "key.revoke", body, "");
        const int64_t limit = rmt_clock_ms() + SILENT_MS;
        rmt_code_t code = RMT_E_OK;
        while (code != RMT_E_NOT_ALLOWED && rmt_clock_ms() < limit)
            code = s_speak(socket, s_word(&rows[i]));
        if (code != RMT_E_NOT_ALLOWED)
            fail_msg("%s: code %d", rows[i].role, (int) code);
    }
}

// What a listener has heard of the engines e0, e1 ...: the highest number, and whether
// one before it is missing.
typedef struct {
    rmt_client_t *client;
    int next;
    bool has_gap;
} listener_t;

static void
s_listen(listener_t *self, uint32_t timeout_ms)
{
    rmt_error_t error = {0};
    for (;;) {
        rmt_auto(rmt_msg) event = rmt_client_next_event(self->client, timeout_ms, &error);
        int number = -1;
        if (!event)
            return;
        if (sscanf(event->topic, "engine/x%d/state", &number) != 1)
            continue;
        self->has_gap |= number != self->next;
        self->next = number + 1;
    }
}

static void
s_add_engines(broker_farm_t *farm, int from, int to)
{
    for (int i = from; i < to; i++) {
        rmt_auto_str body = rmt_text("name=x%d", i);
        rmt_auto(rmt_msg) added = broker_need(farm, "engine.add", body, "");
    }
}

// P19 [1.53]: a subscriber says nothing that could be refused, so its connection is cut;
// other subscribers miss no event by that.
static void
test_a_revoked_key_hears_no_more_events(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t eve = broker_enrol(farm, "dashboard", "eve", "");
    const rmt_key_t bob = broker_enrol(farm, "viewer", "bob", "");
    rmt_auto(rmt_client) eves = broker_client(farm, &eve);
    rmt_auto(rmt_client) bobs = broker_client(farm, &bob);
    RMT_OK(rmt_client_subscribe(eves, "", &error));
    RMT_OK(rmt_client_subscribe(bobs, "engine/", &error));
    broker_await_heard(farm, eves);
    broker_await_heard(farm, bobs);
    listener_t revoked = {.client = eves}, good = {.client = bobs};
    s_add_engines(farm, 0, 3);
    RMT_WAIT_UNTIL((s_listen(&revoked, 50), revoked.next == 3), BROKER_WAIT_MS);

    rmt_auto(rmt_msg) gone = broker_need(farm, "key.revoke", "name=eve", "");
    const int64_t silent_at = rmt_clock_ms() + SILENT_MS;
    s_add_engines(farm, 3, 40); // Also while the connections are away
    RMT_WAIT_UNTIL((s_listen(&good, 50), good.next == 40), BROKER_WAIT_MS);
    while (rmt_clock_ms() < silent_at)
        s_listen(&revoked, 50);
    revoked.next = -1;
    s_add_engines(farm, 40, 43);
    RMT_WAIT_UNTIL((s_listen(&good, 50), good.next == 43), BROKER_WAIT_MS);
    s_listen(&revoked, 1000);
    assert_int_equal(revoked.next, -1);
    assert_false(good.has_gap);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_revoked_key_of_each_role_is_refused_within_2_s),
        CASE(test_a_revoked_key_hears_no_more_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
