#include "integration/worker_crew.h"

#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_clock.h"

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
        rmt_wait_turn();
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
    crew->ends += msg->kind == RMT_MSG_RESULT;
    if (msg->kind == RMT_MSG_RESULT && crew->life)
        rmt_worker_renew(crew->worker, crew->life);
    const size_t used = strlen(crew->told);
    snprintf(crew->told + used, sizeof crew->told - used, "%s;",
             msg->kind == RMT_MSG_RESULT   ? "result"
             : msg->kind == RMT_MSG_NOTICE ? msg->text
                                           : msg->phase);
    rmt_pause(50, "the next ones come together");
}

static void *
s_run_worker(void *argument)
{
    rmt_error_t error = {0};
    crew_t *crew = argument;
    crew->rc = rmt_worker_run(crew->worker, &error);
    return NULL;
}

void
crew_start(crew_t *crew, const farm_t *farm, zsock_t *other)
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

void
crew_stop(crew_t *crew)
{
    rmt_worker_stop(crew->worker);
    pthread_join(crew->thread, NULL);
    assert_int_equal(crew->rc, 0);
    rmt_worker_destroy(&crew->worker);
}

void
crew_answer(zsock_t *broker, rmt_packet_t *packet, rmt_msg_t *msg)
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
            crew_answer(broker, packet, beat);
        }
    }
    return false;
}

void
crew_expect(zsock_t *broker, rmt_msg_kind_t kind, rmt_packet_t *packet)
{
    if (!s_tend(broker, kind, packet, WAIT_MS * 2))
        fail_msg("no %s came", rmt_msg_kind_name(kind));
}

void
crew_forget(zsock_t *broker, rmt_packet_t *packet)
{
    // A peer that said HELLO just now is not believed to need another.
    assert_false(s_tend(broker, RMT_MSG_HELLO, packet, 700));
    rmt_auto(rmt_msg) refused = rmt_msg_new(RMT_MSG_REFUSED);
    refused->code = RMT_E_NOT_FOUND;
    crew_answer(broker, packet, refused);
}

void
crew_welcome(zsock_t *broker, rmt_packet_t *packet)
{
    crew_expect(broker, RMT_MSG_HELLO, packet);
    rmt_auto(rmt_msg) welcome = rmt_msg_new(RMT_MSG_WELCOME);
    welcome->version = RMT_WIRE_VERSION;
    welcome->era = 7;
    welcome->beat_ms = CREW_BEAT_MS;
    crew_answer(broker, packet, welcome);
}

rmt_msg_t *
crew_make_task(const char *service, uint8_t number, uint32_t attempt)
{
    rmt_msg_t *task = rmt_msg_new(RMT_MSG_TASK);
    memset(task->task, number, RMT_UID_SIZE);
    memset(task->job, 9, RMT_UID_SIZE);
    task->attempt = attempt;
    rmt_msg_text(&task->service, service);
    rmt_msg_body(task);
    return task;
}

void
crew_order(zsock_t *broker, rmt_packet_t *packet, const char *service, uint32_t attempt)
{
    rmt_auto(rmt_msg) task = crew_make_task(service, 1, attempt);
    crew_answer(broker, packet, task);
}

void
crew_record(zsock_t *broker, rmt_packet_t *packet)
{
    rmt_auto(rmt_msg) recorded = rmt_msg_new(RMT_MSG_RECORDED);
    memcpy(recorded->task, packet->msg->task, RMT_UID_SIZE);
    recorded->attempt = packet->msg->attempt;
    crew_answer(broker, packet, recorded);
}
