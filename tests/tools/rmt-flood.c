// ramet-flood BROKER BROKER.pub TOKEN ROLE NAME PLACE SECONDS - a hostile peer with a
// key.
//
// It enrols, then sends what its role may and may not, to every port, as fast as it can
// and without reading an answer: requests, HELLOs, beats, results, guesses of tokens and
// subscriptions. BROKER is host:base; PLACE may be "". It prints how much it sent.
#include <czmq.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_random.h"
#include "facts/rmt_endpoint.h"
#include "net/rmt_socket.h"
#include "tools/hostile_key.h"

#define HELLO_SIZE 50000
#define TOPIC_SIZE 300
#define PORTS 5

static struct {
    const char *broker, *role, *name;
    rmt_key_t broker_key, own;
    zsock_t *ports[PORTS];
    uint64_t sent;
} s_peer;

// A socket of this key to each port; those that do not let it in stay unconnected.
static void
s_dial(void)
{
    for (int i = 0; i < PORTS; i++) {
        rmt_error_t error = {0};
        rmt_auto_str endpoint =
            rmt_endpoint_broker(s_peer.broker, (rmt_port_t) i, &error);
        hostile_must(endpoint ? 0 : -1, &error);
        s_peer.ports[i] = rmt_socket_new(
            i == RMT_PORT_EVENTS ? RMT_SOCKET_EVENTS_CLIENT : RMT_SOCKET_CONTROL_CLIENT,
            endpoint, &s_peer.own, s_peer.broker_key.public_text, &error);
        hostile_must(s_peer.ports[i] ? 0 : -1, &error);
    }
}

static void
s_say(rmt_port_t port, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    s_peer.sent += rmt_socket_send(s_peer.ports[port], NULL, msg, false, &error) == 0;
}

static rmt_msg_t *
s_hello(void)
{
    rmt_msg_t *hello = rmt_msg_new(RMT_MSG_HELLO);
    rmt_auto_ptr facts = zmalloc(HELLO_SIZE);
    hello->version_min = hello->version_max = RMT_WIRE_VERSION;
    rmt_msg_text(&hello->role, s_peer.role);
    rmt_msg_text(&hello->name, s_peer.name);
    rmt_random_bytes(hello->nonce, sizeof hello->nonce);
    rmt_record_put(rmt_msg_body(hello), "hardware", facts, HELLO_SIZE);
    hello->hand = rmt_records_new();
    return hello;
}

static rmt_msg_t *
s_request(const char *verb)
{
    rmt_msg_t *request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, verb);
    rmt_record_set(rmt_msg_body(request), "service", "receive");
    return request;
}

static rmt_msg_t *
s_guess(void)
{
    rmt_token_t token;
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_msg_t *knock = rmt_msg_new(RMT_MSG_ENROL);
    rmt_token_new(&token, s_peer.broker_key.public_text);
    rmt_msg_text(&knock->token, rmt_token_text(&token, text));
    rmt_record_set(rmt_msg_body(knock), "role", s_peer.role);
    rmt_record_set(knock->body, "name", s_peer.name);
    return knock;
}

static void
s_subscribe(uint32_t number)
{
    char topic[TOPIC_SIZE];
    memset(topic, 'a', sizeof topic);
    snprintf(topic, sizeof topic, "%" PRIu32, number);
    topic[strlen(topic)] = 'a';
    topic[number % 2 ? TOPIC_SIZE - 1 : 100] = '\0';
    zsock_set_subscribe(s_peer.ports[RMT_PORT_EVENTS], topic);
}

static void
s_turn(uint32_t number)
{
    static const char *const verbs[] = {"target.list", "events.snapshot", "farm.status",
                                        "job.list",    "holders",         "target.page",
                                        "key.token",   "finding.put"};
    static const rmt_port_t ports[] = {RMT_PORT_AGENTS, RMT_PORT_WORKERS,
                                       RMT_PORT_CONSOLE};
    rmt_auto(rmt_msg) guess = s_guess();
    rmt_auto(rmt_msg) hello = s_hello();
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    rmt_auto(rmt_msg) result = rmt_msg_new(RMT_MSG_RESULT);
    rmt_random_bytes(result->task, sizeof result->task);
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        s_say(ports[i], hello);
        for (size_t n = 0; n < sizeof verbs / sizeof *verbs; n++) {
            rmt_auto(rmt_msg) request = s_request(verbs[n]);
            s_say(ports[i], request);
        }
        s_say(ports[i], beat);
        s_say(ports[i], result);
    }
    s_say(RMT_PORT_ENROL, guess);
    if (number < 2000)
        s_subscribe(number);
}

int
main(int argc, char **argv)
{
    rmt_error_t error = {0};
    if (argc != 8)
        return 64;
    s_peer.broker = argv[1];
    hostile_must(rmt_key_load_public(&s_peer.broker_key, argv[2], &error), &error);
    s_peer.role = argv[4];
    s_peer.name = argv[5];
    const hostile_key_t wanted = {
        s_peer.broker, s_peer.broker_key.public_text, argv[3], argv[4], argv[5], argv[6]};
    hostile_enrol(&wanted, &s_peer.own);
    s_dial();
    const int64_t until = rmt_clock_ms() + 1000 * strtol(argv[7], NULL, 10);
    for (uint32_t number = 0; rmt_clock_ms() < until; number++)
        s_turn(number);
    printf("sent %" PRIu64 "\n", s_peer.sent);
    for (int i = 0; i < PORTS; i++)
        zsock_destroy(&s_peer.ports[i]);
    return 0;
}
