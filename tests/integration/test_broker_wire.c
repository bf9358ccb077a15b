// Peers that break the wire itself: no CURVE, bits that were flipped on the way, a
// session that is sent again, a handshake that does not go on (P18).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/broker_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "net/rmt_socket.h"

#define RECORD_MAX ((size_t) 64 * 1024)
#define ANSWER_MS 2500

// ---- A relay between a console and the broker, which keeps what the console sends

typedef struct {
    int listener, console, broker;
    uint16_t port, to;
    ssize_t flip_at; // Octet of which a bit is flipped; -1: none
    uint8_t sent[RECORD_MAX];
    size_t size;
    atomic_int is_over;
    pthread_t thread;
} relay_t;

static struct sockaddr_in
s_address(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
s_dial(uint16_t port)
{
    const struct sockaddr_in address = s_address(port);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(fd, (const void *) &address, sizeof address), errno);
    return fd;
}

static bool
s_pass(relay_t *self, bool is_console)
{
    uint8_t data[4096];
    const ssize_t size =
        recv(is_console ? self->console : self->broker, data, sizeof data, 0);
    if (size <= 0)
        return false;
    if (is_console) {
        const ssize_t at = self->flip_at - (ssize_t) self->size;
        if (self->flip_at >= 0 && at >= 0 && at < size)
            data[at] ^= 0x10;
        const size_t kept = self->size + (size_t) size > RECORD_MAX
                                ? RECORD_MAX - self->size
                                : (size_t) size;
        memcpy(self->sent + self->size, data, kept);
        self->size += kept;
    }
    return send(is_console ? self->broker : self->console, data, (size_t) size,
                MSG_NOSIGNAL) == size;
}

// Of one connection after the other, as a console dials again.
static void *
s_run(void *context)
{
    relay_t *self = context;
    while (!self->is_over) {
        struct pollfd wait = {self->listener, POLLIN, 0};
        if (poll(&wait, 1, 50) <= 0)
            continue;
        self->console = accept(self->listener, NULL, NULL);
        self->broker = s_dial(self->to);
        struct pollfd ends[] = {{self->console, POLLIN, 0}, {self->broker, POLLIN, 0}};
        bool is_up = true;
        while (is_up && !self->is_over) {
            if (poll(ends, 2, 50) <= 0)
                continue;
            for (int i = 0; i < 2 && is_up; i++)
                is_up = !(ends[i].revents) || s_pass(self, i == 0);
        }
        close(self->console);
        close(self->broker);
    }
    return NULL;
}

static void
s_open(relay_t *self, uint16_t to, ssize_t flip_at)
{
    *self = (relay_t){.to = to, .flip_at = flip_at};
    struct sockaddr_in address = s_address(0);
    socklen_t size = sizeof address;
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(self->listener, (void *) &address, size), errno);
    assert_return_code(listen(self->listener, 8), errno);
    assert_return_code(getsockname(self->listener, (void *) &address, &size), errno);
    self->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&self->thread, NULL, s_run, self), 0);
}

static void
s_close(relay_t *self)
{
    self->is_over = 1;
    pthread_join(self->thread, NULL);
    close(self->listener);
}

// The admin holds t1 by way of the relay. False: nobody answered.
static bool
s_hold(broker_farm_t *farm, const relay_t *relay)
{
    rmt_error_t error = {0};
    rmt_auto_str broker = rmt_text("127.0.0.1:%u", relay->port);
    const char *const brokers[] = {broker, NULL};
    rmt_auto(rmt_client) client = rmt_client_new(
        brokers, &farm->admin, farm->broker_key.public_text, ANSWER_MS, &error);
    RMT_OK(client);
    rmt_auto(rmt_msg) reply =
        broker_ask(client, "target.hold", "name=t1 reason=relay", "", NULL, &error);
    return reply != NULL;
}

static bool
s_is_held(broker_farm_t *farm)
{
    rmt_auto(rmt_msg) shown = broker_need(farm, "target.show", "name=t1", "");
    return *rmt_record_text(shown->body, "held", "") != '\0';
}

static void
s_add_target(broker_farm_t *farm)
{
    rmt_auto(rmt_msg) engine = broker_need(farm, "engine.add", "name=lab", "");
    rmt_auto(rmt_msg) target = broker_need(farm, "target.add", "name=t1 engine=lab", "");
}

// P18: of the greeting, of each step of the handshake, and of the request; not of the
// padding, which means nothing.
static void
test_a_flipped_bit_on_the_way_has_no_effect(void **state)
{
    broker_farm_t *farm = *state;
    const uint16_t port = (uint16_t) (farm->port + RMT_PORT_CONSOLE);
    s_add_target(farm);
    relay_t whole, bad;
    s_open(&whole, port, -1);
    assert_true(s_hold(farm, &whole));
    s_close(&whole);
    assert_true(s_is_held(farm));
    rmt_auto(rmt_msg) free = broker_need(farm, "target.unhold", "name=t1", "");
    const ssize_t size = (ssize_t) whole.size;
    const ssize_t places[] = {14, 160, 300, size * 3 / 5, size - 20};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        s_open(&bad, port, places[i]);
        (void) s_hold(farm, &bad);
        s_close(&bad);
        // A console dials again, and the second connection is whole.
        if (s_is_held(farm)) {
            assert_true((ssize_t) bad.size > size);
            rmt_auto(rmt_msg) gone = broker_need(farm, "target.unhold", "name=t1", "");
        }
    }
}

// P18: the same octets again are another session's.
static void
test_a_session_that_is_sent_again_has_no_effect(void **state)
{
    broker_farm_t *farm = *state;
    const uint16_t port = (uint16_t) (farm->port + RMT_PORT_CONSOLE);
    s_add_target(farm);
    relay_t relay;
    s_open(&relay, port, -1);
    assert_true(s_hold(farm, &relay));
    s_close(&relay);
    rmt_auto(rmt_msg) free = broker_need(farm, "target.unhold", "name=t1", "");
    rmt_auto_fd fd = s_dial(port);
    (void) send(fd, relay.sent, relay.size, MSG_NOSIGNAL);
    struct timeval limit = {20, 0};
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    uint8_t data[4096];
    ssize_t size;
    while ((size = recv(fd, data, sizeof data, 0)) > 0)
        continue;
    assert_true(size == 0 || errno == ECONNRESET); // The broker has ended it
    assert_false(s_is_held(farm));
}

// P18: with the mechanisms NULL and PLAIN no handshake ends well.
static void
test_a_peer_without_curve_does_not_get_in(void **state)
{
    broker_farm_t *farm = *state;
    for (int port = RMT_PORT_ENROL; port <= RMT_PORT_EVENTS; port++) {
        for (int is_plain = 0; is_plain < 2; is_plain++) {
            // Of the type that the port takes, so that nothing but the mechanism is
            // wrong.
            const int type = port == RMT_PORT_EVENTS ? ZMQ_SUB : ZMQ_DEALER;
            rmt_auto(zsock) socket = zsock_new(type);
            if (is_plain)
                zsock_set_plain_username(socket, "admin");
            rmt_auto_str events = rmt_text("inproc://wire-%d-%d", port, is_plain);
            assert_int_equal(zmq_socket_monitor(zsock_resolve(socket), events,
                                                ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                                    ZMQ_EVENT_DISCONNECTED),
                             0);
            rmt_auto(zsock) monitor = zsock_new(ZMQ_PAIR);
            assert_int_equal(zsock_connect(monitor, "%s", events), 0);
            assert_int_equal(
                zsock_connect(socket, "tcp://127.0.0.1:%d", farm->port + port), 0);
            zsock_set_rcvtimeo(monitor, BROKER_WAIT_MS);
            rmt_auto(zmsg) event = zmsg_recv(monitor);
            assert_non_null(event);
            uint16_t kind;
            memcpy(&kind, zframe_data(zmsg_first(event)), sizeof kind);
            assert_int_equal(kind, ZMQ_EVENT_DISCONNECTED);
            zmq_socket_monitor(zsock_resolve(socket), NULL, 0);
        }
    }
    rmt_auto(rmt_msg) alive = broker_need(farm, "farm.status", "", "");
}

// P18: a handshake that is begun holds nothing for ever; it ends with the time that the
// setting says, here 2 s, and not with that of the preset.
static void
test_a_handshake_that_does_not_go_on_is_ended(void **state)
{
    broker_farm_t *farm = *state;
    struct pollfd ends[40];
    for (size_t i = 0; i < 40; i++)
        ends[i] = (struct pollfd){s_dial((uint16_t) (farm->port + i % 5)), POLLRDHUP, 0};
    size_t over = 0;
    const int64_t until = rmt_clock_ms() + RMT_HANDSHAKE_MS - 500;
    for (size_t i = 0; i < 40; i++) {
        const int64_t left_ms = until - rmt_clock_ms();
        over += poll(&ends[i], 1, left_ms > 0 ? (int) left_ms : 0) == 1;
    }
    for (size_t i = 0; i < 40; i++)
        close(ends[i].fd);
    assert_int_equal(over, 40);
    rmt_auto(rmt_msg) alive = broker_need(farm, "farm.status", "", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_flipped_bit_on_the_way_has_no_effect),
        CASE(test_a_session_that_is_sent_again_has_no_effect),
        CASE(test_a_peer_without_curve_does_not_get_in),
        CASE(test_a_handshake_that_does_not_go_on_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
