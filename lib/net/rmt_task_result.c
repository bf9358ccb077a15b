#include "net/rmt_task.h"
#include "base/rmt_log.h"

#include <string.h>

#define TEXT_SIZE 512

rmt_msg_t *
rmt_task_result(const rmt_msg_t *task, const rmt_error_t *error,
                const rmt_record_t *outputs)
{
    char text[TEXT_SIZE];
    rmt_msg_t *result = rmt_msg_new(RMT_MSG_RESULT);
    memcpy(result->task, task->task, RMT_UID_SIZE);
    result->attempt = task->attempt;
    result->code = (uint32_t) error->code;
    rmt_msg_text(&result->text, rmt_log_escape(text, sizeof text, error->text));
    rmt_record_t *body = rmt_msg_body(result);
    if (outputs)
        rmt_record_merge(body, outputs);
    // A failure is read together with what the program wrote before it.
    char log[RMT_LOG_TAIL_SIZE];
    rmt_log_tail(log, sizeof log);
    if (error->code != RMT_E_OK && *log)
        rmt_record_set(body, "log", log);
    return result;
}
