// ramet-hostile BROKER BROKER.pub TOKEN ROLE NAME PLACE SECONDS
// ramet-hostile ENDPOINT SERVER.key OWN.key SECONDS - a hostile peer with a key, which
// breaks the grammar of frames and messages.
//
// The first form enrols, and turns to the broker's port of its role; BROKER is host:base,
// PLACE may be "". The second one uses a key that a port lets in already: ENDPOINT is
// host:port, such as a data port. On one connection after the other it sends frames of no
// bytes, frames over the limit, messages of ten thousand frames and without end, random
// bytes, messages with flipped bits, and where it may subscribe topics of 64 KiB. It
// prints how many connections it used.
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
#include "wire/rmt_codec.h"

#define PART_COUNT 10000
#define ENDLESS_COUNT 1500
#define ENDLESS_SIZE ((size_t) 200 * 1024)
#define OVERSIZE ((size_t) 2 * 1024 * 1024)
#define TOPIC_SIZE ((size_t) 64 * 1024)
#define TOPIC_COUNT 64
#define MESSAGE_COUNT 20
#define LISTEN_MS 100           // To what it answers, before the next connection
#define LISTEN_ENDLESS_MS 10000 // While libzmq sends

static struct {
    char endpoint[300];
    char server_key[RMT_KEY_TEXT_SIZE];
    rmt_key_t own;
    bool subscribes;
} s_peer;

static void
s_send(zsock_t *socket, const void *bytes, size_t size, bool more)
{
    rmt_auto(zframe) frame = zframe_new(bytes, size);
    (void) zframe_send(&frame, socket, ZFRAME_DONTWAIT | (more ? ZFRAME_MORE : 0));
}

static void
s_send_parts(zsock_t *socket, int count, size_t size)
{
    rmt_auto_ptr bytes = zmalloc(size);
    for (int i = 1; i <= count; i++)
        s_send(socket, bytes, size, i < count);
}

static void
s_send_random(zsock_t *socket)
{
    uint8_t bytes[300];
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        rmt_random_bytes(bytes, sizeof bytes);
        s_send(socket, bytes, sizeof bytes, false);
    }
}

static rmt_msg_t *
s_message(rmt_msg_kind_t kind)
{
    rmt_msg_t *msg = rmt_msg_new(kind);
    msg->version_min = msg->version_max = RMT_WIRE_VERSION;
    rmt_random_bytes(msg->task, sizeof msg->task);
    rmt_random_bytes(msg->nonce, sizeof msg->nonce);
    msg->attempt = 1;
    msg->window = UINT64_MAX;
    rmt_msg_text(&msg->verb, "target.list");
    return msg;
}

// Valid but for a few bits.
static void
s_send_flipped(zsock_t *socket)
{
    static const rmt_msg_kind_t kinds[] = {RMT_MSG_HELLO,  RMT_MSG_REQUEST, RMT_MSG_FETCH,
                                           RMT_MSG_OPEN,   RMT_MSG_OFFER,   RMT_MSG_ACK,
                                           RMT_MSG_RESULT, RMT_MSG_BEAT};
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        rmt_auto(rmt_msg) msg = s_message(kinds[i % 8]);
        rmt_auto(zframe) frame = rmt_codec_encode(msg);
        uint16_t places[3];
        rmt_random_bytes(places, sizeof places);
        for (size_t n = 0; n < 3; n++)
            zframe_data(frame)[places[n] / 8 % zframe_size(frame)] ^=
                (byte) (1u << places[n] % 8);
        s_send(socket, zframe_data(frame), zframe_size(frame), false);
    }
}

static void
s_send_topics(zsock_t *socket)
{
    rmt_auto_ptr topic = zmalloc(TOPIC_SIZE);
    for (int i = 0; i < TOPIC_COUNT; i++) {
        rmt_random_bytes(topic, 100);
        *(char *) topic = 1; // Subscribe
        s_send(socket, topic, i % 2 ? TOPIC_SIZE : 100, false);
    }
}

// Returns for how long to listen.
static int
s_act(zsock_t *socket, uint64_t turn)
{
    switch (turn % 7) {
    case 0:
        s_send_parts(socket, MESSAGE_COUNT, 0);
        break;
    case 1:
        s_send_parts(socket, 1, OVERSIZE);
        break;
    case 2:
        s_send_parts(socket, PART_COUNT, 10);
        break;
    case 3:
        s_send_parts(socket, ENDLESS_COUNT, s_peer.subscribes ? 1000 : ENDLESS_SIZE);
        return LISTEN_ENDLESS_MS;
    case 4:
        s_send_random(socket);
        break;
    case 5:
        s_send_flipped(socket);
        break;
    default:
        s_send_topics(socket);
    }
    return LISTEN_MS;
}

// A socket without the limits that rmt_socket sets for ours, and one that becomes
// readable when its connection was ended.
static zsock_t *
s_dial(zsock_t **ended_out)
{
    static unsigned s_count = 0;
    char name[40];
    snprintf(name, sizeof name, "inproc://ended-%u", s_count++);
    zsock_t *socket = zsock_new(s_peer.subscribes ? ZMQ_XSUB : ZMQ_DEALER);
    zsock_set_linger(socket, 0);
    zsock_set_sndhwm(socket, PART_COUNT);
    zsock_set_curve_publickey(socket, s_peer.own.public_text);
    zsock_set_curve_secretkey(socket, s_peer.own.secret_text);
    zsock_set_curve_serverkey(socket, s_peer.server_key);
    zsock_t *ended = zsock_new(ZMQ_PAIR);
    zsock_set_rcvhwm(ended, 0);
    if (zmq_socket_monitor(zsock_resolve(socket), name, ZMQ_EVENT_DISCONNECTED) == -1 ||
        zsock_connect(ended, "%s", name) == -1 ||
        zsock_connect(socket, "tcp://%s", s_peer.endpoint) == -1)
        exit(EXIT_FAILURE);
    *ended_out = ended;
    return socket;
}

static void
s_turn(uint64_t turn)
{
    zsock_t *ended = NULL;
    zsock_t *socket = s_dial(&ended);
    zmq_pollitem_t items[] = {{zsock_resolve(socket), 0, ZMQ_POLLIN, 0},
                              {zsock_resolve(ended), 0, ZMQ_POLLIN, 0}};
    const int64_t until = rmt_clock_ms() + s_act(socket, turn);
    while (rmt_clock_ms() < until && !items[1].revents) {
        (void) zmq_poll(items, 2, (long) (until - rmt_clock_ms()));
        if (items[0].revents) {
            rmt_auto(zmsg) answer = zmsg_recv(socket);
        }
    }
    rmt_socket_close_watched(&socket, &ended);
}

static void
s_begin_with_token(char **argv)
{
    static const struct {
        const char *role;
        rmt_port_t port;
    } rows[] = {{"source", RMT_PORT_AGENTS},    {"target", RMT_PORT_AGENTS},
                {"imager", RMT_PORT_WORKERS},   {"installer", RMT_PORT_WORKERS},
                {"dashboard", RMT_PORT_EVENTS}, {"viewer", RMT_PORT_CONSOLE}};
    rmt_error_t error = {0};
    rmt_key_t broker;
    hostile_must(rmt_key_load_public(&broker, argv[2], &error), &error);
    const hostile_key_t wanted = {argv[1], broker.public_text, argv[3], argv[4], argv[5],
                                  argv[6]};
    hostile_enrol(&wanted, &s_peer.own);
    rmt_port_t port = RMT_PORT_ENROL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (streq(rows[i].role, argv[4]))
            port = rows[i].port;
    rmt_auto_str endpoint = rmt_endpoint_broker(argv[1], port, &error);
    hostile_must(endpoint ? 0 : -1, &error);
    snprintf(s_peer.endpoint, sizeof s_peer.endpoint, "%s", endpoint);
    memcpy(s_peer.server_key, broker.public_text, sizeof s_peer.server_key);
    s_peer.subscribes = port == RMT_PORT_EVENTS;
}

static void
s_begin_with_key(char **argv)
{
    rmt_error_t error = {0};
    rmt_key_t server;
    hostile_must(rmt_key_load_public(&server, argv[2], &error), &error);
    hostile_must(rmt_key_load(&s_peer.own, argv[3], &error), &error);
    snprintf(s_peer.endpoint, sizeof s_peer.endpoint, "%s", argv[1]);
    memcpy(s_peer.server_key, server.public_text, sizeof s_peer.server_key);
}

int
main(int argc, char **argv)
{
    if (argc == 8)
        s_begin_with_token(argv);
    else if (argc == 5)
        s_begin_with_key(argv);
    else
        return 64;
    const int64_t until = rmt_clock_ms() + 1000 * strtol(argv[argc - 1], NULL, 10);
    uint64_t turns = 0;
    for (; rmt_clock_ms() < until; turns++)
        s_turn(turns);
    printf("connections %" PRIu64 "\n", turns);
    return 0;
}
