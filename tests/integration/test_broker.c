// A real broker over a real Redis, with workers and agents of the test's own.
#include <signal.h>
#include <string.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "tools/rmt_test.h"
#include "integration/redis_server.h"
#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"
#include "net/rmt_client.h"
#include "base/rmt_clock.h"
#include "net/rmt_enrol.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "net/rmt_socket.h"
#include "net/rmt_worker.h"

#define WAIT_MS 20000

typedef struct {
    redis_server_t redis;
    pid_t broker;
    uint16_t port;
    rmt_key_t broker_key, admin;
    rmt_client_t *client;
} farm_t;

// ---- The farm

static uint16_t
s_free_ports(void)
{
    for (;;) {
        uint16_t base;
        rmt_random(&base, sizeof base);
        base = (uint16_t) (20000 + base % 10000);
        bool is_free = true;
        for (int i = 0; i < 5 && is_free; i++) {
            struct sockaddr_in address = {.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t) (base + i)),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            const int fd = socket(AF_INET, SOCK_STREAM, 0);
            is_free = bind(fd, (struct sockaddr *) &address, sizeof address) == 0;
            close(fd);
        }
        if (is_free)
            return base;
    }
}

static pid_t
s_spawn_broker(const farm_t *farm, const char *name)
{
    rmt_auto_str program = rmt_text("%s/ramet-broker", getenv("RAMET_BIN"));
    rmt_auto_str config = rmt_text("%s/%s.cfg", farm->redis.dir, name);
    char *argv[] = {program, "-v", "-c", config, NULL};
    return spawn_program(farm->redis.dir, name, argv);
}

static void
s_start_broker(farm_t *farm)
{
    farm->broker = s_spawn_broker(farm, "broker");
}

// Broker NAME at farm->port, which looks for what it was not told of every scan_ms.
static void
s_configure(const farm_t *farm, const char *name, unsigned scan_ms)
{
    rmt_error_t error = {0};
    const char *dir = farm->redis.dir;
    rmt_auto_str path = rmt_text("%s/%s.cfg", dir, name);
    rmt_auto_str config =
        rmt_text("listen = \"127.0.0.1\"\nport = %u\nkey = \"%s/broker.key\"\n"
                 "redis = \"%s\"\nadmins = \"%s/admin.pub\"\nstate = \"%s/%s.state\"\n"
                 "beat-ms = 300\nlease-ms = 1500\ngrace-ms = 1500\n"
                 "scan-ms = %u\nstuck-s = 1\n",
                 farm->port, dir, farm->redis.socket, dir, dir, name, scan_ms);
    RMT_OK(rmt_io_save(path, config, strlen(config), 0600, &error));
}

static rmt_client_t *
s_client(const farm_t *farm, const rmt_key_t *key)
{
    rmt_error_t error = {0};
    rmt_auto_str broker = rmt_text("127.0.0.1:%d", farm->port + RMT_PORT_CONSOLE);
    const char *const brokers[] = {broker, NULL};
    rmt_client_t *client =
        rmt_client_new(brokers, key, farm->broker_key.public_text, WAIT_MS, &error);
    RMT_OK(client);
    return client;
}

static int
s_setup(void **state)
{
    farm_t *farm = zmalloc(sizeof *farm);
    rmt_error_t error = {0};
    redis_server_new(&farm->redis);
    farm->port = s_free_ports();
    const char *dir = farm->redis.dir;
    rmt_auto_str key_path = rmt_text("%s/broker.key", dir);
    rmt_auto_str admin_path = rmt_text("%s/admin.pub", dir);
    RMT_OK(rmt_key_new(&farm->broker_key, &error));
    RMT_OK(rmt_key_new(&farm->admin, &error));
    RMT_OK(rmt_key_save(&farm->broker_key, key_path, &error));
    RMT_OK(rmt_key_save_public(&farm->admin, admin_path, &error));
    s_configure(farm, "broker", 200);
    s_start_broker(farm);
    farm->client = s_client(farm, &farm->admin);
    *state = farm;
    return 0;
}

static int
s_teardown(void **state)
{
    farm_t *farm = *state;
    rmt_client_destroy(&farm->client);
    const int status = end_program(&farm->broker, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    redis_server_destroy(&farm->redis);
    free(farm);
    return 0;
}

// ---- Requests

// "name=value name=value" and items parted by "|".
static void
s_fill(rmt_record_t *record, const char *text)
{
    rmt_auto_str copy = strdup(text);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        rmt_record_set(record, word, value);
    }
}

// NULL, and the code in error, when it was refused.
static rmt_msg_t *
s_ask(rmt_client_t *client, const char *verb, const char *body_text,
      const char *items_text, const uint8_t *idempotency, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) items = rmt_records_new();
    s_fill(body, body_text);
    rmt_auto_str copy = strdup(items_text);
    char *rest = NULL;
    for (char *part = strtok_r(copy, "|", &rest); part; part = strtok_r(NULL, "|", &rest))
        s_fill(rmt_records_add(items), part);
    const rmt_request_t request = {
        .verb = verb, .body = body, .items = items, .idempotency = idempotency};
    return rmt_client_request(client, &request, error);
}

static rmt_msg_t *
s_need(farm_t *farm, const char *verb, const char *body, const char *items)
{
    rmt_error_t error = {0};
    const int64_t limit = rmt_clock_ms() + WAIT_MS;
    rmt_msg_t *reply;
    while (!(reply = s_ask(farm->client, verb, body, items, NULL, &error)) &&
           error.code == RMT_E_UNAVAILABLE && rmt_clock_ms() < limit)
        zclock_sleep(50); // Redis is away, or has just come
    if (!reply)
        fail_msg("%s: %s (%s/broker.log)", verb, error.text, farm->redis.dir);
    return reply;
}

// Make a key of this role known. place may be empty.
static rmt_key_t
s_enrol(farm_t *farm, const char *role, const char *name, const char *place)
{
    rmt_error_t error = {0};
    rmt_auto_str want = rmt_text("role=%s name=%s%s%s approve=yes", role, name,
                                 *place ? " place=" : "", place);
    rmt_auto(rmt_msg) token = s_need(farm, "key.token", want, "");
    rmt_key_t key;
    RMT_OK(rmt_key_new(&key, &error));
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "role", role);
    rmt_record_set(body, "name", name);
    rmt_auto_str broker = rmt_text("127.0.0.1:%u", farm->port);
    const char *const brokers[] = {broker, NULL};
    const rmt_enrol_config_t config = {.brokers = brokers,
                                       .broker_key = farm->broker_key.public_text,
                                       .own = &key,
                                       .token = rmt_record_text(token->body, "token", ""),
                                       .body = body,
                                       .timeout_ms = WAIT_MS};
    rmt_auto(rmt_record) answer = NULL;
    if (rmt_enrol(&config, &answer, &error) == -1)
        fail_msg("enrol %s: %s", name, error.text);
    assert_string_equal(rmt_record_text(answer, "name", ""), name);
    return key;
}

// Wait until the job is in that state.
static rmt_msg_t *
s_wait_job(farm_t *farm, const char *job, const char *state)
{
    rmt_auto_str body = rmt_text("job=%s", job);
    const int64_t limit = rmt_clock_ms() + WAIT_MS;
    for (;;) {
        rmt_error_t error = {0};
        rmt_auto(rmt_msg) reply = s_ask(farm->client, "job.show", body, "", NULL, &error);
        if (reply && streq(rmt_record_text(reply->body, "state", ""), state))
            return rmt_take(&reply);
        if (rmt_clock_ms() > limit)
            fail_msg("job is %s at %s, not %s: %s (%s/broker.log)",
                     reply ? rmt_record_text(reply->body, "state", "?") : error.text,
                     reply ? rmt_record_text(reply->body, "stage", "?") : "", state,
                     reply ? rmt_record_text(reply->body, "error", "") : "",
                     farm->redis.dir);
        zclock_sleep(20);
    }
}

// ---- Workers

typedef struct {
    rmt_worker_t *worker;
    pthread_t thread;
    atomic_int runs;
    atomic_int is_held;    // Tasks wait while it is set
    const char *first_key; // What prepare hands out for the first boot
} hand_t;

static void *
s_work(void *argument)
{
    hand_t *hand = argument;
    rmt_error_t error = {0};
    (void) rmt_worker_run(hand->worker, &error);
    return NULL;
}

static hand_t *
s_hire(farm_t *farm, const char *role, const char *name, const rmt_key_t *key,
       const rmt_service_t *services, size_t count)
{
    const bool is_agent = streq(role, "source") || streq(role, "target");
    rmt_error_t error = {0};
    hand_t *hand = zmalloc(sizeof *hand);
    rmt_auto_str broker = rmt_text(
        "127.0.0.1:%d", farm->port + (is_agent ? RMT_PORT_AGENTS : RMT_PORT_WORKERS));
    const char *const brokers[] = {broker, NULL};
    const rmt_worker_config_t config = {.brokers = brokers,
                                        .own = key,
                                        .broker_key = farm->broker_key.public_text,
                                        .role = role,
                                        .name = name,
                                        .services = services,
                                        .service_count = count,
                                        .context = hand};
    hand->worker = rmt_worker_new(&config, &error);
    assert_non_null(hand->worker);
    assert_int_equal(pthread_create(&hand->thread, NULL, s_work, hand), 0);
    return hand;
}

static void
s_dismiss(hand_t **hand_p)
{
    rmt_worker_stop((*hand_p)->worker);
    pthread_join((*hand_p)->thread, NULL);
    rmt_worker_destroy(&(*hand_p)->worker);
    free(*hand_p);
    *hand_p = NULL;
}

static int
s_begin(rmt_task_t *task, hand_t *hand, rmt_error_t *error)
{
    hand->runs++;
    rmt_task_progress(task, "working", 1, 2, NULL);
    while (hand->is_held) {
        if (rmt_task_cancelled(task))
            return rmt_fail(error, RMT_E_CANCELLED, "cancelled");
        rmt_task_tick(task);
        zclock_sleep(10);
    }
    return 0;
}

#define IMAGE "01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static int
s_run_capture(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    assert_string_equal(rmt_record_text(rmt_task_body(task), "place", ""), "hq");
    rmt_record_set(rmt_task_outputs(task), "descriptor", IMAGE);
    return 0;
}

static int
s_run_commit(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set(outputs, "image",
                   rmt_record_text(rmt_task_body(task), "descriptor", ""));
    rmt_record_set(outputs, "state", "COMPLETE");
    rmt_record_set(outputs, "hardware", "facts");
    return 0;
}

static int
s_run_plain(rmt_task_t *task, void *context, rmt_error_t *error)
{
    return s_begin(task, context, error);
}

static int
s_run_match(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    char job[33];
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "engine", "lab");
    rmt_auto(rmt_msg) targets = rmt_task_request(task, "target.page", body, NULL, error);
    if (!targets)
        return -1;
    rmt_auto(rmt_records) items = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(targets->items); i++) {
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "target",
                       rmt_record_text(rmt_records_at(targets->items, i), "name", ""));
        rmt_record_set(item, "fits", "yes");
        rmt_record_set(item, "choice", "disks");
    }
    rmt_record_set(body, "job", rmt_uid_text(rmt_task_job(task), job));
    rmt_auto(rmt_msg) put = rmt_task_request(task, "verdict.put", body, items, error);
    return put ? 0 : -1;
}

static int
s_run_order(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    const rmt_record_t *body = rmt_task_body(task);
    if (!rmt_record_has(body, "record") ||
        !streq(rmt_record_text(body, "choice", ""), "disks"))
        return rmt_fail(error, RMT_E_PROTOCOL, "no record or no choice");
    rmt_record_set(rmt_task_outputs(task), "order", "the order");
    return 0;
}

static int
s_run_prepare(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set(outputs, "plan", "plan");
    rmt_record_set(outputs, "nonce", "nonce");
    rmt_record_set(outputs, "key", ((hand_t *) context)->first_key);
    return 0;
}

static int
s_run_write(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    const rmt_record_t *body = rmt_task_body(task);
    if (rmt_task_epoch(task) == 0 ||
        !streq(rmt_record_text(body, "order", ""), "the order") ||
        !streq(rmt_record_text(body, "plan", ""), "plan"))
        return rmt_fail(error, RMT_E_PROTOCOL, "no epoch, order or plan");
    return 0;
}

static int
s_run_netboot(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    const rmt_record_t *body = rmt_task_body(task);
    if (rmt_task_epoch(task) == 0 || !rmt_record_has(body, "record") ||
        !streq(rmt_record_text(body, "target", ""), "t1"))
        return rmt_fail(error, RMT_E_PROTOCOL, "no epoch, record or target");
    return 0;
}

static hand_t *
s_hire_imager(farm_t *farm)
{
    const rmt_key_t key = s_enrol(farm, "imager", "imager-1", "hq");
    const rmt_service_t services[] = {{"commit@hq", 2, s_run_commit},
                                      {"package@hq", 2, s_run_plain}};
    return s_hire(farm, "imager", "imager-1", &key, services, 2);
}

static hand_t *
s_hire_source(farm_t *farm)
{
    const rmt_key_t key = s_enrol(farm, "source", "web", "hq");
    const rmt_service_t services[] = {{"capture@source/web", 1, s_run_capture}};
    return s_hire(farm, "source", "web", &key, services, 1);
}

// Submit an image job. Caller owns the uid (free).
static char *
s_submit(farm_t *farm, const uint8_t *idempotency)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) reply = s_ask(farm->client, "image.create", "source=web name=img",
                                    "", idempotency, &error);
    if (!reply)
        fail_msg("image.create: %s", error.text);
    return strdup(rmt_record_text(reply->body, "job", ""));
}

static void
s_wait_runs(const hand_t *hand, int runs)
{
    const int64_t limit = rmt_clock_ms() + WAIT_MS;
    while (hand->runs < runs && rmt_clock_ms() < limit)
        zclock_sleep(5);
    assert_true(hand->runs >= runs);
}

// Events before the connection stands are not heard: make some until one is.
static void
s_wait_heard(farm_t *farm, rmt_client_t *listener)
{
    rmt_error_t error = {0};
    for (int i = 0; i < 200; i++) {
        rmt_auto_str body = rmt_text("name=e%d", i);
        rmt_auto(rmt_msg) added = s_need(farm, "engine.add", body, "");
        rmt_auto(rmt_msg) event = rmt_client_next_event(listener, 100, &error);
        if (event)
            return;
    }
    fail_msg("no event was heard");
}

// ---- Cases

static void
test_an_image_job_runs_once_and_is_told(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_client) listener = s_client(farm, &farm->admin);
    RMT_OK(rmt_client_subscribe(listener, "", &error));
    s_wait_heard(farm, listener);
    hand_t *imager = s_hire_imager(farm), *source = s_hire_source(farm);
    uint8_t idempotency[RMT_UID_SIZE];
    rmt_random(idempotency, sizeof idempotency);
    rmt_auto_str job = s_submit(farm, idempotency);
    rmt_auto_str again = s_submit(farm, idempotency);
    assert_string_equal(job, again);
    rmt_auto(rmt_msg) done = s_wait_job(farm, job, "done");
    assert_int_equal(source->runs, 1);
    assert_int_equal(imager->runs, 1);
    rmt_auto(rmt_msg) image = s_need(farm, "image.show", "name=img", "");
    assert_string_equal(rmt_record_text(image->body, "id", ""), IMAGE);
    assert_string_equal(rmt_record_text(image->body, "hardware", ""), "facts");
    rmt_auto_str topic = rmt_text("job/%s/state", job);
    bool is_told = false;
    while (!is_told) {
        rmt_auto(rmt_msg) event = rmt_client_next_event(listener, WAIT_MS, &error);
        RMT_OK(event);
        is_told = streq(event->topic, topic) &&
                  streq(rmt_record_text(event->body, "state", ""), "done");
    }
    s_dismiss(&imager);
    s_dismiss(&source);
}

static void
test_a_viewer_reads_and_does_not_submit(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = s_enrol(farm, "viewer", "eve", "");
    rmt_auto(rmt_client) viewer = s_client(farm, &key);
    rmt_auto(rmt_msg) list = s_ask(viewer, "source.list", "", "", NULL, &error);
    RMT_OK(list);
    static const char *const refused[] = {"image.create", "source.add",
                                          "key.list",     "lock.break",
                                          "verdict.put",  "target.confirm"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        rmt_auto(rmt_msg) reply =
            s_ask(viewer, refused[i], "source=web", "", NULL, &error);
        RMT_FAILS(reply, RMT_E_NOT_ALLOWED);
    }
    rmt_auto(rmt_msg) unknown = s_ask(viewer, "make.coffee", "", "", NULL, &error);
    RMT_FAILS(unknown, RMT_E_UNSUPPORTED);
    rmt_auto(rmt_msg) status = s_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(status->body, "era", ""), "1");
    assert_string_equal(rmt_record_text(status->body, "refused", ""), "6");
}

// Speak to the broker without the library's good manners.
static rmt_msg_t *
s_say(zsock_t *socket, rmt_msg_t *msg, rmt_msg_kind_t awaited)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_socket_send(socket, NULL, msg, true, &error));
    const int64_t limit = rmt_clock_ms() + 5000;
    while (rmt_clock_ms() < limit) {
        rmt_packet_t packet = {0};
        if (rmt_socket_recv(socket, &packet, &error) != 1) {
            zclock_sleep(5);
            continue;
        }
        rmt_auto(rmt_msg) got = rmt_take(&packet.msg);
        rmt_packet_clear(&packet);
        if (got->kind == awaited)
            return rmt_take(&got);
    }
    fail_msg("no %s came", rmt_msg_kind_name(awaited));
    return NULL;
}

static zsock_t *
s_dial(const farm_t *farm, const rmt_key_t *key, rmt_port_t port)
{
    rmt_error_t error = {0};
    rmt_auto_str endpoint = rmt_text("127.0.0.1:%d", farm->port + (int) port);
    zsock_t *socket = rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, endpoint, key,
                                     farm->broker_key.public_text, &error);
    RMT_OK(socket);
    return socket;
}

static rmt_msg_t *
s_hello(const char *role, const char *name, const char *service)
{
    rmt_msg_t *hello = rmt_msg_new(RMT_MSG_HELLO);
    hello->version_min = hello->version_max = RMT_WIRE_VERSION;
    rmt_msg_text(&hello->role, role);
    rmt_msg_text(&hello->name, name);
    rmt_random(hello->nonce, sizeof hello->nonce);
    (void) rmt_msg_body(hello);
    hello->hand = rmt_records_new();
    if (*service)
        rmt_record_set(rmt_records_add(rmt_msg_items(hello)), "service", service);
    return hello;
}

// At the door, for clients that are no console.
static void
test_m12_a_policy_that_means_nothing_makes_no_job(void **state)
{
    farm_t *farm = *state;
    static const struct {
        const char *verb, *body, *words;
    } rows[] = {
        {"deploy.plan", "image=web-1 engines=lab policy=cpu=foo",
         "cpu is one of exact, family, ignore"},
        {"deploy.start", "image=web-1 engines=lab policy=fan=exact",
         "there is no such component; say one of cpu, "},
        {"engine.add", "name=e1 policy=usb=family", "usb is one of exact, ignore"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_msg) none =
            s_ask(farm->client, rows[i].verb, rows[i].body, "", NULL, &error);
        RMT_FAILS(none, RMT_E_USAGE);
        if (!strstr(error.text, rows[i].words))
            fail_msg("%s: %s", rows[i].verb, error.text);
    }
    rmt_auto(rmt_msg) jobs = s_need(farm, "job.list", "", "");
    assert_int_equal(rmt_records_count(jobs->items), 0);
}

static void
test_an_unknown_key_is_counted_and_logged(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_key_t stranger;
    RMT_OK(rmt_key_new(&stranger, &error));
    rmt_auto(zsock) socket = s_dial(farm, &stranger, RMT_PORT_CONSOLE);
    const int64_t limit = rmt_clock_ms() + WAIT_MS;
    uint64_t count = 0;
    while (count == 0 && rmt_clock_ms() < limit) {
        rmt_auto(rmt_msg) status = s_need(farm, "farm.status", "", "");
        count = rmt_record_u64(status->body, "handshakes-refused", 0);
        zclock_sleep(50);
    }
    assert_true(count > 0);
    rmt_auto_str path = rmt_text("%s/broker.log", farm->redis.dir);
    rmt_auto_ptr log = NULL;
    size_t size;
    RMT_OK(rmt_io_load(path, 1 << 20, &log, &size, &error));
    assert_non_null(memmem(log, size, "event=handshake.refused", 23));
}

static void
test_a_key_offers_its_own_services_only(void **state)
{
    farm_t *farm = *state;
    const rmt_key_t key = s_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = s_dial(farm, &key, RMT_PORT_AGENTS);
    static const struct {
        const char *role, *service;
    } rows[] = {
        {"source", "write@target/t1"},
        {"source", "capture@source/other"},
        {"source", "commit@hq"},
        {"target", "prepare@target/web"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_msg) hello = s_hello(rows[i].role, "web", rows[i].service);
        rmt_auto(rmt_msg) refused = s_say(socket, hello, RMT_MSG_REFUSED);
        assert_int_equal(refused->code, RMT_E_NOT_ALLOWED);
    }
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    rmt_auto(rmt_msg) unknown = s_say(socket, beat, RMT_MSG_REFUSED);
    assert_int_equal(unknown->code, RMT_E_NOT_FOUND); // HELLO first
    rmt_auto(rmt_msg) hello = s_hello("source", "web", "capture@source/web");
    rmt_auto(rmt_msg) welcome = s_say(socket, hello, RMT_MSG_WELCOME);
    assert_int_equal(welcome->era, 1);
}

static void
test_nobody_reports_for_another_agent(void **state)
{
    farm_t *farm = *state;
    hand_t *source = s_hire_source(farm);
    source->is_held = 1;
    rmt_auto_str job = s_submit(farm, NULL);
    s_wait_runs(source, 1);
    const rmt_key_t key = s_enrol(farm, "source", "evil", "hq");
    rmt_auto(zsock) socket = s_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = s_hello("source", "evil", "capture@source/evil");
    rmt_auto(rmt_msg) welcome = s_say(socket, hello, RMT_MSG_WELCOME);
    rmt_auto(rmt_msg) logs = NULL;
    rmt_auto_str want = rmt_text("job=%s", job);
    rmt_auto_str task = NULL;
    while (!task) {
        rmt_msg_destroy(&logs);
        logs = s_need(farm, "job.logs", want, "");
        const rmt_record_t *taken = rmt_records_find(logs->items, "what", "task.taken");
        task = taken ? strdup(rmt_record_text(taken, "task", "")) : NULL;
    }
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) result = rmt_msg_new(RMT_MSG_RESULT);
    RMT_OK(rmt_uid_parse(result->task, task, &error));
    result->attempt = 1;
    rmt_record_set(rmt_msg_body(result), "descriptor", "forged");
    rmt_auto(rmt_msg) recorded = s_say(socket, result, RMT_MSG_RECORDED);
    assert_int_equal(recorded->code, RMT_E_FENCED);
    rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, "holders");
    rmt_record_set(rmt_msg_body(request), "place", "hq");
    rmt_record_set(rmt_msg_body(request), "service", "receive");
    rmt_auto(rmt_msg) reply = s_say(socket, request, RMT_MSG_REPLY);
    assert_int_equal(reply->code, RMT_E_NOT_ALLOWED);
    rmt_auto(rmt_msg) show = s_wait_job(farm, job, "running");
    assert_string_equal(rmt_record_text(show->body, "stage", ""), "capture");
    source->is_held = 0;
    s_dismiss(&source);
}

static void
test_a_revoked_key_is_refused_at_its_next_message(void **state)
{
    farm_t *farm = *state;
    const rmt_key_t key = s_enrol(farm, "source", "web", "hq");
    rmt_auto(zsock) socket = s_dial(farm, &key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = s_hello("source", "web", "capture@source/web");
    rmt_auto(rmt_msg) welcome = s_say(socket, hello, RMT_MSG_WELCOME);
    rmt_auto(rmt_msg) gone = s_need(farm, "key.revoke", "name=web", "");
    zclock_sleep(300); // The stream is read on at once; this is for a busy machine
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    rmt_auto(rmt_msg) refused = s_say(socket, beat, RMT_MSG_REFUSED);
    assert_int_equal(refused->code, RMT_E_NOT_ALLOWED);
}

// P1, P3: what was taken goes on over the death of the broker, and counts once.
static void
test_a_job_ends_once_though_the_broker_is_killed(void **state)
{
    farm_t *farm = *state;
    hand_t *imager = s_hire_imager(farm), *source = s_hire_source(farm);
    source->is_held = 1;
    rmt_auto_str job = s_submit(farm, NULL);
    s_wait_runs(source, 1);
    end_program(&farm->broker, SIGKILL);
    source->is_held = 0; // It ends while nobody hears it
    zclock_sleep(300);
    s_start_broker(farm);
    rmt_auto(rmt_msg) done = s_wait_job(farm, job, "done");
    assert_int_equal(source->runs, 1);
    assert_int_equal(imager->runs, 1);
    s_dismiss(&imager);
    s_dismiss(&source);
}

static void
test_a_job_ends_though_redis_is_killed(void **state)
{
    farm_t *farm = *state;
    hand_t *imager = s_hire_imager(farm), *source = s_hire_source(farm);
    source->is_held = 1;
    rmt_auto_str job = s_submit(farm, NULL);
    s_wait_runs(source, 1);
    redis_server_end(&farm->redis, SIGKILL);
    source->is_held = 0;
    zclock_sleep(300);
    redis_server_start(&farm->redis);
    rmt_auto(rmt_msg) done = s_wait_job(farm, job, "done");
    assert_int_equal(source->runs, 1);
    rmt_auto(rmt_msg) status = s_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(status->body, "era", ""), "1");
    s_dismiss(&imager);
    s_dismiss(&source);
}

static void
test_a_redis_that_lost_its_past_raises_the_era(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) before = s_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(before->body, "era", ""), "1");
    redis_server_end(&farm->redis, SIGKILL);
    rmt_auto_str past = rmt_text("%s/appendonlydir", farm->redis.dir);
    RMT_OK(rmt_io_remove_tree(past, &error));
    redis_server_start(&farm->redis);
    rmt_auto(rmt_msg) after = s_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(after->body, "era", ""), "2");
    end_program(&farm->broker, SIGKILL);
    s_start_broker(farm);
    rmt_auto(rmt_msg) again = s_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(again->body, "era", ""), "2");
}

static void
test_a_worker_that_leaves_gives_its_task_to_another(void **state)
{
    farm_t *farm = *state;
    hand_t *imager = s_hire_imager(farm), *source = s_hire_source(farm);
    imager->is_held = 1;
    rmt_auto_str job = s_submit(farm, NULL);
    s_wait_runs(imager, 1);
    s_dismiss(&imager);
    const rmt_key_t key = s_enrol(farm, "imager", "imager-2", "hq");
    const rmt_service_t services[] = {{"commit@hq", 1, s_run_commit}};
    hand_t *other = s_hire(farm, "imager", "imager-2", &key, services, 1);
    rmt_auto(rmt_msg) done = s_wait_job(farm, job, "done");
    assert_int_equal(other->runs, 1);
    s_dismiss(&other);
    s_dismiss(&source);
}

static void
s_wait_present(farm_t *farm, const char *verb, const char *body)
{
    const int64_t limit = rmt_clock_ms() + WAIT_MS;
    for (;;) {
        rmt_auto(rmt_msg) reply = s_need(farm, verb, body, "");
        if (streq(rmt_record_text(reply->body, "present", ""), "yes"))
            break;
        assert_true(rmt_clock_ms() < limit);
        zclock_sleep(20);
    }
    zclock_sleep(300); // It says what it can take after its greeting
}

// M26: a broker hears of tasks that another one has put; its own look for them is 9 s
// away.
static void
test_a_task_reaches_a_worker_of_another_broker_at_once(void **state)
{
    farm_t *farm = *state;
    const uint16_t first = farm->port;
    hand_t *imager = s_hire_imager(farm);
    farm->port = s_free_ports();
    s_configure(farm, "second", 10000);
    pid_t second = s_spawn_broker(farm, "second");
    hand_t *source = s_hire_source(farm);
    farm->port = first;
    s_wait_present(farm, "source.show", "name=web");
    const int64_t start = rmt_clock_ms();
    rmt_auto_str job = s_submit(farm, NULL);
    s_wait_runs(source, 1);
    assert_true(rmt_clock_ms() - start < 5000);
    rmt_auto(rmt_msg) done = s_wait_job(farm, job, "done");
    s_dismiss(&imager);
    s_dismiss(&source);
    const int status = end_program(&second, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_a_job_without_a_worker_says_so(void **state)
{
    farm_t *farm = *state;
    hand_t *imager = s_hire_imager(farm);
    rmt_auto(rmt_msg) added = s_need(farm, "source.add", "name=web place=hq", "");
    rmt_auto_str job = s_submit(farm, NULL);
    rmt_auto_str want = rmt_text("job=%s", job);
    bool is_stuck = false;
    for (int i = 0; i < 200 && !is_stuck; i++) {
        rmt_auto(rmt_msg) show = s_need(farm, "job.show", want, "");
        is_stuck = streq(rmt_record_text(show->body, "stuck", ""),
                         "no worker offers capture@source/web");
        zclock_sleep(50);
    }
    assert_true(is_stuck);
    s_dismiss(&imager);
}

static void
s_confirm(farm_t *farm, const rmt_key_t *key, const char *target)
{
    rmt_auto(zsock) socket = s_dial(farm, key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = s_hello("firstboot", target, "");
    rmt_auto(rmt_msg) welcome = s_say(socket, hello, RMT_MSG_WELCOME);
    rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, "target.confirm");
    rmt_record_set(rmt_msg_body(request), "image", IMAGE);
    rmt_record_set(rmt_msg_body(request), "boot", "b1");
    rmt_auto(rmt_msg) reply = s_say(socket, request, RMT_MSG_REPLY);
    assert_int_equal(reply->code, RMT_OK);
}

static void
test_a_deployment_goes_from_matching_to_the_first_boot(void **state)
{
    farm_t *farm = *state;
    hand_t *imager = s_hire_imager(farm), *source = s_hire_source(farm);
    rmt_auto_str image_job = s_submit(farm, NULL);
    rmt_auto(rmt_msg) image = s_wait_job(farm, image_job, "done");
    const rmt_key_t installer_key = s_enrol(farm, "installer", "installer-1", "lab");
    const rmt_service_t installs[] = {{"match@lab", 1, s_run_match},
                                      {"build@lab", 1, s_run_plain},
                                      {"order@lab", 2, s_run_order},
                                      {"netboot@lab", 1, s_run_netboot}};
    hand_t *installer =
        s_hire(farm, "installer", "installer-1", &installer_key, installs, 4);
    const rmt_key_t target_key = s_enrol(farm, "target", "t1", "lab");
    const rmt_service_t writes[] = {{"prepare@target/t1", 1, s_run_prepare},
                                    {"write@target/t1", 1, s_run_write},
                                    {"reboot@target/t1", 1, s_run_plain}};
    rmt_key_t first;
    rmt_error_t error = {0};
    RMT_OK(rmt_key_new(&first, &error));
    hand_t *target = s_hire(farm, "target", "t1", &target_key, writes, 3);
    target->first_key = first.public_text; // No task can come before the next request
    rmt_auto(rmt_msg) plan = s_need(farm, "deploy.plan", "image=img engines=lab", "");
    rmt_auto(rmt_msg) planned =
        s_wait_job(farm, rmt_record_text(plan->body, "job", ""), "done");
    rmt_auto(rmt_msg) start = s_need(
        farm, "deploy.start", "image=img engines=lab when-booted=yes", "target=t1");
    rmt_auto_str job = strdup(rmt_record_text(start->body, "job", ""));
    s_wait_runs(target, 3);
    rmt_auto_str want = rmt_text("job=%s", job);
    bool is_awaited = false;
    for (int i = 0; i < 400 && !is_awaited; i++) {
        rmt_auto(rmt_msg) show = s_need(farm, "job.show", want, "");
        is_awaited = streq(rmt_record_text(rmt_records_at(show->items, 0), "phase", ""),
                           "awaiting-first-boot");
        zclock_sleep(20);
    }
    assert_true(is_awaited);
    rmt_auto(rmt_msg) lock = s_need(farm, "lock.show", "target=t1", "");
    assert_string_equal(rmt_record_text(lock->body, "armed", ""), "yes");
    s_confirm(farm, &first, "t1");
    rmt_auto(rmt_msg) done = s_wait_job(farm, job, "done");
    rmt_auto(rmt_msg) locks = s_need(farm, "lock.list", "", "");
    assert_int_equal(rmt_records_count(locks->items), 0);
    hand_t *hands[] = {imager, source, installer, target};
    for (size_t i = 0; i < 4; i++)
        s_dismiss(&hands[i]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_an_image_job_runs_once_and_is_told),
        CASE(test_m12_a_policy_that_means_nothing_makes_no_job),
        CASE(test_an_unknown_key_is_counted_and_logged),
        CASE(test_a_viewer_reads_and_does_not_submit),
        CASE(test_a_key_offers_its_own_services_only),
        CASE(test_nobody_reports_for_another_agent),
        CASE(test_a_revoked_key_is_refused_at_its_next_message),
        CASE(test_a_job_ends_once_though_the_broker_is_killed),
        CASE(test_a_job_ends_though_redis_is_killed),
        CASE(test_a_redis_that_lost_its_past_raises_the_era),
        CASE(test_a_worker_that_leaves_gives_its_task_to_another),
        CASE(test_a_task_reaches_a_worker_of_another_broker_at_once),
        CASE(test_a_job_without_a_worker_says_so),
        CASE(test_a_deployment_goes_from_matching_to_the_first_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
