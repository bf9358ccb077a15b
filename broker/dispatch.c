#include "broker/dispatch.h"

#include <assert.h>
#include <string.h>
#include "broker/dispatch_acts.h"

typedef enum { ON_DRIVE, ON_OK, ON_FAIL, ON_RESULT } on_t;

static const struct {
    const char *kind;
    const char *stage; // Of the job when it is driven, of the task for a result
    on_t on;
    void (*act)(rmt_step_t *step);
} s_rows[] = {
    // kind     stage       on         action
    {"image", "start", ON_DRIVE, rmt_act_begin_capture},
    {"image", "capture", ON_OK, rmt_act_begin_commit},
    {"image", "commit", ON_OK, rmt_act_end_image},
    {"image", "capture", ON_FAIL, rmt_act_capture_failed},
    {"image", "commit", ON_FAIL, rmt_act_fail_job},
    {"import", "start", ON_DRIVE, rmt_act_begin_import},
    {"import", "commit", ON_OK, rmt_act_end_image},
    {"import", "commit", ON_FAIL, rmt_act_fail_job},
    {"check", "start", ON_DRIVE, rmt_act_begin_upkeep},
    {"check", "check", ON_RESULT, rmt_act_end_upkeep},
    {"scrub", "start", ON_DRIVE, rmt_act_begin_upkeep},
    {"scrub", "scrub", ON_RESULT, rmt_act_end_upkeep},
    {"gc", "start", ON_DRIVE, rmt_act_begin_upkeep},
    {"gc", "gc", ON_RESULT, rmt_act_end_upkeep},
    {"verify", "start", ON_DRIVE, rmt_act_begin_upkeep},
    {"verify", "verify", ON_RESULT, rmt_act_end_upkeep},
    {"compare", "start", ON_DRIVE, rmt_act_begin_upkeep},
    {"compare", "compare", ON_RESULT, rmt_act_end_upkeep},
    {"survey", "start", ON_DRIVE, rmt_act_begin_upkeep},
    {"survey", "survey", ON_RESULT, rmt_act_end_upkeep},
    {"power", "start", ON_DRIVE, rmt_act_begin_upkeep},
    {"power", "power", ON_RESULT, rmt_act_end_upkeep},
    {"plan", "start", ON_DRIVE, rmt_act_begin_match},
    {"plan", "match", ON_RESULT, rmt_act_join_match},
    {"deploy", "start", ON_DRIVE, rmt_act_begin_match},
    {"deploy", "match", ON_RESULT, rmt_act_join_match},
    {"deploy", "locked", ON_DRIVE, rmt_act_begin_package},
    {"deploy", "package", ON_OK, rmt_act_begin_build},
    {"deploy", "package", ON_FAIL, rmt_act_stop_all},
    {"deploy", "build", ON_OK, rmt_act_engine_built},
    {"deploy", "build", ON_FAIL, rmt_act_stop_engine},
    {"deploy", "install", ON_DRIVE, rmt_act_begin_orders},
    {"deploy", "order", ON_OK, rmt_act_begin_prepare},
    {"deploy", "wake", ON_OK, rmt_act_await_agent},
    {"deploy", "prepare", ON_OK, rmt_act_arm},
    {"deploy", "write", ON_OK, rmt_act_begin_netboot},
    {"deploy", "netboot", ON_OK, rmt_act_begin_reboot},
    {"deploy", "reboot", ON_OK, rmt_act_await_boot},
    {"deploy", "order", ON_FAIL, rmt_act_fail_target},
    {"deploy", "wake", ON_FAIL, rmt_act_fail_target},
    {"deploy", "prepare", ON_FAIL, rmt_act_agent_failed},
    {"deploy", "write", ON_FAIL, rmt_act_write_failed},
    {"deploy", "netboot", ON_FAIL, rmt_act_fail_target},
    {"deploy", "reboot", ON_FAIL, rmt_act_fail_target},
};

static bool
s_is_on(on_t row, const rmt_result_t *result)
{
    switch (row) {
    case ON_DRIVE:
        return !result;
    case ON_OK:
        return result && result->code == RMT_E_OK;
    case ON_FAIL:
        return result && result->code != RMT_E_OK;
    case ON_RESULT:
        return result;
    }
    return false;
}

rmt_records_t *
rmt_dispatch(const rmt_job_view_t *view, const rmt_result_t *result)
{
    assert(view && view->job && (!result || view->task));
    rmt_step_t step = {.view = view, .result = result, .ops = rmt_records_new()};
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

rmt_job_view_t
rmt_view_of(const rmt_msg_t *reply)
{
    return (rmt_job_view_t){
        .job = reply->body,
        .image = rmt_records_find(reply->items, "what", "image"),
        .task = rmt_records_find(reply->items, "what", "task"),
        .target = rmt_records_find(reply->items, "what", "target"),
        .items = reply->items,
    };
}
