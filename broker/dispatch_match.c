// Matching: what a plan is, and how a deployment begins.
#include "broker/dispatch_acts.h"

#include <inttypes.h>
#include <string.h>

// An engine's own policy, as it was when the job was made, and behind it the one that
// was asked for, which wins.
static void
s_set_policy(rmt_step_t *step, rmt_record_t *op, const char *engine)
{
    const char *asked = rmt_step_job(step, "policy");
    const size_t size = strlen(engine);
    for (const char *line = rmt_step_job(step, "policies"); *line;
         line += strspn(line, "\n")) {
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
s_put_match(rmt_step_t *step, const char *engine)
{
    const rmt_record_t *image = step->view->image;
    rmt_record_t *op = rmt_op_task(step, "match", engine, engine);
    rmt_op_copy(op, "b.image", image, "id");
    rmt_op_copy(op, "b.image-name", image, "name");
    RMT_OP_COPY(op, "b", image, "hardware", "layout", "kernel", "place", "network-stack",
                "network-by-name", "network-shapes", "network-refusal");
    rmt_op_copy(op, "b.explain", step->view->job, "explain");
    rmt_op_copy(op, "b.target", step->view->job, "only-target");
    s_set_policy(step, op, engine);
}

void
rmt_act_begin_match(rmt_step_t *step)
{
    if (!step->view->image) {
        rmt_op_end(step, "fail", RMT_E_NOT_FOUND, "the image was removed");
        return;
    }
    rmt_record_t *op = rmt_op_stage(step, "match");
    const size_t count = rmt_step_each(rmt_step_job(step, "engines"), s_put_match, step);
    rmt_record_set_u64(op, "set.waiting", count);
}

// A join: every engine has answered, well or not.
void
rmt_act_join_match(rmt_step_t *step)
{
    const bool is_ok = step->result->code == RMT_E_OK;
    const uint64_t failed = rmt_step_number(step, "match-failed") + (is_ok ? 0 : 1);
    const uint64_t waiting = rmt_step_number(step, "waiting");
    rmt_record_t *op = rmt_op_add(step, "job");
    rmt_record_set(op, "count.waiting", "-1");
    if (!is_ok) {
        rmt_record_set(op, "count.match-failed", "1");
        rmt_record_setf(op, "set.error", "%s: %s", rmt_step_subject(step),
                        step->result->text);
    } else {
        rmt_record_set(op, "count.engine-count", "1");
        rmt_record_setf(op, "count.fits", "%" PRIu64,
                        rmt_record_u64(step->result->outputs, "fits", 0));
        rmt_record_setf(op, "count.matched", "%" PRIu64,
                        rmt_record_u64(step->result->outputs, "total", 0));
        rmt_record_setf(op, "count.available", "%" PRIu64,
                        rmt_record_u64(step->result->outputs, "available", 0));
        if (rmt_record_is(step->result->outputs, "whole", "yes"))
            rmt_record_setf(op, "set.whole-at", "%s,%s", rmt_step_job(step, "whole-at"),
                            rmt_step_subject(step));
    }
    if (waiting > 1)
        return;
    if (strcmp(rmt_step_job(step, "kind"), "plan") == 0) {
        const uint64_t good = rmt_step_number(step, "engine-count") + (is_ok ? 1 : 0);
        const char *event = failed == 0 ? "finish" : good > 0 ? "finish-in-part" : "fail";
        rmt_op_end(step, event, step->result->code, step->result->text);
    } else {
        rmt_op_stage(step, "locked");
        rmt_op_add(step, "lock");
        rmt_op_add(step, "drive");
    }
}
