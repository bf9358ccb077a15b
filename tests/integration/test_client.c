// lib/net over loopback: what a client's request lives through. A thread plays the
// broker.
#include "tools/rmt_test.h"

#include "farm.h"
#include "base/rmt_auto.h"
#include "net/rmt_client.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

typedef struct {
    zsock_t *console;
    int ignore; // Requests that get no answer
    int busy;   // Requests that are answered BUSY
    int seen, effects;
    uint8_t done[RMT_UID_SIZE];
    atomic_bool stop;
    pthread_t thread;
} desk_t;

static rmt_msg_t *
s_reply(desk_t *desk, const rmt_msg_t *request)
{
    rmt_msg_t *reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->sequence = request->sequence;
    if (streq(request->verb, "page")) {
        const int at = atoi(request->cursor ? request->cursor : "0");
        rmt_record_set_u64(rmt_records_add(rmt_msg_items(reply)), "n", (uint64_t) at);
        if (at < 4) {
            char cursor[16];
            snprintf(cursor, sizeof cursor, "%d", at + 1);
            rmt_msg_text(&reply->cursor, cursor);
        }
    } else if (desk->busy > 0) {
        desk->busy--;
        reply->code = RMT_E_BUSY;
    } else if (streq(request->verb, "deny")) {
        reply->code = RMT_E_LOCKED;
        rmt_msg_text(&reply->text, "locked by j-1");
    } else if (memcmp(request->idempotency, desk->done, RMT_UID_SIZE) != 0) {
        memcpy(desk->done, request->idempotency, RMT_UID_SIZE);
        desk->effects++;
    }
    return reply;
}

static void *
s_run_desk(void *argument)
{
    desk_t *desk = argument;
    rmt_packet_t packet = {0};
    while (!desk->stop) {
        if (farm_receive(desk->console, &packet, 50) != 1)
            continue;
        rmt_auto(rmt_msg) reply = s_reply(desk, packet.msg);
        rmt_error_t error = {0};
        if (desk->seen++ >= desk->ignore)
            (void) rmt_socket_send(desk->console, packet.route, reply, false, &error);
    }
    rmt_packet_clear(&packet);
    return NULL;
}

static void
s_open_desk(desk_t *desk, const farm_t *farm)
{
    desk->console = farm->console;
    assert_int_equal(pthread_create(&desk->thread, NULL, s_run_desk, desk), 0);
}

static void
s_close_desk(desk_t *desk)
{
    desk->stop = true;
    pthread_join(desk->thread, NULL);
}

static rmt_client_t *
s_client(const farm_t *farm, const rmt_key_t *own, const char *key, uint32_t timeout_ms)
{
    rmt_error_t error = {0};
    rmt_auto_str address = farm_address(farm->console);
    const char *brokers[] = {address, NULL};
    rmt_client_t *client = rmt_client_new(brokers, own, key, timeout_ms, &error);
    RMT_OK(client);
    return client;
}

// P2: a request that is sent twice is done once.
static void
test_a_retried_request_has_one_effect(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    desk_t desk = {.ignore = 1};
    s_open_desk(&desk, farm);
    rmt_auto(rmt_client) client =
        s_client(farm, &farm->own, farm->broker.public_text, WAIT_MS);
    const uint8_t idempotency[RMT_UID_SIZE] = {1, 2, 3};
    const rmt_request_t request = {"submit", NULL, NULL, NULL, idempotency};
    rmt_auto(rmt_msg) reply = rmt_client_request(client, &request, &error);
    s_close_desk(&desk);
    assert_non_null(reply);
    assert_int_equal(desk.seen, 2);
    assert_int_equal(desk.effects, 1);
}

// [1.50] P17: what was not begun is asked again, and has one effect.
static void
test_a_request_is_sent_again_while_the_broker_is_busy(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    desk_t desk = {.busy = 4};
    s_open_desk(&desk, farm);
    rmt_auto(rmt_client) client =
        s_client(farm, &farm->own, farm->broker.public_text, WAIT_MS);
    const uint8_t idempotency[RMT_UID_SIZE] = {4, 5, 6};
    const rmt_request_t request = {"submit", NULL, NULL, NULL, idempotency};
    rmt_auto(rmt_msg) reply = rmt_client_request(client, &request, &error);
    s_close_desk(&desk);
    RMT_OK(reply);
    assert_int_equal(desk.seen, 5);
    assert_int_equal(desk.effects, 1);
}

// [1.50]: and no longer than the request may take.
static void
test_a_broker_that_stays_busy_is_told(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    desk_t desk = {.busy = 1000};
    s_open_desk(&desk, farm);
    rmt_auto(rmt_client) client =
        s_client(farm, &farm->own, farm->broker.public_text, 2000);
    const rmt_request_t request = {"submit", NULL, NULL, NULL, NULL};
    rmt_auto(rmt_msg) none = rmt_client_request(client, &request, &error);
    s_close_desk(&desk);
    RMT_FAILS(none, RMT_E_BUSY);
    assert_true(desk.seen > 1);
    assert_int_equal(desk.effects, 0);
}

static void
test_a_denial_keeps_code_and_text(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    desk_t desk = {0};
    s_open_desk(&desk, farm);
    rmt_auto(rmt_client) client =
        s_client(farm, &farm->own, farm->broker.public_text, WAIT_MS);
    const rmt_request_t request = {.verb = "deny"};
    assert_null(rmt_client_request(client, &request, &error));
    s_close_desk(&desk);
    assert_int_equal(error.code, RMT_E_LOCKED);
    assert_string_equal(error.text, "locked by j-1");
}

// [1.31]: the asker gives the cursor back.
static void
test_pages_are_joined(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    desk_t desk = {0};
    s_open_desk(&desk, farm);
    rmt_auto(rmt_client) client =
        s_client(farm, &farm->own, farm->broker.public_text, WAIT_MS);
    rmt_auto(rmt_records) list = rmt_client_list(client, "page", NULL, &error);
    s_close_desk(&desk);
    assert_non_null(list);
    assert_int_equal(rmt_records_count(list), 5);
    assert_int_equal(rmt_record_u64(rmt_records_at(list, 4), "n", 0), 4);
}

static void
test_a_client_whose_key_is_refused_is_told_at_once(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_key_t stranger;
    RMT_OK(rmt_key_new(&stranger, &error));
    rmt_auto(rmt_client) client =
        s_client(farm, &stranger, farm->broker.public_text, WAIT_MS);
    const rmt_request_t request = {.verb = "page"};
    const int64_t before = rmt_clock_ms();
    RMT_FAILS(rmt_client_request(client, &request, &error), RMT_E_NOT_ALLOWED);
    assert_true(rmt_clock_ms() - before < 2000);
    // Once it has been approved, the same client gets in.
    rmt_zap_allow(farm->zap, "console", stranger.public_text);
    desk_t desk = {0};
    s_open_desk(&desk, farm);
    rmt_auto(rmt_msg) reply = rmt_client_request(client, &request, &error);
    s_close_desk(&desk);
    assert_non_null(reply);
}

// M20: in the words that a bare machine shows, too.
static void
test_a_client_is_told_of_a_broker_with_another_key(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_client) client = s_client(farm, &farm->own, farm->own.public_text, 1500);
    const rmt_request_t request = {.verb = "page"};
    RMT_FAILS(rmt_client_request(client, &request, &error), RMT_E_UNAVAILABLE);
    assert_non_null(
        strstr(error.text, "its public key differs from the one that is set here"));
}

static void
test_a_client_without_its_broker_gives_up_in_time(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_client) client = s_client(farm, &farm->own, farm->own.public_text, 500);
    const rmt_request_t request = {.verb = "page"};
    const int64_t before = rmt_clock_ms();
    RMT_FAILS(rmt_client_request(client, &request, &error), RMT_E_UNAVAILABLE);
    assert_true(rmt_clock_ms() - before < 2000);
}

// The events port is the console port + 1, so both are looked for together.
static zsock_t *
s_open_events(farm_t *farm)
{
    rmt_error_t error = {0};
    zsock_t *events = NULL;
    for (int i = 0; i < 20 && !events; i++) {
        zsock_destroy(&farm->console);
        farm->console = rmt_socket_new(RMT_SOCKET_BROKER_CONSOLE, "127.0.0.1:*",
                                       &farm->broker, NULL, &error);
        assert_non_null(farm->console);
        rmt_auto_str address =
            rmt_text("127.0.0.1:%u", rmt_socket_port(farm->console) + 1U);
        events = rmt_socket_new(RMT_SOCKET_BROKER_EVENTS, address, &farm->broker, NULL,
                                &error);
    }
    assert_non_null(events);
    return events;
}

static void
test_events_come_by_topic(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(zsock) events = s_open_events(farm);
    rmt_auto(rmt_client) client =
        s_client(farm, &farm->own, farm->broker.public_text, WAIT_MS);
    RMT_OK(rmt_client_subscribe(client, "job/1/", &error));
    zmq_pollitem_t item = {zsock_resolve(events), 0, ZMQ_POLLIN, 0};
    assert_int_equal(zmq_poll(&item, 1, WAIT_MS), 1);
    rmt_subscription_t subscription;
    assert_true(rmt_socket_recv_subscription(events, &subscription));
    assert_true(subscription.is_on);
    assert_string_equal(subscription.user, farm->own.public_text);
    assert_false(rmt_socket_recv_subscription(events, &subscription));
    static const char *const topics[] = {"job/2/state", "job/1/state"};
    for (size_t i = 0; i < 2; i++) {
        rmt_auto(rmt_msg) event = rmt_msg_new(RMT_MSG_EVENT);
        rmt_msg_text(&event->topic, topics[i]);
        RMT_OK(rmt_socket_send(events, NULL, event, false, &error));
    }
    rmt_auto(rmt_msg) event = rmt_client_next_event(client, WAIT_MS, &error);
    RMT_OK(event);
    assert_string_equal(event->topic, "job/1/state");
    RMT_FAILS(rmt_client_next_event(client, 50, &error), RMT_E_TIMEOUT);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_retried_request_has_one_effect),
        CASE(test_a_request_is_sent_again_while_the_broker_is_busy),
        CASE(test_a_broker_that_stays_busy_is_told),
        CASE(test_a_denial_keeps_code_and_text),
        CASE(test_pages_are_joined),
        CASE(test_a_client_whose_key_is_refused_is_told_at_once),
        CASE(test_a_client_is_told_of_a_broker_with_another_key),
        CASE(test_a_client_without_its_broker_gives_up_in_time),
        CASE(test_events_come_by_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
