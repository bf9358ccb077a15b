// What a peer with a grant can cost a holder of chunks over its data port, and a holder
// one who fetches. P16, P17.
#include "integration/exchange_farm.h"
#include "tools/rmt_wait.h"

#include <arpa/inet.h>
#include <czmq.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "exchange/rmt_fetch.h"
#include "net/rmt_socket.h"

#define MIB ((size_t) 1 << 20)
#define FRAME_SIZE ((size_t) 1000000)
#define ENDLESS_COUNT 400
#define GROWTH_MAX (80 * MIB) // The holder looks ten times a second; this comes between
#define LIMIT_MS 20000
#define HALF_OPEN_MS (RMT_HANDSHAKE_MS + 8000) // On a slow machine

static int64_t s_later_ms;
int64_t __real_rmt_clock_ms(void);
int64_t __wrap_rmt_clock_ms(void);

int64_t
__wrap_rmt_clock_ms(void)
{
    return __real_rmt_clock_ms() + __atomic_load_n(&s_later_ms, __ATOMIC_SEQ_CST);
}

// Resident memory of this process, which has the holder in it; in octets.
static size_t
s_memory(void)
{
    rmt_error_t error = {0};
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    unsigned long all = 0, resident = 0;
    RMT_OK(rmt_io_load("/proc/self/statm", 4096, &text, &size, &error));
    assert_int_equal(sscanf(text, "%lu %lu", &all, &resident), 2);
    return resident * (size_t) sysconf(_SC_PAGESIZE);
}

// A message of a fetcher, which the holder answers at once.
static void
s_say_fetch(zsock_t *socket, const rmt_id_t *image)
{
    rmt_auto(rmt_msg) fetch = exchange_fetch(image, image, 1, 1);
    exchange_say(socket, fetch);
}

// REFUSED with UNAVAILABLE is the word for a connection that is too many.
static rmt_code_t
s_try(zsock_t *socket, const rmt_id_t *image, int timeout_ms)
{
    s_say_fetch(socket, image);
    rmt_auto(rmt_msg) answer = exchange_recv(socket, timeout_ms);
    if (!answer)
        return RMT_E_TIMEOUT;
    if (answer->kind == RMT_MSG_CHUNK) {
        rmt_auto(rmt_msg) ack = rmt_msg_new(RMT_MSG_ACK);
        ack->window = RMT_SERVE_WINDOW;
        exchange_say(socket, ack);
        return RMT_E_OK;
    }
    assert_int_equal(answer->kind, RMT_MSG_REFUSED);
    return rmt_code_from(answer->code);
}

static rmt_id_t
s_image(const exchange_farm_t *farm)
{
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    return fixture_image(store, 1, 3);
}

// ---- A message without end

// The peer is a process of its own, so that what it keeps itself does not count. It uses
// libzmq alone: the state that CZMQ keeps of a process is the other one's.
static void
s_send_endless(const char *endpoint, const rmt_key_t *own, const char *server_key)
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    rmt_auto_ptr bytes = calloc(1, FRAME_SIZE);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own->secret_text, 41);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own->public_text, 41);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, 41);
    if (zmq_connect(socket, endpoint) == -1)
        _exit(EXIT_FAILURE);
    // libzmq begins to send a message when its sender has given it all frames.
    for (int i = 1; i <= ENDLESS_COUNT; i++)
        if (zmq_send(socket, bytes, FRAME_SIZE, i < ENDLESS_COUNT ? ZMQ_SNDMORE : 0) ==
            -1)
            _exit(EXIT_FAILURE);
    for (;;)
        pause(); // Its thread sends on
}

static pid_t
s_attack(const exchange_farm_t *farm)
{
    rmt_auto_str endpoint =
        rmt_text("tcp://127.0.0.1:%u", (unsigned) rmt_serve_port(farm->serve));
    const pid_t pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        s_send_endless(endpoint, &farm->alice, farm->server.public_text);
    }
    return pid;
}

// [1.65] P16 P17: a message of frames without end is no way around the limit of a
// message; the peer is cut, which the log tells, and others are served meanwhile.
static void
test_a_message_without_end_does_not_make_a_holder_grow(void **state)
{
    exchange_farm_t *farm = *state;
    const rmt_id_t image = s_image(farm);
    exchange_peers(farm, "add", &farm->alice, &image);
    exchange_peers(farm, "add", &farm->mallory, &image);
    rmt_auto(zsock) other = exchange_raw(farm, &farm->mallory);
    assert_int_equal(s_try(other, &image, LIMIT_MS), RMT_E_OK);
    const size_t before = s_memory();
    size_t most = before;
    const pid_t pid = s_attack(farm);
    const int64_t until = rmt_clock_ms() + LIMIT_MS;
    while (__atomic_load_n(&farm->cuts, __ATOMIC_SEQ_CST) == 0 &&
           rmt_clock_ms() < until) {
        const size_t memory = s_memory();
        most = memory > most ? memory : most;
        rmt_wait_turn();
    }
    const rmt_code_t served = s_try(other, &image, LIMIT_MS);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    print_message("most memory %zu MiB, before %zu MiB\n", most / MIB, before / MIB);
    assert_int_equal(served, RMT_E_OK);
    assert_true(__atomic_load_n(&farm->cuts, __ATOMIC_SEQ_CST) > 0);
#ifndef __SANITIZE_ADDRESS__ // A sanitizer keeps for a while what was freed
    assert_true(most < before + GROWTH_MAX);
#endif
}

// ---- Connections

// [1.66] P17: the one that is too many is told so and ends; there is space again when
// another one has ended, and other keys are not concerned.
static void
test_a_key_has_so_many_connections_to_a_data_port(void **state)
{
    exchange_farm_t *farm = *state;
    zsock_t *sockets[RMT_SERVE_CONNECTIONS + 1];
    const rmt_id_t image = s_image(farm);
    exchange_peers(farm, "add", &farm->alice, &image);
    exchange_peers(farm, "add", &farm->mallory, &image);
    for (size_t i = 0; i < RMT_SERVE_CONNECTIONS; i++) {
        sockets[i] = exchange_raw(farm, &farm->alice);
        assert_int_equal(s_try(sockets[i], &image, LIMIT_MS), RMT_E_OK);
    }
    zsock_t *last = exchange_raw(farm, &farm->alice);
    sockets[RMT_SERVE_CONNECTIONS] = last;
    assert_int_equal(s_try(last, &image, LIMIT_MS), RMT_E_UNAVAILABLE);
    assert_int_equal(s_try(sockets[0], &image, LIMIT_MS), RMT_E_OK);
    rmt_auto(zsock) other = exchange_raw(farm, &farm->mallory);
    assert_int_equal(s_try(other, &image, LIMIT_MS), RMT_E_OK);
    zsock_destroy(&sockets[1]);
    RMT_WAIT_UNTIL(s_try(last, &image, 500) == RMT_E_OK, LIMIT_MS);
    for (size_t i = 0; i <= RMT_SERVE_CONNECTIONS; i++)
        zsock_destroy(&sockets[i]);
}

// P17: a handshake that is begun holds nothing for ever, and no key is needed to begin
// one.
static void
test_half_open_connections_to_a_data_port_end(void **state)
{
    enum { COUNT = 40 };
    exchange_farm_t *farm = *state;
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(rmt_serve_port(farm->serve)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct pollfd ends[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        ends[i] =
            (struct pollfd){socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), POLLRDHUP, 0};
        assert_return_code(connect(ends[i].fd, (const void *) &address, sizeof address),
                           errno);
    }
    const int64_t until = rmt_clock_ms() + HALF_OPEN_MS;
    size_t over = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const int64_t left_ms = until - rmt_clock_ms();
        over += poll(&ends[i], 1, left_ms > 0 ? (int) left_ms : 0) == 1;
    }
    for (size_t i = 0; i < COUNT; i++)
        close(ends[i].fd);
    assert_int_equal(over, COUNT);
}

// ---- A holder that talks and gives nothing

typedef struct {
    zsock_t *socket;
    bool is_over;
} s_talker_t;

// A second passes with each beat.
static void *
s_talk(void *context)
{
    s_talker_t *self = context;
    rmt_packet_t peer = {0};
    while (!__atomic_load_n(&self->is_over, __ATOMIC_SEQ_CST)) {
        rmt_error_t ignored = {0};
        rmt_packet_t packet = {0};
        if (rmt_socket_recv(self->socket, &packet, &ignored) == 1) {
            rmt_packet_clear(&peer);
            peer = packet;
        }
        if (peer.route) {
            rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
            (void) rmt_socket_send(self->socket, peer.route, beat, true, &ignored);
            __atomic_add_fetch(&s_later_ms, 1000, __ATOMIC_SEQ_CST);
        }
        rmt_wait_turn();
    }
    rmt_packet_clear(&peer);
    return NULL;
}

static bool
s_count_down(void *context)
{
    int *left = context;
    return (*left)-- > 0;
}

// P16: signs of life alone do not keep one who fetches, by either way of asking.
static void
test_a_holder_that_only_beats_is_left(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    s_talker_t talker = {.socket = rmt_socket_new(RMT_SOCKET_DATA_SERVER, "127.0.0.1:*",
                                                  &farm->mallory, NULL, &error)};
    RMT_OK(talker.socket);
    rmt_zap_allow(farm->zap, rmt_socket_domain(RMT_SOCKET_DATA_SERVER),
                  farm->alice.public_text);
    rmt_auto(rmt_records) holders = rmt_records_new();
    rmt_auto(rmt_record) holder = rmt_record_dup(rmt_records_at(farm->holders, 0));
    rmt_record_setf(holder, "port", "%u", (unsigned) rmt_socket_port(talker.socket));
    rmt_record_set(holder, "key", farm->mallory.public_text);
    rmt_records_append(holders, &holder);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_talk, &talker), 0);
    const rmt_id_t image = s_image(farm);
    rmt_auto(rmt_fetch) fetch =
        rmt_fetch_new(holders, "127.0.0.1", &farm->alice, &image, &error);
    RMT_OK(fetch);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert_non_null(plain);
    size_t size;
    for (int i = 0; i < 2; i++) {
        int seconds = 1500; // It is asked once a second
        rmt_fetch_set_alive(fetch, s_count_down, &seconds);
        if (i == 1)
            rmt_fetch_expect(fetch, &image, 1);
        RMT_FAILS(rmt_fetch_read(fetch, &image, plain, &size, &error), RMT_E_UNAVAILABLE);
        assert_non_null(strstr(error.text, "answered nothing"));
    }
    __atomic_store_n(&talker.is_over, true, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    zsock_destroy(&talker.socket);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_message_without_end_does_not_make_a_holder_grow),
        CASE(test_a_key_has_so_many_connections_to_a_data_port),
        CASE(test_half_open_connections_to_a_data_port_end),
        CASE(test_a_holder_that_only_beats_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
