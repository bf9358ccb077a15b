// Images: captured from a source, or imported.
#include "broker/dispatch_acts.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_id.h"

void
rmt_act_begin_capture(rmt_step_t *step)
{
    rmt_op_stage(step, "capture");
    rmt_auto_str at = rmt_text("source/%s", rmt_step_job(step, "source"));
    rmt_record_t *op = rmt_op_task(step, "capture", at, rmt_step_job(step, "source"));
    RMT_OP_COPY(op, "b", step->view->job, "image-name", "place", "exclude", "without",
                "raw", "paranoid");
}

// Each has looked for an imager for a minute.
#define IDLE_CUTS_MAX 10
#define CAPTURES_MAX "200"

// A stream that was cut says nothing of the source: it is read once more, and what the
// store has by now is not sent again. Attempts that bring nothing have an end.
void
rmt_act_capture_failed(rmt_step_t *step)
{
    const rmt_record_t *outputs = step->result->outputs;
    const uint64_t idle = outputs && rmt_record_u64(outputs, "sent", 0) > 0
                              ? 0
                              : rmt_step_number(step, "idle-cuts") + 1;
    if (!outputs || !rmt_record_flag(outputs, "cut") || idle >= IDLE_CUTS_MAX) {
        rmt_act_fail_job(step);
        return;
    }
    rmt_record_set_u64(rmt_op_add(step, "job"), "set.idle-cuts", idle);
    rmt_auto_str at = rmt_text("source/%s", rmt_step_job(step, "source"));
    rmt_record_t *op = rmt_op_task(step, "capture", at, rmt_step_job(step, "source"));
    rmt_record_set(op, "again", "yes"); // Its body stands
    rmt_record_set(op, "attempts", CAPTURES_MAX);
    rmt_record_set(op, "text", step->result->text);
}

// Have a descriptor made an image; from has its id.
static void
s_op_commit(rmt_step_t *step, const rmt_record_t *from)
{
    const char *at = rmt_step_job(step, "place");
    rmt_record_t *op = rmt_op_task(step, "commit", at, rmt_step_job(step, "image-name"));
    rmt_op_copy(op, "b.descriptor", from, "descriptor");
    RMT_OP_COPY(op, "b", step->view->job, "image-name", "source");
}

void
rmt_act_begin_commit(rmt_step_t *step)
{
    rmt_record_t *stage = rmt_op_stage(step, "commit");
    RMT_OP_COPY(stage, "set", step->result->outputs, "files", "bytes", "sent", "cached",
                "read-from", "warning");
    s_op_commit(step, step->result->outputs);
}

void
rmt_act_end_image(rmt_step_t *step)
{
    const rmt_record_t *outputs = step->result->outputs;
    rmt_id_t id;
    rmt_error_t error = {0};
    if (rmt_id_parse(&id, rmt_record_text(outputs, "image", ""), &error) == -1) {
        rmt_op_end(step, "fail", RMT_E_PROTOCOL,
                   "the imager committed the image and gave no id");
        return;
    }
    rmt_record_t *op = rmt_op_add(step, "image");
    rmt_op_copy(op, "set.name", step->view->job, "image-name");
    RMT_OP_COPY(op, "set", step->view->job, "source", "place");
    rmt_op_copy(op, "set.id", outputs, "image");
    RMT_OP_COPY(op, "set", outputs, "state", "files", "bytes", "volumes", "hardware",
                "layout", "kernel", "network-stack", "network-by-name", "network-shapes",
                "network-refusal");
    rmt_op_copy(op, "sign.key", outputs, "signature-key");
    rmt_op_copy(op, "sign.signature", outputs, "signature");
    rmt_op_copy(rmt_op_add(step, "job"), "set.image", outputs, "image");
    rmt_op_end(step, "finish", RMT_E_OK, "");
}

void
rmt_act_begin_import(rmt_step_t *step)
{
    rmt_op_stage(step, "commit");
    s_op_commit(step, step->view->job);
}
