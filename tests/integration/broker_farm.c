#include "integration/broker_farm.h"

#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "crypto/rmt_id.h"
#include "net/rmt_enrol.h"

uint16_t
broker_free_ports(void)
{
    for (;;) {
        uint16_t base;
        rmt_random_bytes(&base, sizeof base);
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

pid_t
broker_spawn(const broker_farm_t *farm, const char *name)
{
    rmt_auto_str program = rmt_text("%s/ramet-broker", getenv("RAMET_BIN"));
    rmt_auto_str config = rmt_text("%s/%s.cfg", farm->redis.dir, name);
    char *argv[] = {program, "-v", "-c", config, NULL};
    return spawn_program(farm->redis.dir, name, argv);
}

void
broker_start(broker_farm_t *farm)
{
    farm->broker = broker_spawn(farm, "broker");
}

void
broker_configure(const broker_farm_t *farm, const char *name, unsigned scan_ms)
{
    rmt_error_t error = {0};
    const char *dir = farm->redis.dir;
    rmt_auto_str path = rmt_text("%s/%s.cfg", dir, name);
    rmt_auto_str config =
        rmt_text("listen = \"127.0.0.1\"\nport = %u\nkey = \"%s/broker.key\"\n"
                 "redis = \"%s\"\nadmins = \"%s/admin.pub\"\nstate = \"%s/%s.state\"\n"
                 "beat-ms = 300\nlease-ms = 1500\ngrace-ms = 1500\n"
                 "scan-ms = %u\nstuck-s = 1\nmute-s = 2\nhandshake-ms = 2000\n",
                 farm->port, dir, farm->redis.socket, dir, dir, name, scan_ms);
    RMT_OK(rmt_io_save(path, config, strlen(config), 0600, &error));
}

rmt_client_t *
broker_client(const broker_farm_t *farm, const rmt_key_t *key)
{
    rmt_error_t error = {0};
    rmt_auto_str broker = rmt_text("127.0.0.1:%d", farm->port + RMT_PORT_CONSOLE);
    const char *const brokers[] = {broker, NULL};
    rmt_client_t *client = rmt_client_new(brokers, key, farm->broker_key.public_text,
                                          BROKER_WAIT_MS, &error);
    RMT_OK(client);
    return client;
}

int
broker_farm_open(void **state)
{
    broker_farm_t *farm = zmalloc(sizeof *farm);
    rmt_error_t error = {0};
    redis_server_new(&farm->redis);
    farm->port = broker_free_ports();
    const char *dir = farm->redis.dir;
    rmt_auto_str key_path = rmt_text("%s/broker.key", dir);
    rmt_auto_str admin_path = rmt_text("%s/admin.pub", dir);
    RMT_OK(rmt_key_new(&farm->broker_key, &error));
    RMT_OK(rmt_key_new(&farm->admin, &error));
    RMT_OK(rmt_key_save(&farm->broker_key, key_path, &error));
    RMT_OK(rmt_key_save_public(&farm->admin, admin_path, &error));
    broker_configure(farm, "broker", 200);
    broker_start(farm);
    farm->client = broker_client(farm, &farm->admin);
    rmt_auto(rmt_msg) jobs = broker_need(farm, "job.list", "", ""); // It has Redis now
    *state = farm;
    return 0;
}

int
broker_farm_close(void **state)
{
    broker_farm_t *farm = *state;
    rmt_client_destroy(&farm->client);
    const int status = end_program(&farm->broker, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    redis_server_destroy(&farm->redis);
    free(farm);
    return 0;
}

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

rmt_msg_t *
broker_ask(rmt_client_t *client, const char *verb, const char *body_text,
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

rmt_msg_t *
broker_need(broker_farm_t *farm, const char *verb, const char *body, const char *items)
{
    rmt_error_t error = {0};
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    rmt_msg_t *reply;
    while (!(reply = broker_ask(farm->client, verb, body, items, NULL, &error)) &&
           error.code == RMT_E_UNAVAILABLE && rmt_clock_ms() < limit)
        rmt_wait_turn(); // Redis is away, or has just come
    if (!reply)
        fail_msg("%s: %s (%s/broker.log)", verb, error.text, farm->redis.dir);
    return reply;
}

rmt_key_t
broker_enrol(broker_farm_t *farm, const char *role, const char *name, const char *place)
{
    rmt_error_t error = {0};
    rmt_auto_str want = rmt_text("role=%s name=%s%s%s approve=yes", role, name,
                                 *place ? " place=" : "", place);
    rmt_auto(rmt_msg) token = broker_need(farm, "key.token", want, "");
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
                                       .timeout_ms = BROKER_WAIT_MS};
    rmt_auto(rmt_record) answer = NULL;
    if (rmt_enrol(&config, &answer, &error) == -1)
        fail_msg("enrol %s: %s", name, error.text);
    assert_string_equal(rmt_record_text(answer, "name", ""), name);
    return key;
}

rmt_msg_t *
broker_await_job(broker_farm_t *farm, const char *job, const char *state)
{
    rmt_auto_str body = rmt_text("job=%s", job);
    const int64_t limit = rmt_clock_ms() + BROKER_WAIT_MS;
    for (;;) {
        rmt_error_t error = {0};
        rmt_auto(rmt_msg) reply =
            broker_ask(farm->client, "job.show", body, "", NULL, &error);
        if (reply && streq(rmt_record_text(reply->body, "state", ""), state))
            return rmt_take(&reply);
        if (rmt_clock_ms() > limit)
            fail_msg("job is %s at %s, not %s: %s (%s/broker.log)",
                     reply ? rmt_record_text(reply->body, "state", "?") : error.text,
                     reply ? rmt_record_text(reply->body, "stage", "?") : "", state,
                     reply ? rmt_record_text(reply->body, "error", "") : "",
                     farm->redis.dir);
        rmt_wait_turn();
    }
}

static void *
s_work(void *argument)
{
    hand_t *hand = argument;
    rmt_error_t error = {0};
    (void) rmt_worker_run(hand->worker, &error);
    return NULL;
}

static void
s_on_told(void *context, const rmt_msg_t *msg)
{
    hand_t *hand = context;
    hand->ends += msg->kind == RMT_MSG_RESULT;
}

hand_t *
hand_hire(broker_farm_t *farm, const char *role, const char *name, const rmt_key_t *key,
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
                                        .context = hand,
                                        .on_told = s_on_told};
    hand->folder = farm->redis.dir;
    hand->worker = rmt_worker_new(&config, &error);
    assert_non_null(hand->worker);
    assert_int_equal(pthread_create(&hand->thread, NULL, s_work, hand), 0);
    return hand;
}

void
hand_dismiss(hand_t **hand_p)
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
            return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
        rmt_task_tick(task);
        rmt_wait_turn();
    }
    return 0;
}

static int
s_run_capture(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    assert_string_equal(rmt_record_text(rmt_task_body(task), "place", ""), "hq");
    rmt_record_set(rmt_task_outputs(task), "descriptor", IMAGE);
    return 0;
}

int
hand_run_commit(rmt_task_t *task, void *context, rmt_error_t *error)
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

int
hand_run_plain(rmt_task_t *task, void *context, rmt_error_t *error)
{
    return s_begin(task, context, error);
}

int
hand_run_match(rmt_task_t *task, void *context, rmt_error_t *error)
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

int
hand_run_order(rmt_task_t *task, void *context, rmt_error_t *error)
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

int
hand_run_prepare(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set(outputs, "plan", "plan");
    rmt_record_set(outputs, "nonce", "nonce");
    rmt_record_set(outputs, "key", ((hand_t *) context)->first_key);
    return 0;
}

int
hand_run_write(rmt_task_t *task, void *context, rmt_error_t *error)
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

int
hand_run_netboot(rmt_task_t *task, void *context, rmt_error_t *error)
{
    if (s_begin(task, context, error) == -1)
        return -1;
    const rmt_record_t *body = rmt_task_body(task);
    if (rmt_task_epoch(task) == 0 || !rmt_record_has(body, "record") ||
        !streq(rmt_record_text(body, "target", ""), "t1"))
        return rmt_fail(error, RMT_E_PROTOCOL, "no epoch, record or target");
    return 0;
}

hand_t *
hand_hire_imager(broker_farm_t *farm)
{
    const rmt_key_t key = broker_enrol(farm, "imager", "imager-1", "hq");
    const rmt_service_t services[] = {{"commit@hq", 2, hand_run_commit},
                                      {"package@hq", 2, hand_run_plain}};
    return hand_hire(farm, "imager", "imager-1", &key, services, 2);
}

hand_t *
hand_hire_source(broker_farm_t *farm)
{
    const rmt_key_t key = broker_enrol(farm, "source", "web", "hq");
    const rmt_service_t services[] = {{"capture@source/web", 1, s_run_capture}};
    return hand_hire(farm, "source", "web", &key, services, 1);
}

char *
broker_submit(broker_farm_t *farm, const uint8_t *idempotency)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) reply = broker_ask(farm->client, "image.create",
                                         "source=web name=img", "", idempotency, &error);
    if (!reply)
        fail_msg("image.create: %s", error.text);
    return strdup(rmt_record_text(reply->body, "job", ""));
}

void
hand_await_runs(const hand_t *hand, int runs)
{
    RMT_WAIT_UNTIL(hand->runs >= runs, BROKER_WAIT_MS);
}

void
broker_await_heard(broker_farm_t *farm, rmt_client_t *listener)
{
    rmt_error_t error = {0};
    for (int i = 0; i < 200; i++) {
        rmt_auto_str body = rmt_text("name=e%lld", (long long) rmt_clock_ms());
        rmt_auto(rmt_msg) added = broker_need(farm, "engine.add", body, "");
        rmt_auto(rmt_msg) event = rmt_client_next_event(listener, 100, &error);
        if (event)
            return;
    }
    fail_msg("no event was heard");
}

rmt_msg_t *
broker_hear(zsock_t *socket, int timeout_ms)
{
    rmt_error_t error = {0};
    rmt_packet_t packet = {0};
    zmq_pollitem_t item = {zsock_resolve(socket), 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, timeout_ms) != 1 ||
        rmt_socket_recv(socket, &packet, &error) != 1)
        return NULL;
    rmt_msg_t *msg = rmt_take(&packet.msg);
    rmt_packet_clear(&packet);
    return msg;
}

rmt_msg_t *
broker_say(zsock_t *socket, rmt_msg_t *msg, rmt_msg_kind_t awaited)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_socket_send(socket, NULL, msg, true, &error));
    const int64_t limit = rmt_clock_ms() + 5000;
    while (rmt_clock_ms() < limit) {
        rmt_auto(rmt_msg) got = broker_hear(socket, 100);
        if (got && got->kind == awaited)
            return rmt_take(&got);
    }
    fail_msg("no %s came", rmt_msg_kind_name(awaited));
    return NULL;
}

zsock_t *
broker_dial(const broker_farm_t *farm, const rmt_key_t *key, rmt_port_t port)
{
    rmt_error_t error = {0};
    rmt_auto_str endpoint = rmt_text("127.0.0.1:%d", farm->port + (int) port);
    zsock_t *socket = rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, endpoint, key,
                                     farm->broker_key.public_text, &error);
    RMT_OK(socket);
    return socket;
}

size_t
broker_count_in_log(const broker_farm_t *farm, const char *words)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/broker.log", farm->redis.dir);
    rmt_auto_ptr log = NULL;
    size_t size, count = 0;
    RMT_OK(rmt_io_load(path, (size_t) 64 << 20, &log, &size, &error));
    for (const char *at = log; (at = strstr(at, words)); at++)
        count++;
    return count;
}

void
broker_eval(const broker_farm_t *farm, const char *script, char *answer, size_t size)
{
    rmt_auto_str output = redis_server_eval(&farm->redis, script);
    snprintf(answer, size, "%.*s", (int) strcspn(output, "\n"), output);
}

rmt_msg_t *
broker_hello(const char *role, const char *name, const char *service)
{
    rmt_msg_t *hello = rmt_msg_new(RMT_MSG_HELLO);
    hello->version_min = hello->version_max = RMT_WIRE_VERSION;
    rmt_msg_text(&hello->role, role);
    rmt_msg_text(&hello->name, name);
    rmt_random_bytes(hello->nonce, sizeof hello->nonce);
    (void) rmt_msg_body(hello);
    hello->hand = rmt_records_new();
    if (*service)
        rmt_record_set(rmt_records_add(rmt_msg_items(hello)), "service", service);
    return hello;
}
