#include "sim/sim_work.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "sim/sim_check.h"

static struct {
    sim_node_t *nodes;
    size_t count;
    sim_agent_bug_t bug;
    bool refuses;
} s_work;

static int
s_soon(void)
{
    return (int) sim_between(200, 2000);
}

// True while a task has steps left; each shows its phase.
static bool
s_goes_on(rmt_task_t *task, const char *phase, int steps)
{
    const int step = sim_task_step(task);
    rmt_task_progress(task, phase, (uint64_t) step, (uint64_t) steps, NULL);
    return step < steps;
}

static sim_node_t *
s_node(const char *name)
{
    for (size_t i = 0; i < s_work.count; i++)
        if (streq(s_work.nodes[i].name, name))
            return &s_work.nodes[i];
    return NULL;
}

// ---- Imagers, installers, sources

static sim_node_t *
s_some_imager(void)
{
    const size_t first = sim_random() % s_work.count;
    for (size_t i = 0; i < s_work.count; i++) {
        sim_node_t *node = &s_work.nodes[(first + i) % s_work.count];
        if (streq(node->role, "imager") && node->process->is_up)
            return node;
    }
    return NULL;
}

// The stream ends with the imager that takes it.
static int
s_fail_cut(rmt_task_t *task, const sim_stream_t *stream, rmt_error_t *error)
{
    rmt_record_set(rmt_task_outputs(task), "cut", "yes");
    rmt_record_set_u64(rmt_task_outputs(task), "sent", stream->sent);
    return rmt_fail(error, RMT_E_UNAVAILABLE, "the connection was lost");
}

static void
s_find_imager(sim_stream_t *stream)
{
    const sim_node_t *node = s_some_imager();
    stream->imager = node ? node->process : NULL;
    stream->life = node ? node->process->life : 0;
}

static int
s_capture(rmt_task_t *task, void *context, rmt_error_t *error)
{
    sim_stream_t *stream = &((sim_node_t *) context)->stream;
    if (sim_task_step(task) == 0)
        *stream = (sim_stream_t){0};
    rmt_task_tick(task);
    if (!stream->imager)
        s_find_imager(stream);
    if (!stream->imager && sim_task_step(task) < 60)
        return 1000;
    if (!stream->imager || !stream->imager->is_up || stream->imager->life != stream->life)
        return s_fail_cut(task, stream, error);
    if (stream->sent < 6) {
        rmt_task_progress(task, "capture", ++stream->sent, 6, NULL);
        return s_soon();
    }
    const char *name = rmt_record_text(rmt_task_body(task), "image-name", "");
    rmt_id_t id;
    char text[RMT_ID_TEXT_SIZE];
    rmt_id_compute(&id, name, strlen(name));
    rmt_record_set(rmt_task_outputs(task), "descriptor", rmt_id_text(&id, text));
    return 0;
}

static int
s_commit(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    (void) error;
    if (s_goes_on(task, "commit", 2))
        return s_soon();
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set(outputs, "image",
                   rmt_record_text(rmt_task_body(task), "descriptor", ""));
    rmt_record_set(outputs, "state", "COMPLETE");
    rmt_record_set(outputs, "hardware", "facts");
    return 0;
}

static int
s_plain(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    (void) error;
    return s_goes_on(task, "work", 2) ? s_soon() : 0;
}

// Those of the engine.
static size_t
s_put_verdicts(rmt_task_t *task, const char *engine)
{
    size_t count = 0;
    char job[33];
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_record_set(body, "job", rmt_uid_text(rmt_task_job(task), job));
    rmt_record_set(body, "engine", engine);
    for (size_t i = 0; i < s_work.count; i++) {
        if (!s_work.nodes[i].machine || !streq(s_work.nodes[i].place, engine))
            continue;
        count++;
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "target", s_work.nodes[i].name);
        rmt_record_set(item, "fits", "yes");
        rmt_record_set(item, "choice", "disks");
    }
    if (sim_task_step(task) == 0)
        sim_task_ask(task, "verdict.put", body, items);
    return count;
}

static int
s_match(rmt_task_t *task, void *context, rmt_error_t *error)
{
    const rmt_msg_t *reply = sim_task_reply(task);
    rmt_task_tick(task);
    const size_t count = s_put_verdicts(task, ((sim_node_t *) context)->place);
    if (!reply)
        return sim_task_step(task) < 60 ? 1000
                                        : rmt_fail(error, RMT_E_UNAVAILABLE, "no reply");
    if (reply->code != RMT_E_OK)
        return rmt_fail(error, rmt_code_from(reply->code), "%s", reply->text);
    rmt_record_set_u64(rmt_task_outputs(task), "total", count);
    rmt_record_set_u64(rmt_task_outputs(task), "fits", count);
    return 0;
}

static int
s_order(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    (void) error;
    if (s_goes_on(task, "order", 1))
        return s_soon();
    const rmt_record_t *body = rmt_task_body(task);
    sim_node_t *node = s_node(rmt_record_text(body, "target", ""));
    node->machine->boots_from_disk = false;
    rmt_record_set(rmt_task_outputs(task), "order", rmt_record_text(body, "image", ""));
    return 0;
}

static int
s_netboot(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    (void) error;
    if (s_goes_on(task, "netboot", 1))
        return s_soon();
    sim_node_t *node = s_node(rmt_record_text(rmt_task_body(task), "target", ""));
    node->machine->boots_from_disk = true;
    return 0;
}

static int
s_wake(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    const rmt_record_t *body = rmt_task_body(task);
    if (rmt_record_flag(body, "present"))
        return 0;
    if (s_goes_on(task, "power", 2))
        return s_soon();
    if (sim_chance(50))
        return rmt_fail(error, RMT_E_UNAVAILABLE, "its BMC does not answer");
    sim_farm_netboot(s_node(rmt_record_text(body, "target", ""))->index);
    return 0;
}

// ---- Targets

static const char *
s_order_of(const rmt_task_t *task)
{
    return rmt_record_text(rmt_task_body(task), "order", "");
}

static int
s_prepare(rmt_task_t *task, void *context, rmt_error_t *error)
{
    sim_machine_t *machine = ((sim_node_t *) context)->machine;
    if (s_goes_on(task, "prepare", 1))
        return s_soon();
    rmt_gate_plan_t plan;
    char text[RMT_ID_TEXT_SIZE], nonce[33];
    const char *order = s_order_of(task);
    if (rmt_gate_prepare(machine->gate, order, strlen(order), &plan, error) == -1)
        return -1;
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set(outputs, "plan", rmt_id_text(&plan.plan, text));
    rmt_record_set(outputs, "nonce", rmt_uid_text(plan.nonce, nonce));
    rmt_record_set(outputs, "key", plan.key.public_text);
    return 0;
}

static bool
s_fits_none(const sim_node_t *node)
{
    return s_work.refuses && node->index == s_work.count - 1;
}

static int
s_check_go(rmt_task_t *task, const sim_node_t *node, rmt_error_t *error)
{
    sim_machine_t *machine = node->machine;
    const rmt_record_t *body = rmt_task_body(task);
    const char *order = s_order_of(task);
    const rmt_go_t go = {
        .order = order,
        .size = strlen(order),
        .plan = rmt_record_text(body, "plan", ""),
        .nonce = s_fits_none(node) ? "" : rmt_record_text(body, "nonce", ""),
        .fence = {rmt_task_era(task), rmt_task_epoch(task), rmt_task_attempt(task)}};
    rmt_gate_plan_t plan;
    if (s_work.bug != SIM_BUG_NO_GATE)
        return rmt_gate_go(machine->gate, &go, &machine->boot_key, error);
    if (rmt_gate_prepare(machine->gate, order, strlen(order), &plan, error) == -1)
        return -1;
    machine->boot_key = plan.key;
    return 0;
}

// As in the agent: no writer lives, so a new life begins.
static void
s_on_write_end(void *context)
{
    sim_node_t *node = context;
    sim_check_let_go(node->index);
    if (s_work.bug != SIM_BUG_NO_NEW_LIFE)
        rmt_gate_renew(node->machine->gate);
}

static int
s_write(rmt_task_t *task, void *context, rmt_error_t *error)
{
    sim_node_t *node = context;
    sim_machine_t *machine = node->machine;
    const sim_fence_t fence = {rmt_task_era(task), rmt_task_epoch(task),
                               rmt_task_attempt(task)};
    if (sim_task_step(task) == 0) {
        if (s_check_go(task, node, error) == -1)
            return -1;
        if (s_fits_none(node))
            sim_check_fail("%s is written, and no GO fits it", node->name);
        sim_check_go(node->index, node->name, &fence);
        sim_task_on_end(task, s_on_write_end, node);
        machine->is_installed = false;
    }
    sim_check_write(node->index, &fence);
    if (s_goes_on(task, "unpack", 8))
        return s_soon();
    machine->is_installed = true;
    sim_check_written(node->index, &fence);
    snprintf(machine->image, sizeof machine->image, "%s", s_order_of(task));
    return 0;
}

static int
s_reboot(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) task;
    (void) error;
    rmt_worker_stop(((sim_node_t *) context)->worker);
    return 0;
}

// ---- The table

typedef struct {
    const char *role, *verb;
    uint32_t slots;
    rmt_task_fn *run;
} row_t;

static const row_t s_rows[] = {
    {"imager", "commit", 2, s_commit},   {"imager", "package", 1, s_plain},
    {"installer", "match", 1, s_match},  {"installer", "build", 1, s_plain},
    {"installer", "order", 2, s_order},  {"installer", "netboot", 1, s_netboot},
    {"installer", "wake", 4, s_wake},    {"source", "capture", 1, s_capture},
    {"target", "prepare", 1, s_prepare}, {"target", "write", 1, s_write},
    {"target", "reboot", 1, s_reboot},
};
#define ROWS (sizeof s_rows / sizeof *s_rows)

const rmt_service_t *
sim_work_services(const sim_node_t *node)
{
    static rmt_service_t services[ROWS + 1];
    static char names[ROWS][64];
    size_t count = 0;
    const bool is_own = streq(node->role, "source") || streq(node->role, "target");
    for (size_t i = 0; i < ROWS; i++) {
        if (!streq(s_rows[i].role, node->role))
            continue;
        if (is_own)
            snprintf(names[count], sizeof names[count], "%s@%s/%s", s_rows[i].verb,
                     node->role, node->name);
        else
            snprintf(names[count], sizeof names[count], "%s@%s", s_rows[i].verb,
                     node->place);
        services[count] = (rmt_service_t){names[count], s_rows[i].slots, s_rows[i].run};
        count++;
    }
    services[count] = (rmt_service_t){0};
    return services;
}

void
sim_work_begin(sim_node_t *nodes, size_t count, sim_agent_bug_t bug, bool refuses)
{
    s_work.refuses = refuses;
    s_work.nodes = nodes;
    s_work.count = count;
    s_work.bug = bug;
}
