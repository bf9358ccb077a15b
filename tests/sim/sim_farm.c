#include "sim/sim_farm.h"

#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "broker/loop.h"
#include "crypto/rmt_id.h"
#include "sim/sim_net.h"
#include "sim/sim_work.h"
#include "sim/sim_wraps.h"

#define PORT_BASE 7700
#define REPORT_AGAIN (5 * SIM_S)
#define BOOT_TIME (60 * SIM_S)
#define GREETED_TIME (40 * SIM_S) // From the start of a program to WELCOME, at most
#define ADMIN_FILE "admin.pub"

typedef struct {
    sim_process_t *process;
    rmt_settings_t settings;
    rmt_broker_t *broker;
    char host[8], state_name[16], audit_name[16];
    char state[256]; // The state file, which survives
} post_t;

static const struct {
    const char *name, *role, *place;
} s_names[SIM_NODES] = {
    {"imager-1", "imager", "hq"},
    {"imager-2", "imager", "hq"},
    {"installer-1", "installer", "lab"},
    {"installer-2", "installer", "lab2"},
    {"web", "source", "hq"},
    {"t1", "target", "lab"},
    {"t2", "target", "lab"},
    {"t3", "target", "lab2"},
};

static struct {
    post_t posts[SIM_BROKERS];
    sim_node_t nodes[SIM_NODES];
    sim_machine_t machines[SIM_TARGETS];
    char admin_key[RMT_USER_SIZE];
} s_farm;

// ---- Keys, files

// 40 hexadecimal digits are Z85 too.
static void
s_key_of(const char *name, char out[RMT_USER_SIZE])
{
    rmt_id_t id;
    char text[RMT_ID_TEXT_SIZE];
    rmt_id_compute(&id, name, strlen(name));
    snprintf(out, RMT_USER_SIZE, "%.40s", rmt_id_text(&id, text) + 2);
}

int
__wrap_rmt_key_new(rmt_key_t *key_out, rmt_error_t *error)
{
    (void) error;
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, sim_random());
    s_key_of(seed, key_out->public_text);
    memcpy(key_out->secret_text, key_out->public_text, sizeof key_out->secret_text);
    return 0;
}

int
__wrap_rmt_signals_read(int fd)
{
    (void) fd;
    return 0;
}

char *
__wrap_rmt_inventory_own_identity(void)
{
    return NULL;
}

static post_t *
s_post_of_file(const char *path)
{
    for (size_t i = 0; i < SIM_BROKERS; i++)
        if (streq(s_farm.posts[i].state_name, path))
            return &s_farm.posts[i];
    return NULL;
}

int
__wrap_rmt_io_load(const char *path, size_t limit, void **data_out, size_t *size_out,
                   rmt_error_t *error)
{
    (void) limit;
    const post_t *post = s_post_of_file(path);
    assert(post);
    if (!*post->state)
        return rmt_fail(error, RMT_E_NOT_FOUND, "no state file");
    *data_out = strdup(post->state);
    *size_out = strlen(post->state);
    return 0;
}

int
__wrap_rmt_guarded_load(const rmt_guarded_t *file, char **text_out, size_t *size_out,
                        rmt_error_t *error)
{
    (void) file;
    (void) error;
    *text_out = rmt_text("public-key = \"%s\"\n", s_farm.admin_key);
    *size_out = strlen(*text_out);
    return 0;
}

int
__wrap_rmt_io_save(const char *path, const void *data, size_t size, mode_t mode,
                   rmt_error_t *error)
{
    (void) mode;
    (void) error;
    post_t *post = s_post_of_file(path);
    assert(post && size < sizeof post->state);
    memcpy(post->state, data, size);
    post->state[size] = '\0';
    return 0;
}

// ---- Brokers

static void
s_broker_start(sim_process_t *process)
{
    post_t *post = process->body;
    rmt_error_t error = {0};
    post->broker = rmt_broker_new(&post->settings, &error);
    if (!post->broker)
        fprintf(stderr, "a broker does not start: %s\n", error.text);
    assert(post->broker);
}

static void
s_broker_end(sim_process_t *process)
{
    rmt_broker_destroy(&((post_t *) process->body)->broker);
}

static long
s_broker_turn(sim_process_t *process)
{
    return rmt_broker_turn(((post_t *) process->body)->broker);
}

static void
s_add_broker(size_t index)
{
    static const char *const admins[] = {ADMIN_FILE, NULL};
    post_t *post = &s_farm.posts[index];
    *post = (post_t){0};
    snprintf(post->host, sizeof post->host, "b%zu", index);
    snprintf(post->state_name, sizeof post->state_name, "b%zu.state", index);
    snprintf(post->audit_name, sizeof post->audit_name, "b%zu.audit", index);
    post->settings = (rmt_settings_t){.host = post->host,
                                      .port = PORT_BASE,
                                      .state_file = post->state_name,
                                      .audit_folder = post->audit_name,
                                      .admins = admins,
                                      .redis = {.address = "redis", .timeout_ms = 5000},
                                      .beat_ms = 3000,
                                      .lease_ms = 15000,
                                      .grace_ms = 20000,
                                      .scan_ms = 2000,
                                      .stuck_s = 60,
                                      .silent_s = 120,
                                      .broker_wait_s = 30};
    s_key_of("broker", post->settings.own.public_text);
    post->process =
        sim_process_new(post->host, s_broker_turn, s_broker_start, s_broker_end, post);
    sim_process_start(post->process);
}

// ---- Workers and agents

static void
s_addresses(const sim_node_t *node, char addresses[SIM_BROKERS][64],
            const char *list[SIM_BROKERS + 1])
{
    const bool is_agent = streq(node->role, "source") || streq(node->role, "target");
    for (size_t i = 0; i < SIM_BROKERS; i++) {
        snprintf(addresses[i], 64, "b%zu:%d", i,
                 PORT_BASE + (is_agent ? RMT_PORT_AGENTS : RMT_PORT_WORKERS));
        list[i] = addresses[i];
    }
    list[SIM_BROKERS] = NULL;
}

// A new life of a target's agent is told before the result that it came with.
static void
s_on_told(void *context, const rmt_msg_t *msg)
{
    const sim_node_t *node = context;
    if (!node->machine || msg->kind != RMT_MSG_RESULT)
        return;
    uint8_t nonce[RMT_UID_SIZE];
    rmt_gate_life(node->machine->gate, nonce);
    rmt_worker_renew(node->worker, nonce);
}

static void
s_start_worker(sim_node_t *node)
{
    char addresses[SIM_BROKERS][64];
    const char *brokers[SIM_BROKERS + 1];
    s_addresses(node, addresses, brokers);
    rmt_key_t own = {0};
    memcpy(own.public_text, node->key, sizeof own.public_text);
    rmt_error_t error = {0};
    const rmt_service_t *services = sim_work_services(node);
    size_t count = 0;
    while (services[count].service)
        count++;
    uint8_t nonce[RMT_UID_SIZE];
    for (size_t i = 0; i < RMT_UID_SIZE; i++)
        nonce[i] = (uint8_t) sim_random();
    if (node->machine)
        node->machine->gate = rmt_gate_new(nonce);
    const rmt_worker_config_t config = {.brokers = brokers,
                                        .own = &own,
                                        .broker_key =
                                            s_farm.posts[0].settings.own.public_text,
                                        .role = node->role,
                                        .name = node->name,
                                        .nonce = nonce,
                                        .services = services,
                                        .service_count = count,
                                        .context = node,
                                        .on_told = s_on_told};
    node->worker = rmt_worker_new(&config, &error);
    assert(node->worker);
}

// ---- The agent of the first boot

static rmt_msg_t *
s_make_hello(void *context)
{
    const sim_node_t *node = context;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_HELLO);
    msg->version_min = msg->version_max = RMT_WIRE_VERSION;
    rmt_msg_text(&msg->role, "firstboot");
    rmt_msg_text(&msg->name, node->name);
    msg->body = rmt_record_new();
    msg->items = rmt_records_new();
    msg->hand = rmt_records_new();
    return msg;
}

static rmt_msg_t *
s_make_beat(void *context)
{
    (void) context;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_BEAT);
    msg->items = rmt_records_new();
    return msg;
}

static void
s_start_boot(sim_node_t *node)
{
    char addresses[SIM_BROKERS][64];
    const char *brokers[SIM_BROKERS + 1];
    s_addresses(node, addresses, brokers);
    rmt_error_t error = {0};
    const rmt_peer_config_t config = {brokers,
                                      &node->machine->boot_key,
                                      s_farm.posts[0].settings.own.public_text,
                                      s_make_hello,
                                      s_make_beat,
                                      node};
    node->reported_at = 0;
    node->boot = rmt_peer_new(&config, &error);
    assert(node->boot);
}

static void
s_report(sim_node_t *node)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REQUEST);
    msg->sequence = 1;
    rmt_msg_text(&msg->verb, "target.confirm");
    rmt_record_set(rmt_msg_body(msg), "image", node->machine->image);
    rmt_record_set(msg->body, "boot", "b");
    msg->items = rmt_records_new();
    node->reported_at = sim_now();
    (void) rmt_peer_send(node->boot, msg, &error);
}

// It asks until it is told that its report was taken, or is awaited no longer.
static long
s_boot_turn(sim_node_t *node)
{
    rmt_msg_t *msg;
    bool is_done = false;
    while ((msg = rmt_peer_recv(node->boot))) {
        is_done = is_done || (msg->kind == RMT_MSG_REPLY &&
                              (msg->code == RMT_E_OK || msg->code == RMT_E_FENCED));
        rmt_msg_destroy(&msg);
    }
    const int wait_ms = rmt_peer_tick(node->boot);
    if (rmt_peer_is_welcome(node->boot) &&
        (!node->reported_at || sim_now() - node->reported_at > REPORT_AGAIN))
        s_report(node);
    return is_done ? -1 : wait_ms;
}

// ---- Nodes

static void
s_node_start(sim_process_t *process)
{
    sim_node_t *node = process->body;
    const sim_machine_t *machine = node->machine;
    node->runs_disk = machine && machine->boots_from_disk && machine->is_installed &&
                      !node->is_netbooted;
    node->is_netbooted = false;
    if (node->runs_disk)
        s_start_boot(node);
    else
        s_start_worker(node);
}

static void
s_node_end(sim_process_t *process)
{
    sim_node_t *node = process->body;
    const bool is_reboot = node->machine && !node->runs_disk;
    rmt_worker_destroy(&node->worker);
    rmt_peer_destroy(&node->boot);
    if (node->machine)
        rmt_gate_destroy(&node->machine->gate);
    if (is_reboot) // Its own wish or a loss of power
        sim_farm_restart(process, sim_between(SIM_S, 10 * SIM_S));
}

static long
s_node_turn(sim_process_t *process)
{
    sim_node_t *node = process->body;
    return node->boot ? s_boot_turn(node) : rmt_worker_turn(node->worker);
}

static void
s_on_restart(void *context, bool is_void)
{
    sim_process_t *process = context;
    if (!is_void && !process->is_up)
        sim_process_start(process);
}

void
sim_farm_restart(sim_process_t *process, int64_t delay)
{
    sim_after(delay, NULL, s_on_restart, process);
}

static void
s_on_netboot(void *context, bool is_void)
{
    sim_node_t *node = context;
    if (is_void)
        return;
    if (node->process->is_up)
        sim_process_kill(node->process);
    node->is_netbooted = true;
    sim_farm_restart(node->process, sim_between(SIM_S, 10 * SIM_S));
}

void
sim_farm_netboot(size_t node)
{
    sim_after(0, NULL, s_on_netboot, &s_farm.nodes[node]);
}

static void
s_add_node(size_t index)
{
    sim_node_t *node = &s_farm.nodes[index];
    *node = (sim_node_t){.name = s_names[index].name,
                         .role = s_names[index].role,
                         .place = s_names[index].place,
                         .index = index};
    s_key_of(node->name, node->key);
    if (streq(node->role, "target")) {
        node->machine = &s_farm.machines[index - (SIM_NODES - SIM_TARGETS)];
        *node->machine = (sim_machine_t){0};
    }
    node->process =
        sim_process_new(node->name, s_node_turn, s_node_start, s_node_end, node);
    sim_process_start(node->process);
}

// ---- Life

static void
s_call(sim_redis_t *redis, const char *function, const char *hash, rmt_record_t *body)
{
    rmt_auto(rmt_record) meta = rmt_record_new();
    rmt_record_set(meta, "by", "setup");
    rmt_record_set(meta, "hash", hash);
    const rmt_call_t call = {.function = function, .meta = meta, .body = body};
    rmt_auto(rmt_msg) reply = sim_redis_call(redis, sim_wall_ms() - 60000, &call);
    if (reply->code != RMT_E_OK)
        fprintf(stderr, "%s: %s\n", function, reply->text);
    assert(reply->code == RMT_E_OK);
}

static void
s_set_power(sim_redis_t *redis, const char *name)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "class", "target");
    rmt_record_set(body, "name", name);
    rmt_record_set(body, "power", "exec");
    s_call(redis, "record_set", name, body);
}

void
sim_farm_seed(sim_redis_t *redis)
{
    for (size_t i = 0; i < SIM_NODES; i++) {
        char key[RMT_USER_SIZE];
        s_key_of(s_names[i].name, key);
        rmt_auto(rmt_record) body = rmt_record_new();
        rmt_record_set(body, "role", s_names[i].role);
        rmt_record_set(body, "name", s_names[i].name);
        rmt_record_set(body, "place", s_names[i].place);
        rmt_record_set(body, "approve", "yes");
        s_call(redis, "key_token", s_names[i].name, body);
        rmt_record_set(body, "key", key);
        s_call(redis, "enrol", s_names[i].name, body);
        if (streq(s_names[i].role, "target"))
            s_set_power(redis, s_names[i].name);
    }
}

void
sim_farm_begin(sim_agent_bug_t bug, bool refuses)
{
    s_key_of("admin", s_farm.admin_key);
    sim_work_begin(s_farm.nodes, SIM_NODES, bug, refuses);
    for (size_t i = 0; i < SIM_BROKERS; i++)
        s_add_broker(i);
    for (size_t i = 0; i < SIM_NODES; i++)
        s_add_node(i);
}

void
sim_farm_end(void)
{
    for (size_t i = 0; i < SIM_NODES; i++)
        assert(!s_farm.nodes[i].worker && !s_farm.nodes[i].boot);
}

sim_process_t *
sim_farm_broker(size_t index)
{
    return s_farm.posts[index].process;
}

sim_process_t *
sim_farm_node(size_t index)
{
    return s_farm.nodes[index].process;
}

const char *
sim_farm_role(size_t node)
{
    return s_names[node].role;
}

bool
sim_farm_is_expected(const sim_process_t *process)
{
    const sim_node_t *node = process->body;
    return process->is_up && !node->runs_disk &&
           sim_now() - process->started_at > GREETED_TIME;
}

bool
sim_farm_is_gone(const sim_process_t *process, int64_t time)
{
    return !process->is_up && sim_now() - process->ended_at > time;
}

void
sim_farm_wake_machines(bool by_hand)
{
    for (size_t i = 0; i < SIM_NODES; i++) {
        sim_node_t *node = &s_farm.nodes[i];
        const int64_t age = sim_now() - node->process->started_at;
        if (by_hand && node->runs_disk && age > BOOT_TIME)
            sim_process_kill(node->process); // Its report is not heard
        if (!node->machine || node->process->is_up ||
            (node->machine->boots_from_disk && !by_hand))
            continue;
        node->is_netbooted = by_hand;
        sim_process_start(node->process);
    }
}

const char *
sim_farm_audit_folder(size_t broker)
{
    return s_farm.posts[broker].audit_name;
}

const char *
sim_farm_admin_key(void)
{
    return s_farm.admin_key;
}

void
sim_farm_console_address(size_t broker, char out[64])
{
    snprintf(out, 64, "b%zu:%d", broker, PORT_BASE + RMT_PORT_CONSOLE);
}
