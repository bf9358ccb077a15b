// A deployment until its targets begin: package, build, orders.
#include "broker/dispatch_acts.h"

#include <inttypes.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "state/rmt_limits.h"

void
rmt_act_stop_all(rmt_step_t *step)
{
    rmt_op_stop(step, "", step->result->code, step->result->text);
}

static void
s_put_build(rmt_step_t *step, const char *engine)
{
    rmt_record_t *op = rmt_op_task(step, "build", engine, engine);
    RMT_OP_COPY(op, "b", step->view->job, "image", "place");
}

void
rmt_act_begin_build(rmt_step_t *step)
{
    rmt_op_stage(step, "build");
    rmt_step_each(rmt_step_job(step, "engines-locked"), s_put_build, step);
}

// One that holds the image has nothing to ask of the place that sends it.
static bool
s_is_whole_at_all(const rmt_step_t *step)
{
    rmt_auto_str engines = rmt_text("%s", rmt_step_job(step, "engines-locked"));
    rmt_auto_str whole = rmt_text("%s,", rmt_step_job(step, "whole-at"));
    char *rest = NULL;
    size_t count = 0;
    for (const char *engine = strtok_r(engines, ", ", &rest); engine;
         engine = strtok_r(NULL, ", ", &rest), count++) {
        rmt_auto_str word = rmt_text(",%s,", engine);
        if (!strstr(whole, word))
            return false;
    }
    return count > 0;
}

void
rmt_act_begin_package(rmt_step_t *step)
{
    const bool is_whole = s_is_whole_at_all(step);
    rmt_record_t *op = rmt_op_stage(step, is_whole ? "build" : "package");
    rmt_record_set_u64(op, "set.failed-before", rmt_step_number(step, "t-failed"));
    if (is_whole) {
        rmt_step_each(rmt_step_job(step, "engines-locked"), s_put_build, step);
        return;
    }
    op = rmt_op_task(step, "package", rmt_step_job(step, "place"),
                     rmt_step_job(step, "place"));
    rmt_op_copy(op, "b.image", step->view->job, "image");
}

void
rmt_act_engine_built(rmt_step_t *step)
{
    rmt_op_stage(step, "install");
    rmt_record_set(rmt_op_add(step, "built"), "engine", rmt_step_subject(step));
    rmt_op_add(step, "drive");
}

void
rmt_act_stop_engine(rmt_step_t *step)
{
    rmt_op_stop(step, rmt_step_subject(step), step->result->code, step->result->text);
}

// How many more targets may begin now. With a canary the first N must all have ended
// well, or with no more failures than allowed, before the others begin.
static uint64_t
s_room(const rmt_step_t *step)
{
    const uint64_t canary = rmt_step_number(step, "canary");
    const uint64_t started = rmt_step_number(step, "started");
    const uint64_t ended = rmt_step_number(step, "t-done") +
                           rmt_step_number(step, "t-failed") -
                           rmt_step_number(step, "failed-before");
    if (canary == 0 || ended >= canary)
        return RMT_READY_MAX;
    return started < canary ? canary - started : 0;
}

static bool
s_has_too_many_failures(const rmt_step_t *step)
{
    const uint64_t canary = rmt_step_number(step, "canary");
    const uint64_t failed =
        rmt_step_number(step, "t-failed") - rmt_step_number(step, "failed-before");
    const bool is_limited = *rmt_step_job(step, "max-failures") ||
                            (canary > 0 && rmt_step_number(step, "started") <= canary);
    return is_limited && failed > rmt_step_number(step, "max-failures");
}

void
rmt_act_begin_orders(rmt_step_t *step)
{
    if (s_has_too_many_failures(step)) {
        rmt_op_stop(step, "", RMT_E_CANCELLED, "stopped: too many targets have failed");
        return;
    }
    const uint64_t room = s_room(step);
    uint64_t begun = 0;
    const size_t count = rmt_records_count(step->view->items);
    for (size_t i = 0; i < count && begun < room; i++) {
        const rmt_record_t *item = rmt_records_at(step->view->items, i);
        if (!rmt_record_is(item, "what", "ready"))
            continue;
        const char *name = rmt_record_text(item, "name", "");
        rmt_record_t *op = rmt_op_add(step, "target");
        rmt_record_set(op, "target", name);
        rmt_record_set(op, "event", "begin");
        op = rmt_op_task(step, "order", rmt_record_text(item, "engine", ""), name);
        rmt_record_set(op, "b.target", name);
        rmt_op_copy(op, "b.image", step->view->job, "image");
        begun++;
    }
    if (begun > 0)
        rmt_record_setf(rmt_op_add(step, "job"), "count.started", "%" PRIu64, begun);
    if (begun == RMT_READY_MAX)
        rmt_op_add(step, "drive");
}
