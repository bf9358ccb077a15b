// lib/net over loopback: who gets in, what is dropped, and how workers and clients live
// through the loss of a broker. The test itself plays the broker.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rmt_auto.h"
#include "rmt_client.h"
#include "rmt_clock.h"
#include "rmt_io.h"
#include "rmt_signals.h"
#include "rmt_socket.h"
#include "rmt_worker.h"
#include "rmt_zap.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 10000
#define QUIET_MS 300
#define BEAT_MS 200

typedef struct {
    rmt_zap_t *zap;
    rmt_key_t broker, own;
    zsock_t *workers, *console;
} farm_t;

static int
s_open_farm(void **state)
{
    rmt_error_t error = {0};
    farm_t *farm = zmalloc(sizeof *farm);
    assert_int_equal(rmt_key_new(&farm->broker, &error), 0);
    assert_int_equal(rmt_key_new(&farm->own, &error), 0);
    farm->zap = rmt_zap_new(&error);
    assert_non_null(farm->zap);
    rmt_zap_allow(farm->zap, "workers", farm->own.public_text);
    rmt_zap_allow(farm->zap, "console", farm->own.public_text);
    rmt_zap_allow(farm->zap, "events", farm->own.public_text);
    farm->workers = rmt_socket_new(RMT_SOCKET_BROKER_WORKERS, "tcp://127.0.0.1:*",
                                   &farm->broker, NULL, &error);
    farm->console = rmt_socket_new(RMT_SOCKET_BROKER_CONSOLE, "tcp://127.0.0.1:0",
                                   &farm->broker, NULL, &error);
    assert_non_null(farm->workers);
    assert_non_null(farm->console);
    *state = farm;
    return 0;
}

static int
s_close_farm(void **state)
{
    farm_t *farm = *state;
    zsock_destroy(&farm->workers);
    zsock_destroy(&farm->console);
    rmt_zap_destroy(&farm->zap);
    free(farm);
    return 0;
}

static char *
s_address(zsock_t *socket)
{
    return rmt_text("127.0.0.1:%u", (unsigned) rmt_socket_port(socket));
}

static zsock_t *
s_connect(const farm_t *farm, const rmt_key_t *own, const char *server_key)
{
    rmt_error_t error = {0};
    rmt_auto_str address = s_address(farm->workers);
    zsock_t *client =
        rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, address, own, server_key, &error);
    assert_non_null(client);
    return client;
}

static void
s_send_beat(zsock_t *client)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    assert_int_equal(rmt_socket_send(client, NULL, beat, false, &error), 0);
}

// Wait for anything: what rmt_socket_recv says, 0 for silence.
static int
s_receive(zsock_t *socket, rmt_packet_t *packet, int wait_ms)
{
    rmt_error_t error = {0};
    zmq_pollitem_t item = {zsock_resolve(socket), 0, ZMQ_POLLIN, 0};
    zmq_poll(&item, 1, wait_ms);
    return rmt_socket_recv(socket, packet, &error);
}

// ---- Who gets in

// P18: an unknown key does not pass the handshake, and it is counted.
static void
test_an_unknown_key_is_refused_and_counted(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_key_t stranger;
    assert_int_equal(rmt_key_new(&stranger, &error), 0);
    rmt_auto(zsock) client = s_connect(farm, &stranger, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(farm->workers, &packet, QUIET_MS), 0);
    assert_true(rmt_zap_refused(farm->zap) > 0);
}

static void
test_a_key_gets_into_its_own_domain_alone(void **state)
{
    farm_t *farm = *state;
    rmt_zap_deny(farm->zap, "workers", farm->own.public_text);
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(farm->workers, &packet, QUIET_MS), 0);
    rmt_zap_allow_any(farm->zap, "workers");
    // The refused client keeps trying by itself.
    rmt_auto(zsock) again = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(again);
    assert_int_equal(s_receive(farm->workers, &packet, WAIT_MS), 1);
    assert_string_equal(packet.user, farm->own.public_text);
    rmt_packet_clear(&packet);
}

// P18: every check fails closed.
static void
test_nobody_gets_in_without_a_zap_thread(void **state)
{
    farm_t *farm = *state;
    rmt_zap_destroy(&farm->zap);
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(farm->workers, &packet, QUIET_MS), 0);
}

static void
test_the_self_test_sees_who_gets_in(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    assert_int_equal(rmt_zap_self_test(farm->zap, &error), 0);
    rmt_zap_allow_any(farm->zap, "data");
    assert_int_equal(rmt_zap_self_test(farm->zap, &error), -1);
    assert_int_equal(error.code, RMT_E_INTERNAL);
}

static void
test_a_second_zap_thread_is_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    assert_null(rmt_zap_new(&error));
    assert_int_equal(error.code, RMT_E_EXISTS);
}

static void
test_a_wrong_server_key_connects_to_nobody(void **state)
{
    farm_t *farm = *state;
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->own.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(farm->workers, &packet, QUIET_MS), 0);
}

static void
test_endpoints_that_are_none_are_refused(void **state)
{
    farm_t *farm = *state;
    static const char *const rows[] = {"nowhere", "127.0.0.1:0", "*:1", "ipc://x:1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        assert_null(rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, rows[i], &farm->own,
                                   farm->broker.public_text, &error));
        assert_int_equal(error.code, RMT_E_USAGE);
    }
    rmt_error_t error = {0};
    rmt_auto_str address = s_address(farm->workers);
    assert_null(
        rmt_socket_new(RMT_SOCKET_DATA_SERVER, address, &farm->own, NULL, &error));
    assert_int_equal(error.code, RMT_E_IO);
}

// ---- What is dropped

static void
test_a_message_without_user_is_dropped(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(zsock) server = zsock_new(ZMQ_ROUTER);
    const int port = zsock_bind(server, "tcp://127.0.0.1:*");
    assert_true(port > 0);
    rmt_auto(zsock) client = zsock_new(ZMQ_DEALER);
    zsock_connect(client, "tcp://127.0.0.1:%d", port);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    assert_int_equal(rmt_socket_send(client, NULL, beat, false, &error), 0);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(server, &packet, WAIT_MS), -1);
    assert_null(packet.msg);
    assert_string_equal(packet.user, "");
    rmt_packet_clear(&packet);
}

static void
s_send_parts(zsock_t *client, size_t count, size_t size)
{
    rmt_auto_ptr bytes = zmalloc(size);
    for (size_t i = 0; i < count; i++) {
        rmt_auto(zframe) frame = zframe_new(bytes, size);
        zframe_send(&frame, client, i + 1 < count ? ZFRAME_MORE : 0);
    }
}

// P16: the sender is told to the caller, and good messages after it pass.
static void
test_foreign_frames_are_dropped_with_their_sender(void **state)
{
    farm_t *farm = *state;
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    static const size_t counts[] = {1, 2, 3, 100};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        s_send_parts(client, counts[i], 8);
        rmt_packet_t packet = {0};
        assert_int_equal(s_receive(farm->workers, &packet, WAIT_MS), -1);
        assert_null(packet.msg);
        assert_string_equal(packet.user, farm->own.public_text);
        rmt_packet_clear(&packet);
    }
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(farm->workers, &packet, WAIT_MS), 1);
    assert_int_equal(packet.msg->kind, RMT_MSG_BEAT);
    rmt_packet_clear(&packet);
    assert_int_equal(s_receive(farm->workers, &packet, 0), 0);
}

// P16: libzmq cuts the peer before the frame is in memory.
static void
test_an_oversize_frame_cuts_its_sender(void **state)
{
    farm_t *farm = *state;
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(farm->workers, &packet, WAIT_MS), 1);
    rmt_auto(zframe) route = rmt_take(&packet.route);
    rmt_packet_clear(&packet);
    s_send_parts(client, 1, RMT_CONTROL_SIZE_MAX * 2);
    assert_int_equal(s_receive(farm->workers, &packet, QUIET_MS), 0);
    // Its connection is gone, so the broker cannot answer on it any more.
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    assert_int_equal(rmt_socket_send(farm->workers, route, beat, false, &error), -1);
    assert_int_equal(error.code, RMT_E_NOT_FOUND);
}

static void
test_bytes_travel_with_a_chunk_alone(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    rmt_auto(rmt_msg) chunk = rmt_msg_new(RMT_MSG_CHUNK);
    memset(chunk->id, 1, sizeof chunk->id);
    chunk->size = 5;
    chunk->payload = zframe_new("hello", 5);
    assert_int_equal(rmt_socket_send(client, NULL, chunk, false, &error), 0);
    rmt_packet_t packet = {0};
    assert_int_equal(s_receive(farm->workers, &packet, WAIT_MS), 1);
    assert_true(zframe_streq(packet.msg->payload, "hello"));
    rmt_packet_clear(&packet);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    beat->payload = zframe_new("hello", 5);
    assert_int_equal(rmt_socket_send(client, NULL, beat, false, &error), 0);
    assert_int_equal(s_receive(farm->workers, &packet, WAIT_MS), -1);
    rmt_packet_clear(&packet);
}

// ---- A worker, with the test as its broker

typedef struct {
    rmt_worker_t *worker;
    pthread_t thread;
    int rc;
    atomic_bool hold; // Tasks "hold@x" wait while it is set
    atomic_int starts, welcomes, peers;
} crew_t;

static void
s_sleep(int ms)
{
    const struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

static int
s_run_add(rmt_task_t *task, void *context, rmt_error_t *error)
{
    crew_t *crew = context;
    crew->starts++;
    const rmt_record_t *body = rmt_task_body(task);
    if (rmt_record_has(body, "fail"))
        return rmt_fail(error, RMT_E_NO_SPACE, "disk \xc3\xa9 is full");
    rmt_task_progress(task, "add", 0, 2, NULL);
    // The second figure comes too soon and is left out; a new phase is not.
    rmt_task_progress(task, "add", 1, 2, NULL);
    rmt_task_progress(task, "check", 1, 2, "nearly");
    rmt_record_set_u64(rmt_task_outputs(task), "sum",
                       rmt_record_u64(body, "a", 0) + rmt_record_u64(body, "b", 0));
    return 0;
}

static int
s_run_hold(rmt_task_t *task, void *context, rmt_error_t *error)
{
    crew_t *crew = context;
    crew->starts++;
    while (crew->hold) {
        if (rmt_task_cancelled(task))
            return rmt_fail(error, RMT_E_CANCELLED, "stopped in time");
        rmt_task_tick(task);
        s_sleep(10);
    }
    rmt_record_set_u64(rmt_task_outputs(task), "attempt", rmt_task_attempt(task));
    return 0;
}

static int
s_run_ask(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "question", "life");
    rmt_auto(rmt_msg) reply = rmt_task_request(task, "holders", body, NULL, error);
    if (!reply)
        return -1;
    rmt_record_set(rmt_task_outputs(task), "answer",
                   rmt_record_text(rmt_records_at(reply->items, 0), "answer", "none"));
    rmt_record_set(rmt_task_outputs(task), "host", rmt_task_host(task));
    rmt_auto(rmt_msg) none = rmt_task_request(task, "fail", NULL, NULL, error);
    return none ? 0 : -1;
}

static void
s_count_welcome(void *context, const rmt_msg_t *welcome, const char *host)
{
    crew_t *crew = context;
    if (welcome->era == 7 && streq(host, "127.0.0.1"))
        crew->welcomes++;
}

static void
s_count_peers(void *context, const char *place, const rmt_records_t *items)
{
    crew_t *crew = context;
    if (streq(place, "paris") && rmt_records_count(items) == 1)
        crew->peers++;
}

static void *
s_run_worker(void *argument)
{
    rmt_error_t error = {0};
    crew_t *crew = argument;
    crew->rc = rmt_worker_run(crew->worker, &error);
    return NULL;
}

static void
s_start_crew(crew_t *crew, const farm_t *farm, zsock_t *other)
{
    rmt_error_t error = {0};
    rmt_auto_str first = s_address(farm->workers);
    rmt_auto_str second = other ? s_address(other) : NULL;
    const char *brokers[] = {first, second, NULL};
    const rmt_service_t services[] = {
        {"add@x", 2, s_run_add},
        {"hold@x", 1, s_run_hold},
        {"ask@x", 1, s_run_ask},
    };
    const rmt_worker_config_t config = {
        .brokers = brokers,
        .own = &farm->own,
        .broker_key = farm->broker.public_text,
        .role = "installer",
        .name = "w1",
        .services = services,
        .service_count = 3,
        .context = crew,
        .on_peers = s_count_peers,
        .on_welcome = s_count_welcome,
        .leave_ms = 2000,
    };
    crew->hold = true;
    crew->worker = rmt_worker_new(&config, &error);
    assert_non_null(crew->worker);
    assert_int_equal(pthread_create(&crew->thread, NULL, s_run_worker, crew), 0);
}

static void
s_stop_crew(crew_t *crew)
{
    rmt_worker_stop(crew->worker);
    pthread_join(crew->thread, NULL);
    assert_int_equal(crew->rc, 0);
    rmt_worker_destroy(&crew->worker);
}

static void
s_answer(zsock_t *broker, rmt_packet_t *packet, rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    assert_int_equal(rmt_socket_send(broker, packet->route, msg, false, &error), 0);
}

// Answer beats until a message of this kind comes, or for some time.
static bool
s_tend(zsock_t *broker, rmt_msg_kind_t kind, rmt_packet_t *packet, int wait_ms)
{
    const int64_t until = rmt_clock_ms() + wait_ms;
    while (rmt_clock_ms() < until) {
        rmt_packet_t next = {0};
        if (s_receive(broker, &next, 50) != 1)
            continue;
        rmt_packet_clear(packet);
        *packet = next;
        if (packet->msg->kind == kind)
            return true;
        if (packet->msg->kind == RMT_MSG_BEAT) {
            rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
            s_answer(broker, packet, beat);
        }
    }
    return false;
}

// The next message of a kind; others are passed over.
static void
s_expect(zsock_t *broker, rmt_msg_kind_t kind, rmt_packet_t *packet)
{
    if (!s_tend(broker, kind, packet, WAIT_MS * 2))
        fail_msg("no %s came", rmt_msg_kind_name(kind));
}

// As a broker that was started again and knows nobody.
static void
s_forget(zsock_t *broker, rmt_packet_t *packet)
{
    // A peer that said HELLO just now is not believed to need another.
    assert_false(s_tend(broker, RMT_MSG_HELLO, packet, 700));
    rmt_auto(rmt_msg) refused = rmt_msg_new(RMT_MSG_REFUSED);
    refused->code = RMT_E_NOT_FOUND;
    s_answer(broker, packet, refused);
}

// Take a HELLO and welcome it; packet keeps route and HELLO.
static void
s_welcome(zsock_t *broker, rmt_packet_t *packet)
{
    s_expect(broker, RMT_MSG_HELLO, packet);
    rmt_auto(rmt_msg) welcome = rmt_msg_new(RMT_MSG_WELCOME);
    welcome->version = RMT_WIRE_VERSION;
    welcome->era = 7;
    welcome->beat_ms = BEAT_MS;
    s_answer(broker, packet, welcome);
}

static rmt_msg_t *
s_make_task(const char *service, uint8_t number, uint32_t attempt)
{
    rmt_msg_t *task = rmt_msg_new(RMT_MSG_TASK);
    memset(task->task, number, RMT_UID_SIZE);
    memset(task->job, 9, RMT_UID_SIZE);
    task->attempt = attempt;
    rmt_msg_text(&task->service, service);
    rmt_msg_body(task);
    return task;
}

static void
s_order(zsock_t *broker, rmt_packet_t *packet, const char *service, uint32_t attempt)
{
    rmt_auto(rmt_msg) task = s_make_task(service, 1, attempt);
    s_answer(broker, packet, task);
}

static void
s_record(zsock_t *broker, rmt_packet_t *packet)
{
    rmt_auto(rmt_msg) recorded = rmt_msg_new(RMT_MSG_RECORDED);
    memcpy(recorded->task, packet->msg->task, RMT_UID_SIZE);
    recorded->attempt = packet->msg->attempt;
    s_answer(broker, packet, recorded);
}

static void
test_a_worker_offers_services_and_credit(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    assert_string_equal(packet.user, farm->own.public_text);
    assert_string_equal(packet.msg->role, "installer");
    assert_int_equal(rmt_records_count(packet.msg->items), 3);
    assert_int_equal(rmt_records_count(packet.msg->hand), 0);
    s_expect(farm->workers, RMT_MSG_CREDIT, &packet);
    assert_string_equal(packet.msg->service, "add@x");
    assert_int_equal(packet.msg->slots, 2);
    rmt_auto(rmt_msg) peers = rmt_msg_new(RMT_MSG_PEERS);
    rmt_msg_text(&peers->place, "paris");
    rmt_record_set(rmt_records_add(rmt_msg_items(peers)), "op", "add");
    s_answer(farm->workers, &packet, peers);
    s_expect(farm->workers, RMT_MSG_BEAT, &packet);
    assert_int_equal(crew.welcomes, 1);
    s_sleep(100);
    assert_int_equal(crew.peers, 1);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

// P3: at least once; the result comes until it is recorded, and not after.
static void
test_a_result_is_sent_until_it_is_recorded(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    rmt_auto(rmt_msg) task = s_make_task("add@x", 1, 3);
    rmt_record_set(task->body, "a", "40");
    rmt_record_set(task->body, "b", "2");
    s_answer(farm->workers, &packet, task);
    s_expect(farm->workers, RMT_MSG_PROGRESS, &packet);
    assert_string_equal(packet.msg->phase, "add");
    assert_int_equal(packet.msg->attempt, 3);
    s_expect(farm->workers, RMT_MSG_PROGRESS, &packet);
    assert_string_equal(packet.msg->phase, "check");
    assert_string_equal(packet.msg->text, "nearly");
    for (int i = 0; i < 2; i++) {
        s_expect(farm->workers, RMT_MSG_RESULT, &packet);
        assert_int_equal(packet.msg->code, 0);
        assert_int_equal(packet.msg->attempt, 3);
        assert_string_equal(rmt_record_text(packet.msg->body, "sum", ""), "42");
    }
    // The same attempt again is answered with the result, not done again.
    s_answer(farm->workers, &packet, task);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(crew.starts, 1);
    s_record(farm->workers, &packet);
    s_expect(farm->workers, RMT_MSG_CREDIT, &packet);
    assert_string_equal(packet.msg->service, "add@x");
    assert_int_equal(packet.msg->slots, 2);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_a_failed_task_gives_code_and_text(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    rmt_auto(rmt_msg) task = s_make_task("add@x", 1, 1);
    rmt_record_set(task->body, "fail", "yes");
    s_answer(farm->workers, &packet, task);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_NO_SPACE);
    assert_string_equal(packet.msg->text, "disk \\xc3\\xa9 is full");
    s_record(farm->workers, &packet);
    s_order(farm->workers, &packet, "unknown@x", 1);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_UNSUPPORTED);
    s_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_a_cancelled_task_ends_with_its_error(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "hold@x", 1);
    s_order(farm->workers, &packet, "hold@x", 1);
    while (crew.starts == 0)
        s_sleep(10);
    rmt_auto(rmt_msg) cancel = rmt_msg_new(RMT_MSG_CANCEL);
    memset(cancel->task, 1, RMT_UID_SIZE);
    cancel->attempt = 1;
    s_answer(farm->workers, &packet, cancel);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_CANCELLED);
    assert_string_equal(packet.msg->text, "stopped in time");
    assert_int_equal(crew.starts, 1);
    s_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_a_higher_attempt_replaces_the_run(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "hold@x", 2);
    while (crew.starts == 0)
        s_sleep(10);
    s_order(farm->workers, &packet, "hold@x", 1);
    s_order(farm->workers, &packet, "hold@x", 4);
    while (crew.starts == 1)
        s_sleep(10);
    crew.hold = false;
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, 0);
    assert_int_equal(packet.msg->attempt, 4);
    assert_int_equal(crew.starts, 2);
    s_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_beats_name_the_tasks_in_hand(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "hold@x", 5);
    do
        s_expect(farm->workers, RMT_MSG_BEAT, &packet);
    while (rmt_records_count(packet.msg->items) == 0);
    const rmt_record_t *record = rmt_records_at(packet.msg->items, 0);
    assert_string_equal(rmt_record_text(record, "task", ""),
                        "01010101010101010101010101010101");
    assert_int_equal(rmt_record_u64(record, "attempt", 0), 5);
    assert_true(rmt_record_u64(record, "counter", 0) > 0);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
s_assert_in_hand(const rmt_msg_t *hello, uint64_t attempt)
{
    assert_int_equal(rmt_records_count(hello->hand), 1);
    const rmt_record_t *record = rmt_records_at(hello->hand, 0);
    assert_string_equal(rmt_record_text(record, "task", ""),
                        "01010101010101010101010101010101");
    assert_int_equal(rmt_record_u64(record, "attempt", 0), attempt);
}

// P5: work goes on while the broker is away, and is told to the new one.
static void
test_a_broker_that_comes_back_hears_the_task_in_hand(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "hold@x", 1);
    while (crew.starts == 0)
        s_sleep(10);
    rmt_auto_str address = s_address(farm->workers);
    zsock_destroy(&farm->workers);
    s_sleep(BEAT_MS * 4);
    crew.hold = false;
    s_sleep(50);
    rmt_error_t error = {0};
    for (int i = 0; i < 50 && !farm->workers; i++) {
        farm->workers = rmt_socket_new(RMT_SOCKET_BROKER_WORKERS, address, &farm->broker,
                                       NULL, &error);
        s_sleep(20);
    }
    assert_non_null(farm->workers);
    s_welcome(farm->workers, &packet);
    s_assert_in_hand(packet.msg, 1);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, 0);
    s_record(farm->workers, &packet);
    assert_int_equal(crew.starts, 1);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_a_broker_without_memory_asks_for_hello(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "hold@x", 1);
    while (crew.starts == 0)
        s_sleep(10);
    s_forget(farm->workers, &packet);
    s_welcome(farm->workers, &packet);
    s_assert_in_hand(packet.msg, 1);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_a_second_broker_takes_over(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(zsock) other = rmt_socket_new(RMT_SOCKET_BROKER_WORKERS, "127.0.0.1:*",
                                           &farm->broker, NULL, &error);
    crew_t crew = {0};
    s_start_crew(&crew, farm, other);
    // It begins with either of them.
    rmt_packet_t packet = {0};
    zsock_t **first = &other;
    zmq_pollitem_t items[2] = {{zsock_resolve(farm->workers), 0, ZMQ_POLLIN, 0},
                               {zsock_resolve(other), 0, ZMQ_POLLIN, 0}};
    assert_int_equal(zmq_poll(items, 2, WAIT_MS), 1);
    if (items[0].revents)
        first = &farm->workers;
    zsock_t *second = first == &other ? farm->workers : other;
    s_welcome(*first, &packet);
    s_order(*first, &packet, "hold@x", 1);
    while (crew.starts == 0)
        s_sleep(10);
    zsock_destroy(first);
    s_welcome(second, &packet);
    s_assert_in_hand(packet.msg, 1);
    crew.hold = false;
    s_expect(second, RMT_MSG_RESULT, &packet);
    s_record(second, &packet);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_a_task_asks_and_hears_the_answer(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "ask@x", 1);
    s_expect(farm->workers, RMT_MSG_REQUEST, &packet);
    assert_string_equal(packet.msg->verb, "holders");
    const uint64_t sequence = packet.msg->sequence;
    // The request is lost with this link and comes again, the same, on the next.
    s_forget(farm->workers, &packet);
    s_welcome(farm->workers, &packet);
    s_expect(farm->workers, RMT_MSG_REQUEST, &packet);
    assert_true(packet.msg->sequence == sequence);
    rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->sequence = sequence;
    rmt_record_set(rmt_records_add(rmt_msg_items(reply)), "answer", "42");
    s_answer(farm->workers, &packet, reply);
    s_answer(farm->workers, &packet, reply);
    s_expect(farm->workers, RMT_MSG_REQUEST, &packet);
    assert_string_equal(packet.msg->verb, "fail");
    rmt_auto(rmt_msg) denial = rmt_msg_new(RMT_MSG_REPLY);
    denial->sequence = packet.msg->sequence;
    denial->code = RMT_E_LOCKED;
    rmt_msg_text(&denial->text, "held by another job");
    s_answer(farm->workers, &packet, denial);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_LOCKED);
    assert_string_equal(packet.msg->text, "held by another job");
    assert_string_equal(rmt_record_text(packet.msg->body, "answer", ""), "42");
    assert_string_equal(rmt_record_text(packet.msg->body, "host", ""), "127.0.0.1");
    s_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
}

static void
test_a_worker_that_is_terminated_cancels_and_tells(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "hold@x", 1);
    while (crew.starts == 0)
        s_sleep(10);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_CANCELLED);
    const int64_t before = rmt_clock_ms();
    s_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
    assert_true(rmt_clock_ms() - before < 1500);
}

// ---- A client, with the test as its broker in a thread

typedef struct {
    zsock_t *console;
    int ignore; // Requests that get no answer
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
        if (s_receive(desk->console, &packet, 50) != 1)
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
    rmt_auto_str address = s_address(farm->console);
    const char *brokers[] = {address, NULL};
    rmt_client_t *client = rmt_client_new(brokers, own, key, timeout_ms, &error);
    assert_non_null(client);
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
    assert_int_equal(rmt_key_new(&stranger, &error), 0);
    rmt_auto(rmt_client) client =
        s_client(farm, &stranger, farm->broker.public_text, WAIT_MS);
    const rmt_request_t request = {.verb = "page"};
    const int64_t before = rmt_clock_ms();
    assert_null(rmt_client_request(client, &request, &error));
    assert_int_equal(error.code, RMT_E_NOT_ALLOWED);
    assert_true(rmt_clock_ms() - before < 2000);
    // Once it has been approved, the same client gets in.
    rmt_zap_allow(farm->zap, "console", stranger.public_text);
    desk_t desk = {0};
    s_open_desk(&desk, farm);
    rmt_auto(rmt_msg) reply = rmt_client_request(client, &request, &error);
    s_close_desk(&desk);
    assert_non_null(reply);
}

static void
test_a_client_without_its_broker_gives_up_in_time(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_client) client = s_client(farm, &farm->own, farm->own.public_text, 500);
    const rmt_request_t request = {.verb = "page"};
    const int64_t before = rmt_clock_ms();
    assert_null(rmt_client_request(client, &request, &error));
    assert_int_equal(error.code, RMT_E_UNAVAILABLE);
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
    assert_int_equal(rmt_client_subscribe(client, "job/1/", &error), 0);
    zmq_pollitem_t item = {zsock_resolve(events), 0, ZMQ_POLLIN, 0};
    assert_int_equal(zmq_poll(&item, 1, WAIT_MS), 1);
    assert_int_equal(rmt_socket_drain(events), 1);
    static const char *const topics[] = {"job/2/state", "job/1/state"};
    for (size_t i = 0; i < 2; i++) {
        rmt_auto(rmt_msg) event = rmt_msg_new(RMT_MSG_EVENT);
        rmt_msg_text(&event->topic, topics[i]);
        assert_int_equal(rmt_socket_send(events, NULL, event, false, &error), 0);
    }
    rmt_auto(rmt_msg) event = rmt_client_next_event(client, WAIT_MS, &error);
    assert_non_null(event);
    assert_string_equal(event->topic, "job/1/state");
    assert_null(rmt_client_next_event(client, 50, &error));
    assert_int_equal(error.code, RMT_E_TIMEOUT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_open_farm, s_close_farm)

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_an_unknown_key_is_refused_and_counted),
        CASE(test_a_key_gets_into_its_own_domain_alone),
        CASE(test_nobody_gets_in_without_a_zap_thread),
        CASE(test_the_self_test_sees_who_gets_in),
        CASE(test_a_second_zap_thread_is_refused),
        CASE(test_a_wrong_server_key_connects_to_nobody),
        CASE(test_endpoints_that_are_none_are_refused),
        CASE(test_a_message_without_user_is_dropped),
        CASE(test_foreign_frames_are_dropped_with_their_sender),
        CASE(test_an_oversize_frame_cuts_its_sender),
        CASE(test_bytes_travel_with_a_chunk_alone),
        CASE(test_a_worker_offers_services_and_credit),
        CASE(test_a_result_is_sent_until_it_is_recorded),
        CASE(test_a_failed_task_gives_code_and_text),
        CASE(test_a_cancelled_task_ends_with_its_error),
        CASE(test_a_higher_attempt_replaces_the_run),
        CASE(test_beats_name_the_tasks_in_hand),
        CASE(test_a_broker_that_comes_back_hears_the_task_in_hand),
        CASE(test_a_broker_without_memory_asks_for_hello),
        CASE(test_a_second_broker_takes_over),
        CASE(test_a_task_asks_and_hears_the_answer),
        CASE(test_a_worker_that_is_terminated_cancels_and_tells),
        CASE(test_a_retried_request_has_one_effect),
        CASE(test_a_denial_keeps_code_and_text),
        CASE(test_pages_are_joined),
        CASE(test_a_client_whose_key_is_refused_is_told_at_once),
        CASE(test_a_client_without_its_broker_gives_up_in_time),
        CASE(test_events_come_by_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
