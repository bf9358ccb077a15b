// lib/net over loopback: how a worker does tasks and lives through the loss of a broker.
// The test itself plays the broker.
#include "tools/rmt_test.h"

#include "farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_signals.h"
#include "net/rmt_worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define BEAT_MS 200

typedef struct {
    rmt_worker_t *worker;
    pthread_t thread;
    int rc;
    atomic_bool hold; // Tasks "hold@x" wait while it is set
    atomic_int starts, welcomes, peers;
    char told[200]; // Phases and results, of the worker's thread until it has ended
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

// Two questions at once; the first that was asked is waited for last.
static int
s_run_ask_both(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    uint64_t asks[2];
    for (size_t i = 0; i < 2; i++)
        if (rmt_task_ask(task, i ? "second" : "first", NULL, NULL, &asks[i], error) == -1)
            return -1;
    for (size_t i = 2; i-- > 0;) {
        rmt_auto(rmt_msg) reply = rmt_task_answer(task, asks[i], error);
        if (!reply)
            return -1;
        rmt_record_set(rmt_task_outputs(task), i ? "second" : "first",
                       rmt_record_text(reply->body, "answer", "none"));
    }
    return 0;
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

static void
s_note_told(void *context, const rmt_msg_t *msg)
{
    crew_t *crew = context;
    const size_t used = strlen(crew->told);
    snprintf(crew->told + used, sizeof crew->told - used, "%s;",
             msg->kind == RMT_MSG_RESULT ? "result" : msg->phase);
    s_sleep(50); // So that the next ones are there together
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
    rmt_auto_str first = farm_address(farm->workers);
    rmt_auto_str second = other ? farm_address(other) : NULL;
    const char *brokers[] = {first, second, NULL};
    const rmt_service_t services[] = {
        {"add@x", 2, s_run_add},
        {"hold@x", 1, s_run_hold},
        {"ask@x", 1, s_run_ask},
        {"ask-both@x", 1, s_run_ask_both},
    };
    const rmt_worker_config_t config = {
        .brokers = brokers,
        .own = &farm->own,
        .broker_key = farm->broker.public_text,
        .role = "installer",
        .name = "w1",
        .services = services,
        .service_count = 4,
        .context = crew,
        .on_peers = s_count_peers,
        .on_welcome = s_count_welcome,
        .on_told = s_note_told,
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
    RMT_OK(rmt_socket_send(broker, packet->route, msg, false, &error));
}

// Answer beats until a message of this kind comes, or for some time.
static bool
s_tend(zsock_t *broker, rmt_msg_kind_t kind, rmt_packet_t *packet, int wait_ms)
{
    const int64_t until = rmt_clock_ms() + wait_ms;
    while (rmt_clock_ms() < until) {
        rmt_packet_t next = {0};
        if (farm_receive(broker, &next, 50) != 1)
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
    assert_int_equal(rmt_records_count(packet.msg->items), 4);
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

// M24: whoever stands in front of a machine sees each phase, were they at one time.
static void
test_each_phase_is_told_however_short_it_was(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "add@x", 1);
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    s_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    s_stop_crew(&crew);
    assert_string_equal(crew.told, "add;check;result;");
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
    rmt_auto_str address = farm_address(farm->workers);
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

// Both are under way before one is answered, and both come again on another link.
static void
test_m12_a_task_asks_again_before_it_was_answered(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    s_start_crew(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    s_welcome(farm->workers, &packet);
    s_order(farm->workers, &packet, "ask-both@x", 1);
    uint64_t sequences[2];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            s_expect(farm->workers, RMT_MSG_REQUEST, &packet);
            assert_string_equal(packet.msg->verb, i ? "second" : "first");
            assert_true(round == 0 || packet.msg->sequence == sequences[i]);
            sequences[i] = packet.msg->sequence;
        }
        if (round == 0) {
            s_forget(farm->workers, &packet);
            s_welcome(farm->workers, &packet);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
        reply->sequence = sequences[i];
        rmt_record_set(rmt_msg_body(reply), "answer", i ? "two" : "one");
        s_answer(farm->workers, &packet, reply);
    }
    s_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_OK);
    assert_string_equal(rmt_record_text(packet.msg->body, "first", ""), "one");
    assert_string_equal(rmt_record_text(packet.msg->body, "second", ""), "two");
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

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_worker_offers_services_and_credit),
        CASE(test_a_result_is_sent_until_it_is_recorded),
        CASE(test_each_phase_is_told_however_short_it_was),
        CASE(test_a_failed_task_gives_code_and_text),
        CASE(test_a_cancelled_task_ends_with_its_error),
        CASE(test_a_higher_attempt_replaces_the_run),
        CASE(test_beats_name_the_tasks_in_hand),
        CASE(test_a_broker_that_comes_back_hears_the_task_in_hand),
        CASE(test_a_broker_without_memory_asks_for_hello),
        CASE(test_a_second_broker_takes_over),
        CASE(test_a_task_asks_and_hears_the_answer),
        CASE(test_m12_a_task_asks_again_before_it_was_answered),
        CASE(test_a_worker_that_is_terminated_cancels_and_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
