// The doors of a real broker: who may ask for what, and what is refused.
#include "integration/broker_farm.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

// P18: each refused act is counted.
static void
test_a_viewer_reads_and_does_not_submit(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = broker_enrol(farm, "viewer", "eve", "");
    rmt_auto(rmt_client) viewer = broker_client(farm, &key);
    rmt_auto(rmt_msg) list = broker_ask(viewer, "source.list", "", "", NULL, &error);
    RMT_OK(list);
    static const char *const refused[] = {"image.create", "source.add",
                                          "key.list",     "lock.break",
                                          "verdict.put",  "target.confirm"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        rmt_auto(rmt_msg) reply =
            broker_ask(viewer, refused[i], "source=web", "", NULL, &error);
        RMT_FAILS(reply, RMT_E_NOT_ALLOWED);
    }
    rmt_auto(rmt_msg) unknown = broker_ask(viewer, "make.coffee", "", "", NULL, &error);
    RMT_FAILS(unknown, RMT_E_UNSUPPORTED);
    rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(status->body, "era", ""), "1");
    assert_string_equal(rmt_record_text(status->body, "refused", ""), "6");
}

// At the door, for clients that are no console.
static void
test_m12_a_policy_that_means_nothing_makes_no_job(void **state)
{
    broker_farm_t *farm = *state;
    static const struct {
        const char *verb, *body, *words;
    } rows[] = {
        {"deploy.plan", "image=web-1 engines=lab policy=cpu=foo",
         "the rules of cpu are exact, family, ignore"},
        {"deploy.start", "image=web-1 engines=lab policy=fan=exact",
         "this component does not exist; write one of cpu, "},
        {"engine.add", "name=e1 policy=usb=family", "the rules of usb are exact, ignore"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_msg) none =
            broker_ask(farm->client, rows[i].verb, rows[i].body, "", NULL, &error);
        RMT_FAILS(none, RMT_E_USAGE);
        if (!strstr(error.text, rows[i].words))
            fail_msg("%s: %s", rows[i].verb, error.text);
    }
    rmt_auto(rmt_msg) jobs = broker_need(farm, "job.list", "", "");
    assert_int_equal(rmt_records_count(jobs->items), 0);
}

static uint64_t
s_refused_handshakes(broker_farm_t *farm)
{
    rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
    return rmt_record_u64(status->body, "handshakes-refused", 0);
}

// P18: it never comes to the broker.
static void
test_an_unknown_key_is_counted_and_logged(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_key_t stranger;
    RMT_OK(rmt_key_new(&stranger, &error));
    rmt_auto(zsock) socket = broker_dial(farm, &stranger, RMT_PORT_CONSOLE);
    RMT_WAIT_UNTIL(s_refused_handshakes(farm) > 0, BROKER_WAIT_MS);
    rmt_auto_str path = rmt_text("%s/broker.log", farm->redis.dir);
    rmt_auto_ptr log = NULL;
    size_t size;
    RMT_OK(rmt_io_load(path, 1 << 20, &log, &size, &error));
    assert_non_null(memmem(log, size, "event=handshake.refused", 23));
}

// [1.17] P18: role, place and machine are those of the key.
static void
test_a_key_offers_its_own_services_only(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    static const struct {
        const char *role, *service;
    } rows[] = {
        {"source", "write@target/t1"},
        {"source", "capture@source/other"},
        {"source", "commit@hq"},
        {"target", "prepare@target/web"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_msg) hello = broker_hello(rows[i].role, "web", rows[i].service);
        rmt_auto(rmt_msg) refused = broker_say(socket, hello, RMT_MSG_REFUSED);
        assert_int_equal(refused->code, RMT_E_NOT_ALLOWED);
    }
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    rmt_auto(rmt_msg) unknown = broker_say(socket, beat, RMT_MSG_REFUSED);
    assert_int_equal(unknown->code, RMT_E_NOT_FOUND); // HELLO first
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "capture@source/web");
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    assert_int_equal(welcome->era, 1);
}

static bool
s_is_offered(broker_farm_t *farm, const char *service)
{
    rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
    return status->items && rmt_records_find(status->items, "service", service);
}

// [1.17] M31: of a later version.
static void
test_a_service_of_a_later_version_is_left_out(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "web", "capture@source/web");
    rmt_record_t *later = rmt_records_add(hello->items);
    rmt_record_set(later, "service", "polish@source/web");
    rmt_record_set(later, "slots", "1");
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    assert_int_equal(welcome->era, 1);
    RMT_WAIT_UNTIL(s_is_offered(farm, "capture@source/web"), BROKER_WAIT_MS);
    assert_false(s_is_offered(farm, "polish@source/web"));
}

// The task that a worker has of a job. Caller owns the result (free).
static char *
s_taken_task(broker_farm_t *farm, const char *job)
{
    rmt_auto_str want = rmt_text("job=%s", job);
    for (;;) {
        rmt_auto(rmt_msg) logs = broker_need(farm, "job.logs", want, "");
        const rmt_record_t *taken = rmt_records_find(logs->items, "what", "task.taken");
        if (taken)
            return strdup(rmt_record_text(taken, "task", ""));
    }
}

static uint64_t
s_refused(broker_farm_t *farm)
{
    rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
    return rmt_record_u64(status->body, "refused", 0);
}

// A message of this kind about the first attempt of a task.
static rmt_msg_t *
s_about(const char *task, rmt_msg_kind_t kind)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = kind == RMT_MSG_HELLO
                                ? broker_hello("source", "evil", "capture@source/evil")
                                : rmt_msg_new(kind);
    rmt_record_t *item = NULL;
    if (kind == RMT_MSG_HELLO)
        item = rmt_records_add(msg->hand);
    else if (kind == RMT_MSG_BEAT)
        item = rmt_records_add(rmt_msg_items(msg));
    if (item) {
        rmt_record_set(item, "task", task);
        rmt_record_set(item, "attempt", "1");
        return rmt_take(&msg);
    }
    RMT_OK(rmt_uid_parse(msg->task, task, &error));
    msg->attempt = 1;
    rmt_msg_text(&msg->phase, kind == RMT_MSG_PROGRESS ? "forged" : "");
    rmt_record_set(rmt_msg_body(msg), "descriptor", "forged");
    return rmt_take(&msg);
}

// [1.2] T7: the key counts, not what a message says; each try is audited with the key,
// and the phases of the owner are shown as before.
static void
test_nobody_speaks_of_the_task_of_another_agent(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    hand_t *source = hand_hire_source(farm);
    source->is_held = 1;
    rmt_auto_str job = broker_submit(farm, NULL);
    hand_await_runs(source, 1);
    rmt_auto_str task = s_taken_task(farm, job);
    const rmt_key_t key = broker_enrol(farm, "source", "evil", "hq");
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("source", "evil", "capture@source/evil");
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    static const rmt_msg_kind_t kinds[] = {RMT_MSG_RESULT, RMT_MSG_PROGRESS, RMT_MSG_BEAT,
                                           RMT_MSG_HELLO};
    uint64_t refused = s_refused(farm);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        rmt_auto(rmt_msg) forged = s_about(task, kinds[i]);
        RMT_OK(rmt_socket_send(socket, NULL, forged, true, &error));
        RMT_WAIT_UNTIL(s_refused(farm) == refused + 1, BROKER_WAIT_MS);
        refused++;
    }
    rmt_auto(rmt_msg) put = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&put->verb, "finding.put");
    rmt_record_set(rmt_msg_body(put), "task", task);
    rmt_record_set(put->body, "attempt", "1");
    rmt_auto(rmt_msg) not_put = broker_say(socket, put, RMT_MSG_REPLY);
    assert_int_equal(not_put->code, RMT_E_NOT_ALLOWED);
    rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, "holders");
    rmt_record_set(rmt_msg_body(request), "place", "hq");
    rmt_record_set(rmt_msg_body(request), "service", "receive");
    rmt_auto(rmt_msg) reply = broker_say(socket, request, RMT_MSG_REPLY);
    assert_int_equal(reply->code, RMT_E_NOT_ALLOWED);
    assert_int_equal(s_refused(farm), refused + 2);
    rmt_auto(rmt_msg) show = broker_await_job(farm, job, "running");
    assert_string_equal(rmt_record_text(show->body, "stage", ""), "capture");
    assert_string_equal(rmt_record_text(show->body, "phase", ""), "working");
    assert_string_equal(rmt_record_text(show->body, "done", ""), "1"); // By its flight
    source->is_held = 0;
    RMT_WAIT_UNTIL(source->ends == 1, BROKER_WAIT_MS);
    hand_dismiss(&source);
}

// The next PEERS that has an item of this op for the key; false when none comes in time.
static bool
s_hear_peer(zsock_t *holder, const char *op, const char *key, int timeout_ms)
{
    const int64_t limit = rmt_clock_ms() + timeout_ms;
    while (rmt_clock_ms() < limit) {
        rmt_auto(rmt_msg) msg = broker_hear(holder, 100);
        const rmt_record_t *item = msg && msg->kind == RMT_MSG_PEERS
                                       ? rmt_records_find(msg->items, "key", key)
                                       : NULL;
        if (item && rmt_record_is(item, "op", op))
            return true;
    }
    return false;
}

// P19 T5: the grants of a key end with it. A holder that is connected hears so within 2
// s, and one that restarts hears so with its WELCOME and gets no grant of it.
static void
test_grants_end_with_their_key(void **state)
{
    broker_farm_t *farm = *state;
    const rmt_key_t imager = broker_enrol(farm, "imager", "imager-1", "hq");
    rmt_auto(zsock) holder = broker_dial(farm, &imager, RMT_PORT_WORKERS);
    rmt_auto(rmt_msg) hello = broker_hello("imager", "imager-1", "receive@hq");
    rmt_record_set(rmt_msg_body(hello), "port", "7");
    rmt_auto(rmt_msg) welcome = broker_say(holder, hello, RMT_MSG_WELCOME);
    const rmt_key_t source = broker_enrol(farm, "source", "web", "hq");
    const char *key = source.public_text;
    rmt_auto(zsock) socket = broker_dial(farm, &source, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) greeting = broker_hello("source", "web", "capture@source/web");
    rmt_auto(rmt_msg) greeted = broker_say(socket, greeting, RMT_MSG_WELCOME);
    free(broker_submit(farm, NULL));
    rmt_auto(rmt_msg) credit = rmt_msg_new(RMT_MSG_CREDIT);
    rmt_msg_text(&credit->service, "capture@source/web");
    credit->slots = 1;
    rmt_auto(rmt_msg) task = broker_say(socket, credit, RMT_MSG_TASK);
    rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, "holders");
    rmt_record_set(rmt_msg_body(request), "place", "hq");
    rmt_record_set(rmt_msg_body(request), "service", "receive");
    rmt_auto(rmt_msg) let_in = broker_say(socket, request, RMT_MSG_REPLY);
    assert_int_equal(let_in->code, RMT_E_OK);
    assert_true(s_hear_peer(holder, "add", key, 5000));
    rmt_auto(rmt_msg) gone = broker_need(farm, "key.revoke", "name=web", "");
    assert_true(s_hear_peer(holder, "drop", key, 2000));
    rmt_auto(rmt_msg) told = broker_hear(socket, 2000);
    assert_non_null(told);
    assert_int_equal(told->kind, RMT_MSG_REFUSED);
    zsock_destroy(&holder);
    holder = broker_dial(farm, &imager, RMT_PORT_WORKERS);
    rmt_auto(rmt_msg) again = broker_say(holder, hello, RMT_MSG_WELCOME);
    assert_true(s_hear_peer(holder, "drop", key, 5000));
    assert_false(s_hear_peer(holder, "add", key, 300));
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_m12_a_policy_that_means_nothing_makes_no_job),
        CASE(test_an_unknown_key_is_counted_and_logged),
        CASE(test_a_viewer_reads_and_does_not_submit),
        CASE(test_a_key_offers_its_own_services_only),
        CASE(test_a_service_of_a_later_version_is_left_out),
        CASE(test_nobody_speaks_of_the_task_of_another_agent),
        CASE(test_grants_end_with_their_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
