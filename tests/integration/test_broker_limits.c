// What a hostile peer with a valid key can cost a real broker. P16, P17.
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "integration/broker_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

#define MIB ((size_t) 1 << 20)
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_MAX (80 * MIB) // With the bytes around each piece
// A sanitizer keeps for a while what was freed: of the broker, next to nothing.
#define BROKER_OPTIONS "quarantine_size_mb=4:thread_local_quarantine_size_kb=64"
#define ENDLESS_SIZE (60 * MIB) // It takes long over it
#else
#define GROWTH_MAX (40 * MIB)
#define ENDLESS_SIZE (400 * MIB)
#endif

// Resident memory of the broker, in octets.
static size_t
s_memory(const broker_farm_t *farm)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("/proc/%d/statm", (int) farm->broker);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    unsigned long all = 0, resident = 0;
    RMT_OK(rmt_io_load(path, 4096, &text, &size, &error));
    assert_int_equal(sscanf(text, "%lu %lu", &all, &resident), 2);
    return resident * (size_t) sysconf(_SC_PAGESIZE);
}

// A socket that takes next to nothing in: what is not read stays with the broker.
static zsock_t *
s_dial_deaf(const broker_farm_t *farm, const rmt_key_t *key, rmt_port_t port)
{
    zsock_t *socket = broker_dial(farm, key, port);
    rmt_auto_str endpoint = rmt_text("tcp://127.0.0.1:%d", farm->port + (int) port);
    assert_int_equal(zsock_disconnect(socket, "%s", endpoint), 0);
    zsock_set_rcvhwm(socket, 1);
    zsock_set_rcvbuf(socket, 4096);
    assert_int_equal(zsock_connect(socket, "%s", endpoint), 0);
    return socket;
}

// Targets whose list takes most of a message.
static void
s_add_targets(broker_farm_t *farm, int count)
{
    char words[251];
    memset(words, 'x', sizeof words);
    words[sizeof words - 1] = '\0';
    rmt_auto(rmt_msg) engine = broker_need(farm, "engine.add", "name=lab", "");
    for (int i = 0; i < count; i++) {
        rmt_auto_str body = rmt_text("name=t%d engine=lab label.a=%s label.b=%s "
                                     "label.c=%s",
                                     i, words, words, words);
        rmt_auto(rmt_msg) added = broker_need(farm, "target.add", body, "");
    }
}

static rmt_msg_t *
s_request(const char *verb)
{
    rmt_msg_t *request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, verb);
    (void) rmt_msg_body(request);
    return request;
}

// The admin asks, and is answered. How fast is for system.flood to measure.
static void
s_need_status(broker_farm_t *farm)
{
    rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
}

// [1.29] [4.30] P17: each request is answered, those that are too many by BUSY.
static void
test_a_key_that_asks_without_pause_hears_busy(void **state)
{
    enum { COUNT = 400 };
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = broker_enrol(farm, "dashboard", "wall", "");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_CONSOLE);
    rmt_auto(rmt_msg) request = s_request("job.list");
    // Redis answers none of them before the last one is there.
    assert_int_equal(kill(farm->redis.pid, SIGSTOP), 0);
    for (request->sequence = 1; request->sequence <= COUNT; request->sequence++)
        RMT_OK(rmt_socket_send(socket, NULL, request, true, &error));
    assert_int_equal(kill(farm->redis.pid, SIGCONT), 0);
    bool seen[COUNT + 1] = {false};
    int done = 0, busy = 0;
    while (done + busy < COUNT) {
        rmt_auto(rmt_msg) reply = broker_hear(socket, BROKER_WAIT_MS);
        assert_non_null(reply);
        assert_in_range(reply->sequence, 1, COUNT);
        assert_false(seen[reply->sequence]);
        seen[reply->sequence] = true;
        done += reply->code == RMT_E_OK;
        busy += reply->code == RMT_E_BUSY;
        assert_true(reply->code == RMT_E_OK || reply->code == RMT_E_BUSY);
    }
    assert_true(done >= 64);
    assert_true(busy > 0);
    RMT_OK(rmt_socket_send(socket, NULL, request, true, &error));
    rmt_auto(rmt_msg) last = broker_hear(socket, BROKER_WAIT_MS);
    assert_non_null(last);
    assert_int_equal(last->code, RMT_E_OK); // There is room again
}

// Ask so often, read nothing for a while, then all. Returns how many heard BUSY.
static int
s_ask_and_read_late(zsock_t *socket, uint64_t count, int late_ms)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) request = s_request("target.list");
    for (request->sequence = 1; request->sequence <= count; request->sequence++)
        RMT_OK(rmt_socket_send(socket, NULL, request, true, &error));
    rmt_pause(late_ms, "the broker has asked all that it means to ask");
    int busy = 0;
    for (uint64_t i = 0; i < count; i++) {
        rmt_auto(rmt_msg) reply = broker_hear(socket, BROKER_WAIT_MS);
        assert_non_null(reply);
        busy += reply->code == RMT_E_BUSY;
    }
    return busy;
}

// [1.51] [4.30] P17: what waits behind answers that the peer does not read is refused. A
// slow machine has longer.
static void
test_requests_behind_unread_answers_hear_busy(void **state)
{
    broker_farm_t *farm = *state;
    s_add_targets(farm, 220);
    const rmt_key_t key = broker_enrol(farm, "viewer", "eve", "");
    rmt_auto(zsock) socket = s_dial_deaf(farm, &key, RMT_PORT_CONSOLE);
    int busy = 0;
    for (int late_ms = 1500; busy == 0 && late_ms < 40000; late_ms *= 2)
        busy = s_ask_and_read_late(socket, 60, late_ms);
    assert_true(busy > 0);
}

// [1.51] [4.30] P17: of each role. Each round is answered by Redis before the next one,
// so that few requests wait; without the limit of octets all of them get an answer, 130
// MB.
static void
test_answers_that_nobody_reads_do_not_make_the_broker_grow(void **state)
{
    enum { KEYS = 3, ROUNDS = 250 };
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    s_add_targets(farm, 220);
    const rmt_key_t viewer = broker_enrol(farm, "viewer", "eve", "");
    const rmt_key_t wall = broker_enrol(farm, "dashboard", "wall", "");
    const rmt_key_t *const keys[KEYS] = {&viewer, &wall, &farm->admin};
    zsock_t *sockets[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        sockets[i] = s_dial_deaf(farm, keys[i], RMT_PORT_CONSOLE);
    rmt_auto(rmt_msg) request = s_request("target.list");
    const size_t before = s_memory(farm);
    size_t most = before;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < KEYS; i++)
            RMT_OK(rmt_socket_send(sockets[i], NULL, request, true, &error));
        s_need_status(farm);
        const size_t memory = s_memory(farm);
        most = memory > most ? memory : most;
    }
    for (size_t i = 0; i < KEYS; i++)
        zsock_destroy(&sockets[i]);
    s_need_status(farm);
    print_message("most memory: %zu KiB, before %zu KiB\n", most / 1024, before / 1024);
    assert_true(most < before + GROWTH_MAX);
    assert_int_equal(broker_count_in_log(farm, "event=peer.muted"), 0);
}

// What libzmq has of a message before its last frame is not handed out, and counts to no
// queue.
static void
s_send_endless(zsock_t *socket, size_t frame_size, int count)
{
    rmt_auto_ptr bytes = zmalloc(frame_size);
    for (int i = 0; i < count; i++) {
        zframe_t *frame = zframe_new(bytes, frame_size);
        if (zframe_send(&frame, socket, i + 1 < count ? ZFRAME_MORE : 0) == -1)
            zframe_destroy(&frame);
    }
}

// [4.40] P16: a message of frames without end is no way around the limit of a message.
static void
test_a_message_without_end_does_not_make_the_broker_grow(void **state)
{
    broker_farm_t *farm = *state;
    static const struct {
        const char *role, *name;
        rmt_port_t port;
        size_t frame_size;
    } rows[] = {{"source", "web", RMT_PORT_AGENTS, 200000},
                {"viewer", "eve", RMT_PORT_CONSOLE, 40000},
                {"viewer", "bob", RMT_PORT_ENROL, 60000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rmt_key_t key = broker_enrol(farm, rows[i].role, rows[i].name, "");
        rmt_auto(zsock) socket = broker_dial(farm, &key, rows[i].port);
        const size_t before = s_memory(farm);
        size_t most = before;
        s_send_endless(socket, rows[i].frame_size,
                       (int) (ENDLESS_SIZE / rows[i].frame_size));
        for (const int64_t until = rmt_clock_ms() + 3000; rmt_clock_ms() < until;) {
            const size_t memory = s_memory(farm);
            most = memory > most ? memory : most;
            rmt_wait_turn();
        }
        print_message("%s: most memory %zu MiB, before %zu MiB\n", rows[i].role,
                      most / MIB, before / MIB);
        assert_true(most < before + 2 * GROWTH_MAX);
        zsock_destroy(&socket);
        s_need_status(farm);
    }
}

int
main(void)
{
#ifdef BROKER_OPTIONS
    const char *given = getenv("ASAN_OPTIONS");
    rmt_auto_str options = rmt_text("%s:" BROKER_OPTIONS, given ? given : "");
    setenv("ASAN_OPTIONS", options, 1);
#endif
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_key_that_asks_without_pause_hears_busy),
        CASE(test_requests_behind_unread_answers_hear_busy),
        CASE(test_a_message_without_end_does_not_make_the_broker_grow),
        CASE(test_answers_that_nobody_reads_do_not_make_the_broker_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
