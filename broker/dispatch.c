#include "broker/dispatch.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"

#define BOOT_TIMEOUT_S 900
#define READY_MAX 200 // As many as job_view lists at once

typedef enum { ON_DRIVE, ON_OK, ON_FAIL, ON_RESULT } on_t;

typedef struct {
    const rmt_job_view_t *view;
    const rmt_result_t *result;
    rmt_records_t *ops;
} step_t;

// ---- Operations

static const char *
s_job(const step_t *step, const char *field)
{
    return rmt_record_text(step->view->job, field, "");
}

static uint64_t
s_job_number(const step_t *step, const char *field)
{
    return rmt_record_u64(step->view->job, field, 0);
}

static const char *
s_subject(const step_t *step)
{
    return rmt_record_text(step->view->task, "subject", "");
}

static rmt_record_t *
s_op(step_t *step, const char *name)
{
    rmt_record_t *op = rmt_records_add(step->ops);
    rmt_record_set(op, "op", name);
    return op;
}

// Enter a stage.
static rmt_record_t *
s_op_stage(step_t *step, const char *stage)
{
    rmt_record_t *op = s_op(step, "job");
    rmt_record_set(op, "set.stage", stage);
    rmt_record_set(op, "event", "begin");
    return op;
}

static void
s_op_end(step_t *step, const char *event, rmt_code_t code, const char *text)
{
    rmt_record_t *op = s_op(step, "job");
    rmt_record_set(op, "event", event);
    if (code != RMT_OK) {
        rmt_record_set_u64(op, "code", code);
        rmt_record_set(op, "text", text);
    }
}

// verb: the part of the service before "@".
static rmt_record_t *
s_op_task(step_t *step, const char *verb, const char *at, const char *subject)
{
    uint8_t id[RMT_UID_SIZE];
    char text[33];
    rmt_dispatch_task_id(s_job(step, "id"), verb, subject, id);
    rmt_record_t *op = s_op(step, "task");
    rmt_record_set(op, "task", rmt_uid_text(id, text));
    rmt_record_setf(op, "service", "%s@%s", verb, at);
    rmt_record_set(op, "stage", verb);
    rmt_record_set(op, "subject", subject);
    return op;
}

static void
s_copy(rmt_record_t *op, const char *to, const rmt_record_t *from, const char *field)
{
    size_t size = 0;
    const void *value = rmt_record_get(from, field, &size);
    if (value)
        rmt_record_put(op, to, value, size);
}

// For several fields, whose names get a prefix and a dot.
static void
s_copy_each(rmt_record_t *op, const char *prefix, const rmt_record_t *from,
            const char *const *fields)
{
    for (; *fields; fields++) {
        rmt_auto_str to = rmt_text("%s.%s", prefix, *fields);
        s_copy(op, to, from, *fields);
    }
}

static void
s_op_stop(step_t *step, const char *engine, rmt_code_t code, const char *text)
{
    rmt_record_t *op = s_op(step, "stop");
    rmt_record_set(op, "engine", engine);
    rmt_record_set_u64(op, "code", code);
    rmt_record_set(op, "text", text);
}

static void
s_op_failed(step_t *step, rmt_code_t code, const char *text)
{
    rmt_record_t *op = s_op(step, "failed");
    rmt_record_set(op, "target", s_subject(step));
    rmt_record_set_u64(op, "code", code);
    rmt_record_set(op, "text", text);
}

static rmt_record_t *
s_op_phase(step_t *step, const char *phase)
{
    rmt_record_t *op = s_op(step, "target");
    rmt_record_set(op, "target", s_subject(step));
    rmt_record_set(op, "phase", phase);
    return op;
}

#define S_COPY_EACH(op, prefix, from, ...)                                               \
    s_copy_each(op, prefix, from, (const char *const[]){__VA_ARGS__, NULL})

// ---- Actions of image jobs

static void
s_begin_capture(step_t *step)
{
    s_op_stage(step, "capture");
    rmt_auto_str at = rmt_text("source/%s", s_job(step, "source"));
    rmt_record_t *op = s_op_task(step, "capture", at, s_job(step, "source"));
    S_COPY_EACH(op, "b", step->view->job, "image-name", "place", "exclude", "paranoid");
}

// Have a descriptor made an image; from has its id.
static void
s_op_commit(step_t *step, const rmt_record_t *from)
{
    const char *at = s_job(step, "place");
    rmt_record_t *op = s_op_task(step, "commit", at, s_job(step, "image-name"));
    s_copy(op, "b.descriptor", from, "descriptor");
    S_COPY_EACH(op, "b", step->view->job, "image-name", "source");
}

static void
s_begin_commit(step_t *step)
{
    rmt_record_t *stage = s_op_stage(step, "commit");
    S_COPY_EACH(stage, "set", step->result->outputs, "files", "bytes", "sent", "cached",
                "read-from", "warning");
    s_op_commit(step, step->result->outputs);
}

static void
s_fail_job(step_t *step)
{
    s_op_end(step, "fail", step->result->code, step->result->text);
}

static void
s_end_image(step_t *step)
{
    const rmt_record_t *outputs = step->result->outputs;
    rmt_id_t id;
    rmt_error_t error = {0};
    if (rmt_id_parse(&id, rmt_record_text(outputs, "image", ""), &error) == -1) {
        s_op_end(step, "fail", RMT_E_PROTOCOL, "the commit gave no image id");
        return;
    }
    rmt_record_t *op = s_op(step, "image");
    s_copy(op, "set.name", step->view->job, "image-name");
    S_COPY_EACH(op, "set", step->view->job, "source", "place");
    s_copy(op, "set.id", outputs, "image");
    S_COPY_EACH(op, "set", outputs, "state", "files", "bytes", "volumes", "hardware",
                "layout", "kernel", "network-stack", "network-by-name");
    s_copy(s_op(step, "job"), "set.image", outputs, "image");
    s_op_end(step, "finish", RMT_OK, "");
}

static void
s_begin_import(step_t *step)
{
    s_op_stage(step, "commit");
    s_op_commit(step, step->view->job);
}

// ---- Actions of upkeep: one task, which is called like its job and gives counts

static void
s_begin_upkeep(step_t *step)
{
    const char *kind = s_job(step, "kind");
    s_op_stage(step, kind);
    rmt_record_t *op = s_op_task(step, kind, s_job(step, "at"), s_job(step, "at"));
    S_COPY_EACH(op, "b", step->view->job, "image", "image-name", "place", "deep", "rate",
                "again", "age-s", "ignore", "all", "exclude");
}

static void
s_end_upkeep(step_t *step)
{
    static const char *const copied[] = {
        "images",      "packs",   "chunks",        "bytes",
        "files",       "damaged", "missing",       "orphans",
        "quarantined", "rescued", "resumed",       "left-behind",
        "marked",      "revived", "removed",       "findings",
        "differences", "live",    "bytes-removed", "images-removed",
        "by-intent",   "keys",    "left-out",      NULL};
    rmt_record_t *op = s_op(step, "job");
    if (step->result->outputs)
        s_copy_each(op, "set", step->result->outputs, copied);
    if (step->result->code == RMT_OK)
        s_op_end(step, "finish", RMT_OK, "");
    else
        s_fail_job(step);
}

// ---- Actions of plan and deploy jobs

static size_t
s_each_word(const char *list, void (*each)(step_t *, const char *), step_t *step)
{
    rmt_auto_str copy = strdup(list);
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(copy, ", ", &rest); word;
         word = strtok_r(NULL, ", ", &rest)) {
        each(step, word);
        count++;
    }
    return count;
}

// An engine's own policy, as it was when the job was made, and behind it the one that
// was asked for, which wins.
static void
s_set_policy(step_t *step, rmt_record_t *op, const char *engine)
{
    const char *asked = s_job(step, "policy");
    const size_t size = strlen(engine);
    for (const char *line = s_job(step, "policies"); *line; line += strspn(line, "\n")) {
        const size_t length = strcspn(line, "\n");
        if (strncmp(line, engine, size) == 0 && line[size] == ' ') {
            rmt_record_setf(op, "b.policy", "%.*s,%s", (int) (length - size - 1),
                            line + size + 1, asked);
            return;
        }
        line += length;
    }
    if (*asked)
        rmt_record_set(op, "b.policy", asked);
}

static void
s_put_match(step_t *step, const char *engine)
{
    const rmt_record_t *image = step->view->image;
    rmt_record_t *op = s_op_task(step, "match", engine, engine);
    s_copy(op, "b.image", image, "id");
    s_copy(op, "b.image-name", image, "name");
    S_COPY_EACH(op, "b", image, "hardware", "layout", "kernel", "place", "network-stack",
                "network-by-name");
    s_copy(op, "b.explain", step->view->job, "explain");
    s_copy(op, "b.target", step->view->job, "only-target");
    s_set_policy(step, op, engine);
}

static void
s_begin_match(step_t *step)
{
    if (!step->view->image) {
        s_op_end(step, "fail", RMT_E_NOT_FOUND, "the image was removed");
        return;
    }
    rmt_record_t *op = s_op_stage(step, "match");
    const size_t count = s_each_word(s_job(step, "engines"), s_put_match, step);
    rmt_record_set_u64(op, "set.waiting", count);
}

// A join: every engine has answered, well or not.
static void
s_join_match(step_t *step)
{
    const bool is_ok = step->result->code == RMT_OK;
    const uint64_t failed = s_job_number(step, "match-failed") + (is_ok ? 0 : 1);
    const uint64_t waiting = s_job_number(step, "waiting");
    rmt_record_t *op = s_op(step, "job");
    rmt_record_set(op, "count.waiting", "-1");
    if (!is_ok) {
        rmt_record_set(op, "count.match-failed", "1");
        rmt_record_setf(op, "set.error", "%s: %s", s_subject(step), step->result->text);
    } else {
        rmt_record_set(op, "count.engine-count", "1");
        rmt_record_setf(op, "count.fits", "%" PRIu64,
                        rmt_record_u64(step->result->outputs, "fits", 0));
        rmt_record_setf(op, "count.matched", "%" PRIu64,
                        rmt_record_u64(step->result->outputs, "total", 0));
        rmt_record_setf(op, "count.available", "%" PRIu64,
                        rmt_record_u64(step->result->outputs, "available", 0));
    }
    if (waiting > 1)
        return;
    if (strcmp(s_job(step, "kind"), "plan") == 0) {
        const uint64_t good = s_job_number(step, "engine-count") + (is_ok ? 1 : 0);
        const char *event = failed == 0 ? "finish" : good > 0 ? "finish-in-part" : "fail";
        s_op_end(step, event, step->result->code, step->result->text);
    } else {
        s_op_stage(step, "locked");
        s_op(step, "lock");
        s_op(step, "drive");
    }
}

static void
s_begin_package(step_t *step)
{
    rmt_record_t *op = s_op_stage(step, "package");
    rmt_record_set_u64(op, "set.failed-before", s_job_number(step, "t-failed"));
    op = s_op_task(step, "package", s_job(step, "place"), s_job(step, "place"));
    s_copy(op, "b.image", step->view->job, "image");
}

static void
s_stop_all(step_t *step)
{
    s_op_stop(step, "", step->result->code, step->result->text);
}

static void
s_put_build(step_t *step, const char *engine)
{
    rmt_record_t *op = s_op_task(step, "build", engine, engine);
    S_COPY_EACH(op, "b", step->view->job, "image", "place");
}

static void
s_begin_build(step_t *step)
{
    s_op_stage(step, "build");
    s_each_word(s_job(step, "engines-locked"), s_put_build, step);
}

static void
s_engine_built(step_t *step)
{
    s_op_stage(step, "install");
    rmt_record_set(s_op(step, "built"), "engine", s_subject(step));
    s_op(step, "drive");
}

static void
s_stop_engine(step_t *step)
{
    s_op_stop(step, s_subject(step), step->result->code, step->result->text);
}

// ---- Actions of targets

// How many more targets may begin now. With a canary the first N must all have ended
// well, or with no more failures than allowed, before the others begin.
static uint64_t
s_room(const step_t *step)
{
    const uint64_t canary = s_job_number(step, "canary");
    const uint64_t started = s_job_number(step, "started");
    const uint64_t ended = s_job_number(step, "t-done") + s_job_number(step, "t-failed") -
                           s_job_number(step, "failed-before");
    if (canary == 0 || ended >= canary)
        return READY_MAX;
    return started < canary ? canary - started : 0;
}

static bool
s_has_too_many_failures(const step_t *step)
{
    const uint64_t canary = s_job_number(step, "canary");
    const uint64_t failed =
        s_job_number(step, "t-failed") - s_job_number(step, "failed-before");
    const bool is_limited = *s_job(step, "max-failures") ||
                            (canary > 0 && s_job_number(step, "started") <= canary);
    return is_limited && failed > s_job_number(step, "max-failures");
}

static void
s_begin_orders(step_t *step)
{
    if (s_has_too_many_failures(step)) {
        s_op_stop(step, "", RMT_E_CANCELLED, "stopped: too many targets have failed");
        return;
    }
    const uint64_t room = s_room(step);
    uint64_t begun = 0;
    const size_t count = rmt_records_count(step->view->items);
    for (size_t i = 0; i < count && begun < room; i++) {
        const rmt_record_t *item = rmt_records_at(step->view->items, i);
        if (strcmp(rmt_record_text(item, "what", ""), "ready") != 0)
            continue;
        const char *name = rmt_record_text(item, "name", "");
        rmt_record_t *op = s_op(step, "target");
        rmt_record_set(op, "target", name);
        rmt_record_set(op, "event", "begin");
        op = s_op_task(step, "order", rmt_record_text(item, "engine", ""), name);
        rmt_record_set(op, "b.target", name);
        s_copy(op, "b.image", step->view->job, "image");
        begun++;
    }
    if (begun > 0)
        rmt_record_setf(s_op(step, "job"), "count.started", "%" PRIu64, begun);
    if (begun == READY_MAX)
        s_op(step, "drive");
}

static void
s_begin_prepare(step_t *step)
{
    if (!rmt_record_has(step->result->outputs, "order")) {
        s_op_failed(step, RMT_E_PROTOCOL, "the engine gave no order");
        return;
    }
    s_op_phase(step, "ordered");
    rmt_auto_str at = rmt_text("target/%s", s_subject(step));
    rmt_record_t *op = s_op_task(step, "prepare", at, s_subject(step));
    s_copy(op, "b.order", step->result->outputs, "order");
}

static void
s_arm(step_t *step)
{
    const rmt_record_t *outputs = step->result->outputs;
    if (!*rmt_record_text(outputs, "plan", "") ||
        !*rmt_record_text(outputs, "nonce", "") ||
        !rmt_key_is_valid(rmt_record_text(outputs, "key", ""))) {
        s_op_failed(step, RMT_E_PROTOCOL, "the agent gave no plan, nonce or key");
        return;
    }
    s_copy(s_op_phase(step, "prepared"), "warning", outputs, "warning");
    const char *task = rmt_record_text(step->view->task, "task", "");
    rmt_record_t *op = s_op(step, "arm");
    rmt_record_set(op, "target", s_subject(step));
    rmt_record_set(op, "task", task);
    s_copy(op, "plan", outputs, "plan");
    s_copy(op, "nonce", outputs, "nonce");
    s_copy(op, "key", outputs, "key");
    rmt_auto_str at = rmt_text("target/%s", s_subject(step));
    op = s_op_task(step, "write", at, s_subject(step));
    rmt_record_set(op, "from", task); // The order, which was the body of prepare
    rmt_record_set(op, "again", "yes");
    S_COPY_EACH(op, "b", outputs, "plan", "nonce");
}

// A machine that has started anew refuses the go of its last start: it is prepared again
// with the same order, under the same lock, and then armed again.
static void
s_write_failed(step_t *step)
{
    if (step->result->code != RMT_E_FENCED) {
        s_op_failed(step, step->result->code, step->result->text);
        return;
    }
    s_op_phase(step, "ordered");
    rmt_auto_str at = rmt_text("target/%s", s_subject(step));
    rmt_record_t *op = s_op_task(step, "prepare", at, s_subject(step));
    rmt_record_set(op, "again", "yes"); // Its body stands
}

// What the machine finds at its next netboot is changed before it restarts, or it would
// come back to the installer.
static void
s_begin_netboot(step_t *step)
{
    const char *engine = rmt_record_text(step->view->target, "engine", "");
    if (rmt_record_has(step->result->outputs, "warning"))
        s_copy(s_op_phase(step, "reboot"), "warning", step->result->outputs, "warning");
    rmt_record_t *op = s_op_task(step, "netboot", engine, s_subject(step));
    rmt_record_set(op, "b.target", s_subject(step));
    s_copy(op, "b.image", step->view->job, "image");
}

static void
s_begin_reboot(step_t *step)
{
    s_op_phase(step, "reboot");
    rmt_auto_str at = rmt_text("target/%s", s_subject(step));
    s_op_task(step, "reboot", at, s_subject(step));
}

static void
s_await_boot(step_t *step)
{
    rmt_record_t *op = s_op(step, "boot");
    rmt_record_set(op, "target", s_subject(step));
    const uint64_t given = s_job_number(step, "boot-timeout-s");
    rmt_record_set_u64(op, "timeout-s", given ? given : BOOT_TIMEOUT_S);
}

static void
s_fail_target(step_t *step)
{
    s_op_failed(step, step->result->code, step->result->text);
}

// ---- The table

static const struct {
    const char *kind;
    const char *stage; // Of the job when it is driven, of the task for a result
    on_t on;
    void (*act)(step_t *step);
} s_rows[] = {
    // kind     stage       on         action
    {"image", "start", ON_DRIVE, s_begin_capture},
    {"image", "capture", ON_OK, s_begin_commit},
    {"image", "commit", ON_OK, s_end_image},
    {"image", "capture", ON_FAIL, s_fail_job},
    {"image", "commit", ON_FAIL, s_fail_job},
    {"import", "start", ON_DRIVE, s_begin_import},
    {"import", "commit", ON_OK, s_end_image},
    {"import", "commit", ON_FAIL, s_fail_job},
    {"check", "start", ON_DRIVE, s_begin_upkeep},
    {"check", "check", ON_RESULT, s_end_upkeep},
    {"scrub", "start", ON_DRIVE, s_begin_upkeep},
    {"scrub", "scrub", ON_RESULT, s_end_upkeep},
    {"gc", "start", ON_DRIVE, s_begin_upkeep},
    {"gc", "gc", ON_RESULT, s_end_upkeep},
    {"verify", "start", ON_DRIVE, s_begin_upkeep},
    {"verify", "verify", ON_RESULT, s_end_upkeep},
    {"compare", "start", ON_DRIVE, s_begin_upkeep},
    {"compare", "compare", ON_RESULT, s_end_upkeep},
    {"survey", "start", ON_DRIVE, s_begin_upkeep},
    {"survey", "survey", ON_RESULT, s_end_upkeep},
    {"plan", "start", ON_DRIVE, s_begin_match},
    {"plan", "match", ON_RESULT, s_join_match},
    {"deploy", "start", ON_DRIVE, s_begin_match},
    {"deploy", "match", ON_RESULT, s_join_match},
    {"deploy", "locked", ON_DRIVE, s_begin_package},
    {"deploy", "package", ON_OK, s_begin_build},
    {"deploy", "package", ON_FAIL, s_stop_all},
    {"deploy", "build", ON_OK, s_engine_built},
    {"deploy", "build", ON_FAIL, s_stop_engine},
    {"deploy", "install", ON_DRIVE, s_begin_orders},
    {"deploy", "order", ON_OK, s_begin_prepare},
    {"deploy", "prepare", ON_OK, s_arm},
    {"deploy", "write", ON_OK, s_begin_netboot},
    {"deploy", "netboot", ON_OK, s_begin_reboot},
    {"deploy", "reboot", ON_OK, s_await_boot},
    {"deploy", "order", ON_FAIL, s_fail_target},
    {"deploy", "prepare", ON_FAIL, s_fail_target},
    {"deploy", "write", ON_FAIL, s_write_failed},
    {"deploy", "netboot", ON_FAIL, s_fail_target},
    {"deploy", "reboot", ON_FAIL, s_fail_target},
};

static bool
s_is_on(on_t row, const rmt_result_t *result)
{
    switch (row) {
    case ON_DRIVE:
        return !result;
    case ON_OK:
        return result && result->code == RMT_OK;
    case ON_FAIL:
        return result && result->code != RMT_OK;
    case ON_RESULT:
        return result;
    }
    return false;
}

rmt_records_t *
rmt_dispatch(const rmt_job_view_t *view, const rmt_result_t *result)
{
    assert(view && view->job && (!result || view->task));
    step_t step = {.view = view, .result = result, .ops = rmt_records_new()};
    const char *stage = rmt_record_text(result ? view->task : view->job, "stage", "");
    const char *kind = rmt_record_text(view->job, "kind", "");
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strcmp(s_rows[i].kind, kind) == 0 && strcmp(s_rows[i].stage, stage) == 0 &&
            s_is_on(s_rows[i].on, result)) {
            s_rows[i].act(&step);
            break;
        }
    }
    return step.ops;
}
