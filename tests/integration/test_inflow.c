// Connections by which nothing has come are bounded by number, of a network and of all.
#include "tools/rmt_test.h"

#include "farm.h"
#include "tools/rmt_wait.h"
#include "base/rmt_auto.h"
#include "base/rmt_signals.h"
#include "net/rmt_inflow.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define WALK_MS 4000 // Of the time that is told to it: each tick walks
#define CROWD 300

typedef struct {
    farm_t *farm;
    rmt_inflow_t *inflow;
    int64_t now;
    int told;
    char address[RMT_ADDRESS_SIZE], why[100];
} desk_t;

static void
s_on_cut(void *context, const char *address, const char *why)
{
    desk_t *self = context;
    self->told++;
    snprintf(self->address, sizeof self->address, "%s", address);
    snprintf(self->why, sizeof self->why, "%s", why);
}

static void
s_begin(desk_t *self, void **state, size_t network_max, size_t max)
{
    *self = (desk_t){.farm = *state};
    self->inflow = rmt_inflow_new(s_on_cut, self);
    rmt_inflow_add(self->inflow, rmt_socket_port(self->farm->workers),
                   RMT_SOCKET_BROKER_WORKERS);
    rmt_inflow_limit(self->inflow, network_max, max);
    (void) rmt_inflow_tick(self->inflow, self->now);
}

static void
s_walk(desk_t *self)
{
    self->now += WALK_MS;
    (void) rmt_inflow_tick(self->inflow, self->now);
}

// Dial from an address of the loopback, until the server's greeting has come: then it has
// accepted each.
static void
s_dial(const desk_t *self, const char *from, int *fds, size_t count)
{
    struct sockaddr_in own = {.sin_family = AF_INET}, to = own;
    to.sin_port = htons(rmt_socket_port(self->farm->workers));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
    for (size_t i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_return_code(bind(fds[i], (const void *) &own, sizeof own), errno);
        assert_return_code(connect(fds[i], (const void *) &to, sizeof to), errno);
    }
    for (size_t i = 0; i < count; i++) {
        struct pollfd greeted = {fds[i], POLLIN, 0};
        assert_int_equal(poll(&greeted, 1, WAIT_MS), 1);
    }
}

// The kernel may bring the ends a moment later.
static size_t
s_count_ended(const int *fds, size_t count)
{
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        struct pollfd end = {fds[i], POLLRDHUP, 0};
        ended += poll(&end, 1, 0) == 1;
    }
    return ended;
}

static void
s_hang_up(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

// [1.71] P16 P17: the oldest of the network that has too many; other networks keep all.
static void
test_the_oldest_silent_connections_of_a_network_end(void **state)
{
    desk_t desk;
    int fds[29], *old = fds, *late = fds + 12, *others = fds + 24;
    s_begin(&desk, state, 16, 1000);
    s_dial(&desk, "127.0.0.2", old, 12);
    s_walk(&desk);
    s_dial(&desk, "127.0.0.2", late, 12);
    s_dial(&desk, "127.0.0.3", others, 5);
    assert_int_equal(s_count_ended(fds, 29), 0);
    s_walk(&desk);
    RMT_WAIT_UNTIL(s_count_ended(old, 12) == 8, WAIT_MS);
    assert_int_equal(s_count_ended(late, 12), 0);
    assert_int_equal(s_count_ended(others, 5), 0);
    assert_int_equal(desk.told, 1);
    assert_string_equal(desk.address, "127.0.0.2");
    assert_string_equal(desk.why, "has too many connections that say nothing");
    s_hang_up(fds, 29);
    rmt_inflow_destroy(&desk.inflow);
}

// P17: of those that came together, who has sent something of a handshake stays.
static void
test_a_handshake_that_goes_on_stays(void **state)
{
    static const char greeting[] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03";
    desk_t desk;
    int fds[20], *silent = fds, *busy = fds + 10;
    s_begin(&desk, state, 10, 1000);
    s_dial(&desk, "127.0.0.2", busy, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(send(busy[i], greeting, sizeof greeting - 1, 0),
                         sizeof greeting - 1);
    // The server answers to each with the rest of its own greeting.
    for (size_t i = 0; i < 10; i++) {
        char answer[11];
        for (size_t got = 0; got < sizeof answer;)
            got += (size_t) recv(busy[i], answer, sizeof answer - got, 0);
    }
    s_dial(&desk, "127.0.0.2", silent, 10);
    s_walk(&desk);
    RMT_WAIT_UNTIL(s_count_ended(silent, 10) == 10, WAIT_MS);
    assert_int_equal(s_count_ended(busy, 10), 0);
    s_hang_up(fds, 20);
    rmt_inflow_destroy(&desk.inflow);
}

// P16 P17: many networks together have a bound as well.
static void
test_the_oldest_silent_connections_of_all_end(void **state)
{
    desk_t desk;
    int fds[16], *old = fds, *late = fds + 8;
    s_begin(&desk, state, 1000, 10);
    s_dial(&desk, "127.0.0.2", old, 8);
    s_walk(&desk);
    s_dial(&desk, "127.0.0.3", late, 8);
    s_walk(&desk);
    RMT_WAIT_UNTIL(s_count_ended(old, 8) == 6, WAIT_MS);
    assert_int_equal(s_count_ended(late, 8), 0);
    s_hang_up(fds, 16);
    rmt_inflow_destroy(&desk.inflow);
}

// A message by this client's connection, whose origin the caller gets.
static rmt_origin_t
s_say(const desk_t *self, zsock_t *client)
{
    rmt_error_t error = {0};
    rmt_packet_t packet = {0};
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    RMT_OK(rmt_socket_send(client, NULL, beat, false, &error));
    assert_int_equal(farm_receive(self->farm->workers, &packet, WAIT_MS), 1);
    const rmt_origin_t origin = packet.origin;
    rmt_packet_clear(&packet);
    return origin;
}

// P17: who has spoken once may be silent for ever, however many come behind it.
static void
test_a_peer_that_has_spoken_is_not_counted(void **state)
{
    desk_t desk;
    int fds[6];
    rmt_error_t error = {0};
    s_begin(&desk, state, 4, 4);
    rmt_auto_str address = farm_address(desk.farm->workers);
    rmt_auto(zsock) client =
        rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, address, &desk.farm->own,
                       desk.farm->broker.public_text, &error);
    RMT_OK(client);
    const rmt_origin_t origin = s_say(&desk, client);
    rmt_inflow_heard(desk.inflow, &origin);
    s_walk(&desk);
    s_dial(&desk, "127.0.0.1", fds, 6);
    s_walk(&desk);
    RMT_WAIT_UNTIL(s_count_ended(fds, 6) == 2, WAIT_MS);
    const rmt_origin_t again = s_say(&desk, client);
    assert_true(rmt_origin_is_same(&origin, &again));
    s_hang_up(fds, 6);
    rmt_inflow_destroy(&desk.inflow);
}

// P16: a crowd does not wait for the next walk.
static void
test_a_crowd_is_bounded_at_once(void **state)
{
    desk_t desk;
    int fds[CROWD];
    s_begin(&desk, state, 16, 1000);
    s_dial(&desk, "127.0.0.2", fds, CROWD);
    (void) rmt_inflow_tick(desk.inflow, 100);
    RMT_WAIT_UNTIL(s_count_ended(fds, CROWD) == CROWD - 16, WAIT_MS);
    s_hang_up(fds, CROWD);
    rmt_inflow_destroy(&desk.inflow);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_the_oldest_silent_connections_of_a_network_end),
        CASE(test_a_handshake_that_goes_on_stays),
        CASE(test_the_oldest_silent_connections_of_all_end),
        CASE(test_a_peer_that_has_spoken_is_not_counted),
        CASE(test_a_crowd_is_bounded_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
