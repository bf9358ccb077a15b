// One target of a deployment: from its order to its first boot.
#include "broker/dispatch_acts.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"

#define BOOT_TIMEOUT_S 900

// How long a start of the machine may take.
static uint64_t
s_start_timeout_s(const rmt_step_t *step)
{
    const uint64_t given = rmt_step_number(step, "boot-timeout-s");
    return given ? given : BOOT_TIMEOUT_S;
}

// A machine that is off, or runs its system, is first brought to its agent: its next
// netboot leads there from the order on.
void
rmt_act_begin_prepare(rmt_step_t *step)
{
    if (!rmt_record_has(step->result->outputs, "order")) {
        rmt_op_failed(step, RMT_E_PROTOCOL,
                      "the installer built the image and gave no order");
        return;
    }
    const char *target = rmt_step_subject(step);
    const bool is_asleep = rmt_record_flag(step->view->target, "asleep");
    rmt_op_phase(step, is_asleep ? "power" : "ordered");
    rmt_auto_str own = rmt_text("target/%s", target);
    rmt_record_t *op = rmt_op_task(
        step, is_asleep ? "wake" : "prepare",
        is_asleep ? rmt_record_text(step->view->target, "engine", "") : own, target);
    if (is_asleep)
        rmt_record_set(op, "b.target", target);
    rmt_op_copy(op, "b.order", step->result->outputs, "order");
    rmt_op_copy(op, "b.secret", step->result->outputs, "secret");
    rmt_op_copy(op, "b.told-secret", step->result->outputs, "told-secret");
    if (step->view->image)
        rmt_op_copy(op, "b.signatures", step->view->image, "signatures");
    if (step->view->target)
        rmt_op_copy(op, "b.warrant", step->view->target, "warrant");
}

// What was put with the order is for the agent that comes now.
void
rmt_act_await_agent(rmt_step_t *step)
{
    rmt_record_t *op = rmt_op_add(step, "await");
    rmt_record_set(op, "target", rmt_step_subject(step));
    rmt_record_set_u64(op, "timeout-s", s_start_timeout_s(step));
    rmt_auto_str at = rmt_text("target/%s", rmt_step_subject(step));
    op = rmt_op_task(step, "prepare", at, rmt_step_subject(step));
    rmt_op_copy(op, "from", step->view->task, "task");
}

void
rmt_act_arm(rmt_step_t *step)
{
    const rmt_record_t *outputs = step->result->outputs;
    if (!*rmt_record_text(outputs, "plan", "") ||
        !*rmt_record_text(outputs, "nonce", "") ||
        !rmt_key_is_valid(rmt_record_text(outputs, "key", ""))) {
        rmt_op_failed(step, RMT_E_PROTOCOL,
                      "the agent prepared and gave no plan, nonce or key");
        return;
    }
    rmt_record_t *phase = rmt_op_phase(step, "prepared");
    rmt_op_copy(phase, "warning", outputs, "warning");
    rmt_op_copy(phase, "signed-by", outputs, "signed-by");
    const char *task = rmt_record_text(step->view->task, "task", "");
    rmt_record_t *op = rmt_op_add(step, "arm");
    rmt_record_set(op, "target", rmt_step_subject(step));
    rmt_record_set(op, "task", task);
    rmt_op_copy(op, "plan", outputs, "plan");
    rmt_op_copy(op, "nonce", outputs, "nonce");
    rmt_op_copy(op, "key", outputs, "key");
    rmt_auto_str at = rmt_text("target/%s", rmt_step_subject(step));
    op = rmt_op_task(step, "write", at, rmt_step_subject(step));
    rmt_record_set(op, "from", task); // The order, which was the body of prepare
    rmt_record_set(op, "again", "yes");
    RMT_OP_COPY(op, "b", outputs, "plan", "nonce");
}

// A machine whose disk fails, or lets nothing be written, is no target until a person has
// looked at it.
void
rmt_act_agent_failed(rmt_step_t *step)
{
    rmt_record_t *op = rmt_op_failed(step, step->result->code, step->result->text);
    if (step->result->code == RMT_E_DISK)
        rmt_record_set(op, "hold", "yes");
}

// A machine that has started anew refuses the go of its last start: it is prepared again
// with the same order, under the same lock, and then armed again.
void
rmt_act_write_failed(rmt_step_t *step)
{
    if (step->result->code != RMT_E_FENCED) {
        rmt_act_agent_failed(step);
        return;
    }
    rmt_op_phase(step, "ordered");
    rmt_auto_str at = rmt_text("target/%s", rmt_step_subject(step));
    rmt_record_t *op = rmt_op_task(step, "prepare", at, rmt_step_subject(step));
    rmt_record_set(op, "again", "yes"); // Its body stands
    rmt_record_set(op, "text", step->result->text);
}

// What the machine finds at its next netboot is changed before it restarts, or it would
// come back to the installer.
void
rmt_act_begin_netboot(rmt_step_t *step)
{
    const char *engine = rmt_record_text(step->view->target, "engine", "");
    if (rmt_record_has(step->result->outputs, "warning"))
        rmt_op_copy(rmt_op_phase(step, "reboot"), "warning", step->result->outputs,
                    "warning");
    rmt_record_t *op = rmt_op_task(step, "netboot", engine, rmt_step_subject(step));
    rmt_record_set(op, "b.target", rmt_step_subject(step));
    rmt_op_copy(op, "b.image", step->view->job, "image");
}

void
rmt_act_begin_reboot(rmt_step_t *step)
{
    rmt_op_phase(step, "reboot");
    rmt_auto_str at = rmt_text("target/%s", rmt_step_subject(step));
    rmt_op_task(step, "reboot", at, rmt_step_subject(step));
}

void
rmt_act_await_boot(rmt_step_t *step)
{
    rmt_record_t *op = rmt_op_add(step, "boot");
    rmt_record_set(op, "target", rmt_step_subject(step));
    rmt_record_set_u64(op, "timeout-s", s_start_timeout_s(step));
}

void
rmt_act_fail_target(rmt_step_t *step)
{
    rmt_op_failed(step, step->result->code, step->result->text);
}
