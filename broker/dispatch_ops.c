#include "broker/dispatch_acts.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_id.h"

const char *
rmt_step_job(const rmt_step_t *step, const char *field)
{
    return rmt_record_text(step->view->job, field, "");
}

uint64_t
rmt_step_number(const rmt_step_t *step, const char *field)
{
    return rmt_record_u64(step->view->job, field, 0);
}

const char *
rmt_step_subject(const rmt_step_t *step)
{
    return rmt_record_text(step->view->task, "subject", "");
}

rmt_record_t *
rmt_op_add(rmt_step_t *step, const char *name)
{
    rmt_record_t *op = rmt_records_add(step->ops);
    rmt_record_set(op, "op", name);
    return op;
}

rmt_record_t *
rmt_op_stage(rmt_step_t *step, const char *stage)
{
    rmt_record_t *op = rmt_op_add(step, "job");
    rmt_record_set(op, "set.stage", stage);
    rmt_record_set(op, "event", "begin");
    return op;
}

void
rmt_op_end(rmt_step_t *step, const char *event, rmt_code_t code, const char *text)
{
    rmt_record_t *op = rmt_op_add(step, "job");
    rmt_record_set(op, "event", event);
    if (code != RMT_E_OK) {
        rmt_record_set_u64(op, "code", code);
        rmt_record_set(op, "text", text);
    }
}

void
rmt_dispatch_task_id(const char *job, const char *stage, const char *subject,
                     uint8_t id_out[RMT_UID_SIZE])
{
    rmt_digest_t *digest = rmt_digest_new();
    rmt_digest_update(digest, job, strlen(job) + 1);
    rmt_digest_update(digest, stage, strlen(stage) + 1);
    rmt_digest_update(digest, subject, strlen(subject));
    rmt_id_t id;
    rmt_digest_finish(digest, &id);
    rmt_digest_destroy(&digest);
    memcpy(id_out, id.bytes + 1, RMT_UID_SIZE);
}

rmt_record_t *
rmt_op_task(rmt_step_t *step, const char *verb, const char *at, const char *subject)
{
    uint8_t id[RMT_UID_SIZE];
    char text[33];
    rmt_dispatch_task_id(rmt_step_job(step, "id"), verb, subject, id);
    rmt_record_t *op = rmt_op_add(step, "task");
    rmt_record_set(op, "task", rmt_uid_text(id, text));
    rmt_record_setf(op, "service", "%s@%s", verb, at);
    rmt_record_set(op, "stage", verb);
    rmt_record_set(op, "subject", subject);
    return op;
}

void
rmt_op_copy(rmt_record_t *op, const char *to, const rmt_record_t *from, const char *field)
{
    size_t size = 0;
    const void *value = rmt_record_get(from, field, &size);
    if (value)
        rmt_record_put(op, to, value, size);
}

void
rmt_op_copy_each(rmt_record_t *op, const char *prefix, const rmt_record_t *from,
                 const char *const *fields)
{
    for (; *fields; fields++) {
        rmt_auto_str to = rmt_text("%s.%s", prefix, *fields);
        rmt_op_copy(op, to, from, *fields);
    }
}

void
rmt_op_stop(rmt_step_t *step, const char *engine, rmt_code_t code, const char *text)
{
    rmt_record_t *op = rmt_op_add(step, "stop");
    rmt_record_set(op, "engine", engine);
    rmt_record_set_u64(op, "code", code);
    rmt_record_set(op, "text", text);
}

rmt_record_t *
rmt_op_failed(rmt_step_t *step, rmt_code_t code, const char *text)
{
    rmt_record_t *op = rmt_op_add(step, "failed");
    rmt_record_set(op, "target", rmt_step_subject(step));
    rmt_record_set_u64(op, "code", code);
    rmt_record_set(op, "text", text);
    return op;
}

rmt_record_t *
rmt_op_phase(rmt_step_t *step, const char *phase)
{
    rmt_record_t *op = rmt_op_add(step, "target");
    rmt_record_set(op, "target", rmt_step_subject(step));
    rmt_record_set(op, "phase", phase);
    return op;
}

size_t
rmt_step_each(const char *list, void (*each)(rmt_step_t *, const char *),
              rmt_step_t *step)
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

void
rmt_act_fail_job(rmt_step_t *step)
{
    rmt_op_end(step, "fail", step->result->code, step->result->text);
}
