// lib/net over loopback: how a worker lives through the loss of a broker, asks it, and
// leaves it.
#include "integration/worker_crew.h"

#include <signal.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "net/rmt_peer.h"
#include "base/rmt_clock.h"
#include "base/rmt_signals.h"

static void
s_assert_in_hand(const rmt_msg_t *hello, uint64_t attempt)
{
    assert_int_equal(rmt_records_count(hello->hand), 1);
    const rmt_record_t *record = rmt_records_at(hello->hand, 0);
    assert_string_equal(rmt_record_text(record, "task", ""),
                        "01010101010101010101010101010101");
    assert_int_equal(rmt_record_u64(record, "attempt", 0), attempt);
}

// P5 [1.26]: work goes on while the broker is away, and is told to the new one.
static void
test_a_broker_that_comes_back_hears_the_task_in_hand(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "hold@x", 1);
    RMT_WAIT_UNTIL(crew.starts > 0, WAIT_MS);
    rmt_auto_str address = farm_address(farm->workers);
    zsock_destroy(&farm->workers);
    rmt_pause(CREW_BEAT_MS * 4, "no beat comes, so the worker gives the broker up");
    crew.hold = false;
    RMT_WAIT_UNTIL(crew.ends == 1, WAIT_MS);
    rmt_error_t error = {0};
    RMT_WAIT_UNTIL(farm->workers = rmt_socket_new(RMT_SOCKET_BROKER_WORKERS, address,
                                                  &farm->broker, NULL, &error),
                   WAIT_MS); // Its port gets free
    crew_welcome(farm->workers, &packet);
    s_assert_in_hand(packet.msg, 1);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, 0);
    crew_record(farm->workers, &packet);
    assert_int_equal(crew.starts, 1);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

static void
test_a_broker_without_memory_asks_for_hello(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "hold@x", 1);
    RMT_WAIT_UNTIL(crew.starts > 0, WAIT_MS);
    crew_forget(farm->workers, &packet);
    crew_welcome(farm->workers, &packet);
    s_assert_in_hand(packet.msg, 1);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// [1.1] [1.20]: after three silent beats the peer makes a new socket and says HELLO.
static void
test_a_second_broker_takes_over(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(zsock) other = rmt_socket_new(RMT_SOCKET_BROKER_WORKERS, "127.0.0.1:*",
                                           &farm->broker, NULL, &error);
    crew_t crew = {0};
    crew_start(&crew, farm, other);
    // It begins with either of them.
    rmt_packet_t packet = {0};
    zsock_t **first = &other;
    zmq_pollitem_t items[2] = {{zsock_resolve(farm->workers), 0, ZMQ_POLLIN, 0},
                               {zsock_resolve(other), 0, ZMQ_POLLIN, 0}};
    assert_int_equal(zmq_poll(items, 2, WAIT_MS), 1);
    if (items[0].revents)
        first = &farm->workers;
    zsock_t *second = first == &other ? farm->workers : other;
    crew_welcome(*first, &packet);
    crew_order(*first, &packet, "hold@x", 1);
    RMT_WAIT_UNTIL(crew.starts > 0, WAIT_MS);
    assert_false(zsock_events(second) & ZMQ_POLLIN); // One broker at a time
    zsock_destroy(first);
    crew_welcome(second, &packet);
    s_assert_in_hand(packet.msg, 1);
    crew.hold = false;
    crew_expect(second, RMT_MSG_RESULT, &packet);
    crew_record(second, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

static void
test_a_task_asks_and_hears_the_answer(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "ask@x", 1);
    crew_expect(farm->workers, RMT_MSG_REQUEST, &packet);
    assert_string_equal(packet.msg->verb, "holders");
    const uint64_t sequence = packet.msg->sequence;
    // The request is lost with this link and comes again, the same, on the next.
    crew_forget(farm->workers, &packet);
    crew_welcome(farm->workers, &packet);
    crew_expect(farm->workers, RMT_MSG_REQUEST, &packet);
    assert_true(packet.msg->sequence == sequence);
    rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->sequence = sequence;
    rmt_record_set(rmt_records_add(rmt_msg_items(reply)), "answer", "42");
    crew_answer(farm->workers, &packet, reply);
    crew_answer(farm->workers, &packet, reply);
    crew_expect(farm->workers, RMT_MSG_REQUEST, &packet);
    assert_string_equal(packet.msg->verb, "fail");
    rmt_auto(rmt_msg) denial = rmt_msg_new(RMT_MSG_REPLY);
    denial->sequence = packet.msg->sequence;
    denial->code = RMT_E_LOCKED;
    rmt_msg_text(&denial->text, "held by another job");
    crew_answer(farm->workers, &packet, denial);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_LOCKED);
    assert_string_equal(packet.msg->text, "held by another job");
    assert_string_equal(rmt_record_text(packet.msg->body, "answer", ""), "42");
    assert_string_equal(rmt_record_text(packet.msg->body, "host", ""), "127.0.0.1");
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

static rmt_msg_t *
s_hello(void *context)
{
    (void) context;
    rmt_msg_t *hello = rmt_msg_new(RMT_MSG_HELLO);
    hello->version_min = hello->version_max = RMT_WIRE_VERSION;
    return hello;
}

// [1.19] P17: the words of the broker are kept, for the person who looks at the peer,
// also when it has gone to another broker; a broker that takes the peer ends them.
static void
test_a_peer_keeps_the_words_by_which_it_was_refused(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto_str address = farm_address(farm->workers);
    const char *const brokers[] = {address, NULL};
    const rmt_peer_config_t config = {brokers, &farm->own, farm->broker.public_text,
                                      s_hello, s_hello,    NULL};
    rmt_auto(rmt_peer) peer = rmt_peer_new(&config, &error);
    RMT_OK(peer);
    rmt_packet_t packet = {0};
    (void) rmt_peer_tick(peer);
    crew_expect(farm->workers, RMT_MSG_HELLO, &packet);
    rmt_auto(rmt_msg) refused = rmt_msg_new(RMT_MSG_REFUSED);
    refused->code = RMT_E_TOO_BIG;
    rmt_msg_text(&refused->text, "a HELLO of 9 bytes; it may have 8");
    crew_answer(farm->workers, &packet, refused);
    RMT_WAIT_UNTIL((rmt_peer_recv(peer), rmt_peer_trouble(peer)->code == RMT_E_TOO_BIG),
                   WAIT_MS);
    assert_non_null(strstr(rmt_peer_trouble(peer)->text, "it may have 8"));
    RMT_WAIT_UNTIL((rmt_peer_tick(peer), rmt_peer_socket(peer) == NULL), WAIT_MS);
    assert_non_null(strstr(rmt_peer_trouble(peer)->text, "it may have 8"));
    RMT_WAIT_UNTIL((rmt_peer_tick(peer), rmt_peer_socket(peer) != NULL), WAIT_MS);
    crew_expect(farm->workers, RMT_MSG_HELLO, &packet);
    rmt_auto(rmt_msg) welcome = rmt_msg_new(RMT_MSG_WELCOME);
    welcome->version = RMT_WIRE_VERSION;
    crew_answer(farm->workers, &packet, welcome);
    rmt_msg_t *heard = NULL;
    RMT_WAIT_UNTIL((heard = rmt_peer_recv(peer)) != NULL, WAIT_MS);
    rmt_msg_destroy(&heard);
    assert_int_equal(rmt_peer_trouble(peer)->code, RMT_E_OK);
    rmt_packet_clear(&packet);
}

// Answer a HELLO that has come as a broker without Redis does. Returns how many have.
static int
s_refuse_hello(farm_t *farm)
{
    rmt_packet_t packet = {0};
    if (farm_receive(farm->workers, &packet, 0) != 1)
        return 0;
    assert_int_equal(packet.msg->kind, RMT_MSG_HELLO);
    rmt_auto(rmt_msg) refused = rmt_msg_new(RMT_MSG_REFUSED);
    refused->code = RMT_E_UNAVAILABLE;
    crew_answer(farm->workers, &packet, refused);
    rmt_packet_clear(&packet);
    return 1;
}

// [1.52]: a broker that has just been started is asked again over the same connection,
// and one that stays without Redis is left.
static void
test_a_peer_greets_a_broker_that_starts_again(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto_str address = farm_address(farm->workers);
    const char *const brokers[] = {address, NULL};
    const rmt_peer_config_t config = {brokers, &farm->own, farm->broker.public_text,
                                      s_hello, s_hello,    NULL};
    rmt_auto(rmt_peer) peer = rmt_peer_new(&config, &error);
    RMT_OK(peer);
    // A slow handshake may take the time of the first connections.
    const zsock_t *last = NULL;
    int hellos = 0;
    RMT_WAIT_UNTIL((rmt_peer_tick(peer), rmt_peer_recv(peer),
                    hellos = rmt_peer_socket(peer) == last ? hellos : 0,
                    last = rmt_peer_socket(peer), (hellos += s_refuse_hello(farm)) > 1),
                   2 * WAIT_MS);
    RMT_WAIT_UNTIL((rmt_peer_tick(peer), rmt_peer_recv(peer), s_refuse_hello(farm),
                    rmt_peer_socket(peer) != last),
                   2 * WAIT_MS);
}

// The task hears nothing of it, and each pause is twice the one before.
static void
s_answer_later(farm_t *farm, bool is_away)
{
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "ask@x", 1);
    int64_t heard_at = 0;
    for (int i = 0; i < 4; i++) {
        crew_expect(farm->workers, RMT_MSG_REQUEST, &packet);
        assert_string_equal(packet.msg->verb, "holders");
        assert_true(i == 0 || rmt_clock_ms() - heard_at >= (100 << i) - 10);
        heard_at = rmt_clock_ms();
        rmt_auto(rmt_msg) later =
            is_away ? rmt_msg_away("Redis is away") : rmt_msg_new(RMT_MSG_REPLY);
        later->sequence = packet.msg->sequence;
        later->code = is_away ? RMT_E_UNAVAILABLE : RMT_E_BUSY;
        crew_answer(farm->workers, &packet, later);
    }
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// [1.50] P17
static void
test_a_task_asks_again_while_the_broker_is_busy(void **state)
{
    s_answer_later(*state, false);
}

// [1.50] P1
static void
test_a_task_asks_again_while_redis_is_away(void **state)
{
    s_answer_later(*state, true);
}

// P4: that no worker offers a service is said to the task at once.
static void
test_another_answer_unavailable_is_for_the_task(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "ask@x", 1);
    crew_expect(farm->workers, RMT_MSG_REQUEST, &packet);
    rmt_auto(rmt_msg) none = rmt_msg_new(RMT_MSG_REPLY);
    none->sequence = packet.msg->sequence;
    none->code = RMT_E_UNAVAILABLE;
    crew_answer(farm->workers, &packet, none);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_UNAVAILABLE);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// Both are under way before one is answered, and both come again on another link.
static void
test_m12_a_task_asks_again_before_it_was_answered(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "ask-both@x", 1);
    uint64_t sequences[2];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            crew_expect(farm->workers, RMT_MSG_REQUEST, &packet);
            assert_string_equal(packet.msg->verb, i ? "second" : "first");
            assert_true(round == 0 || packet.msg->sequence == sequences[i]);
            sequences[i] = packet.msg->sequence;
        }
        if (round == 0) {
            crew_forget(farm->workers, &packet);
            crew_welcome(farm->workers, &packet);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
        reply->sequence = sequences[i];
        rmt_record_set(rmt_msg_body(reply), "answer", i ? "two" : "one");
        crew_answer(farm->workers, &packet, reply);
    }
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_OK);
    assert_string_equal(rmt_record_text(packet.msg->body, "first", ""), "one");
    assert_string_equal(rmt_record_text(packet.msg->body, "second", ""), "two");
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

static void
test_a_worker_that_is_terminated_cancels_and_tells(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "hold@x", 1);
    RMT_WAIT_UNTIL(crew.starts > 0, WAIT_MS);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_CANCELLED);
    const int64_t before = rmt_clock_ms();
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
    assert_true(rmt_clock_ms() - before < 1500);
}

// [1.19]: the next broker may speak the right one.
static void
test_a_broker_of_another_version_is_left_for_the_next(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(zsock) other = rmt_socket_new(RMT_SOCKET_BROKER_WORKERS, "127.0.0.1:*",
                                           &farm->broker, NULL, &error);
    crew_t crew = {0};
    crew_start(&crew, farm, other);
    zmq_pollitem_t items[2] = {{zsock_resolve(farm->workers), 0, ZMQ_POLLIN, 0},
                               {zsock_resolve(other), 0, ZMQ_POLLIN, 0}};
    assert_int_equal(zmq_poll(items, 2, WAIT_MS), 1);
    zsock_t *first = items[0].revents ? farm->workers : other;
    zsock_t *second = items[0].revents ? other : farm->workers;
    rmt_packet_t packet = {0};
    crew_expect(first, RMT_MSG_HELLO, &packet);
    rmt_auto(rmt_msg) welcome = rmt_msg_new(RMT_MSG_WELCOME);
    welcome->version = RMT_WIRE_VERSION + 1;
    welcome->era = 7;
    crew_answer(first, &packet, welcome);
    crew_welcome(second, &packet);
    crew_expect(second, RMT_MSG_CREDIT, &packet);
    assert_int_equal(crew.welcomes, 1); // Of the second alone
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_broker_that_comes_back_hears_the_task_in_hand),
        CASE(test_a_broker_without_memory_asks_for_hello),
        CASE(test_a_second_broker_takes_over),
        CASE(test_a_task_asks_and_hears_the_answer),
        CASE(test_a_peer_keeps_the_words_by_which_it_was_refused),
        CASE(test_a_peer_greets_a_broker_that_starts_again),
        CASE(test_a_task_asks_again_while_the_broker_is_busy),
        CASE(test_a_task_asks_again_while_redis_is_away),
        CASE(test_another_answer_unavailable_is_for_the_task),
        CASE(test_m12_a_task_asks_again_before_it_was_answered),
        CASE(test_a_worker_that_is_terminated_cancels_and_tells),
        CASE(test_a_broker_of_another_version_is_left_for_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
