// Locks of targets.
#include "console/bulk.h"
#include "console/cmd.h"
#include "console/confirm.h"
#include "console/output.h"
#include "base/rmt_auto.h"

#include <string.h>

static const char *const s_lock_columns[] = {"target", "job-name", "by",     "epoch",
                                             "armed",  "since",    "reason", NULL};

static int
s_break_once(call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = call_request(call, "lock.break", body, NULL, error);
    return reply ? 0 : -1;
}

static int
s_lock_break(call_t *call, rmt_error_t *error)
{
    if (!rmt_record_has(call->options, "force") ||
        !rmt_record_has(call->options, "reason"))
        return rmt_fail(error, RMT_E_USAGE,
                        "a break needs --force and --reason TEXT: an installer may still "
                        "write the machine, and the target is held afterwards");
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "reason", rmt_record_text(call->options, "reason", ""));
    if (bulk_is_list(call->operands[0]))
        return bulk_run(call, body, "target", true, s_break_once, error);
    rmt_record_set(body, "target", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "lock.break", body, NULL, error);
    if (!reply)
        return -1;
    return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
}

static int
s_lock_show(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "target", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "lock.show", body, NULL, error);
    if (!reply)
        return -1;
    return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
}

static const option_t s_break_options[] = {
    {"force", NULL, "confirm the break: a writer may still write the target's disks"},
    {"reason", "WORDS", "the reason, for the audit stream"},
    {"count", "N", "of a list: the number of its targets"},
    {NULL, NULL, NULL},
};

const command_t cmd_lock[] = {
    {"lock", "list", "", 0, 0, "List locked targets.", command_run_list, "lock.list",
     s_lock_columns, NULL},
    {"lock", "show", "TARGET", 1, 1, "Show one lock.", s_lock_show, NULL, NULL, NULL},
    {"lock", "break", "LIST", 1, 1, "Break locks by force; the targets are held.",
     s_lock_break, NULL, NULL, s_break_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
