// Upkeep: one task, which is called like its job and gives counts.
#include "broker/dispatch_acts.h"

void
rmt_act_begin_upkeep(rmt_step_t *step)
{
    const char *kind = rmt_step_job(step, "kind");
    rmt_op_stage(step, kind);
    rmt_record_t *op =
        rmt_op_task(step, kind, rmt_step_job(step, "at"), rmt_step_job(step, "at"));
    RMT_OP_COPY(op, "b", step->view->job, "image", "image-name", "place", "deep", "rate",
                "again", "age-s", "ignore", "all", "exclude", "without", "raw", "action",
                "machines", "force");
}

void
rmt_act_end_upkeep(rmt_step_t *step)
{
    static const char *const copied[] = {
        "images",         "packs",       "chunks",  "bytes",
        "files",          "damaged",     "missing", "unread",
        "orphans",        "quarantined", "rescued", "resumed",
        "left-behind",    "marked",      "revived", "removed",
        "findings",       "differences", "live",    "bytes-removed",
        "images-removed", "by-intent",   "keys",    "left-out",
        "failed",         NULL};
    rmt_record_t *op = rmt_op_add(step, "job");
    if (step->result->outputs)
        rmt_op_copy_each(op, "set", step->result->outputs, copied);
    if (step->result->code == RMT_E_OK)
        rmt_op_end(step, "finish", RMT_E_OK, "");
    else
        rmt_act_fail_job(step);
}
