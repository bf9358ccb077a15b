// Jobs: list, show, follow, cancel (M24, M27, M28).
#include "console/cmd.h"
#include "console/confirm.h"
#include "console/fold.h"
#include "console/job.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "console/warrant.h"
#include "console/watch.h"
#include "console/moment.h"
#include "base/rmt_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOGS_MAX 3 // Of how many targets job show prints the log
#define LOG_LINE_SIZE 4096

static const char *const s_job_columns[] = {"name",  "kind", "image-name", "source",
                                            "state", "by",   "created",    "error",
                                            "stuck", NULL};
static const char *const s_target_columns[] = {
    "name",  "engine",  "phase", "state", "failed-phase",
    "error", "warning", "stuck", "text",  NULL};
static const char *const s_log_columns[] = {"time",  "what", "service", "target",
                                            "phase", "text", NULL};

static int
s_list(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_records) items = job_list(call, error);
    return items ? output_list(items, s_job_columns, &call->view, error) : -1;
}

static rmt_record_t *
s_job_body(const call_t *call)
{
    rmt_record_t *body = rmt_record_new();
    rmt_record_set(body, "job", call->operands[0]);
    return body;
}

// What the worker of a failure wrote into its log last. It comes from another computer.
static void
s_print_log(const char *whose, const rmt_record_t *record)
{
    rmt_auto_str log = strdup(rmt_record_text(record, "log", ""));
    char *rest = NULL;
    char safe[LOG_LINE_SIZE];
    if (*log)
        printf("\nlast lines of the log, %s:\n", whose);
    for (char *line = strtok_r(log, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        printf("  %s\n", rmt_log_escape(safe, sizeof safe, line));
}

// Of the job itself, and of the first targets that have one.
static void
s_print_logs(const rmt_msg_t *reply, const char *job)
{
    s_print_log("job", reply->body);
    size_t shown = 0;
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *target = rmt_records_at(reply->items, i);
        if (!rmt_record_has(target, "log"))
            continue;
        if (shown++ < LOGS_MAX)
            s_print_log(rmt_record_text(target, "name", "?"), target);
    }
    if (shown > LOGS_MAX)
        printf("\nlogs of %zu more targets: ramet job logs %s TARGET\n", shown - LOGS_MAX,
               job);
}

static int
s_show(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = job_show(call, call->operands[0], error);
    if (!reply)
        return -1;
    const bool is_folded = view_is_usual(&call->view) && isatty(STDOUT_FILENO);
    rmt_auto(rmt_records) folded =
        is_folded ? fold_items(reply->items, "name", s_target_columns) : NULL;
    if (output_record(reply->body, "targets", folded ? folded : reply->items,
                      s_target_columns, &call->view, error) == -1)
        return -1;
    if (call->view.format == VIEW_TABLE || call->view.format == VIEW_WIDE)
        s_print_logs(reply, call->operands[0]);
    return 0;
}

static int
s_follow(call_t *call, bool quiet, rmt_error_t *error)
{
    unsigned timeout_s = 0;
    const char *timeout = rmt_record_text(call->options, "timeout", NULL);
    if (timeout && moment_parse_span(timeout, &timeout_s, error) == -1)
        return -1;
    const int status = watch_job(call, call->operands[0], timeout_s, quiet, error);
    if (status >= 0 && call->json) {
        rmt_error_t ignored = {0};
        (void) s_show(call, &ignored);
    }
    return status;
}

static int
s_watch(call_t *call, rmt_error_t *error)
{
    return s_follow(call, false, error);
}

static int
s_wait(call_t *call, rmt_error_t *error)
{
    return s_follow(call, true, error);
}

static int
s_logs(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_records) items =
        job_logs(call, call->operands[0], call_operand(call, 1), error);
    return items ? output_list(items, s_log_columns, &call->view, error) : -1;
}

static int
s_cancel(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = s_job_body(call);
    rmt_auto(rmt_records) items = rmt_records_new();
    for (size_t i = 1; i < call->operand_count; i++)
        rmt_record_set(rmt_records_add(items), "target", call->operands[i]);
    rmt_auto(rmt_msg) reply = call_request(call, "job.cancel", body, items, error);
    if (!reply)
        return -1;
    if (output_record(reply->body, "targets", reply->items, s_target_columns, &call->view,
                      error) == -1)
        return -1;
    if (rmt_record_has(reply->body, "more"))
        fprintf(stderr, "more targets were cancelled; see: ramet job show %s\n",
                call->operands[0]);
    return 0;
}

static int
s_retry(call_t *call, rmt_error_t *error)
{
    if (!rmt_record_has(call->options, "failed"))
        return rmt_fail(
            error, RMT_E_USAGE,
            "the retry needs targets; for the failed ones: ramet job retry %s --failed",
            call->operands[0]);
    rmt_auto(rmt_record) body = s_job_body(call);
    if (rmt_record_has(call->options, "count"))
        rmt_record_set(body, "count", rmt_record_text(call->options, "count", ""));
    if (confirm_erase(call, "job.retry", body, NULL, error) == -1 ||
        warrant_sign_retry(call, body, error) == -1)
        return -1;
    rmt_auto(rmt_msg) reply = call_request(call, "job.retry", body, NULL, error);
    return reply ? watch_made(call, reply, error) : -1;
}

static const option_t s_time_options[] = {
    {"timeout", "TIME", OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};
static const option_t s_retry_options[] = {
    {"failed", NULL, "take the failed targets"},
    {"yes", NULL, CONFIRM_YES},
    {"count", "N", CONFIRM_COUNT},
    {"allow-older", NULL, OPTION_ALLOW_OLDER},
    {"valid", "TIME", OPTION_VALID},
    {"wait", NULL, "follow the new job to its end"},
    {"timeout", "TIME", "with --wait: " OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};

const command_t cmd_job[] = {
    {"job", "list", "", 0, 0, "List jobs, newest first.", s_list, NULL, s_job_columns,
     NULL},
    {"job", "show", "JOB", 1, 1, "Show a job and its targets.", s_show, NULL,
     s_target_columns, NULL},
    {"job", "watch", "JOB", 1, 1,
     "Follow a job on the screen to its end; after Ctrl-C the job continues.", s_watch,
     NULL, NULL, s_time_options},
    {"job", "wait", "JOB", 1, 1,
     "Wait for a job's end; the exit status tells its outcome.", s_wait, NULL, NULL,
     s_time_options},
    {"job", "logs", "JOB [TARGET]", 1, 2,
     "Show the events of a job from the audit stream; of a failure also the last lines "
     "of the worker's log.",
     s_logs, NULL, s_log_columns, NULL},
    {"job", "cancel", "JOB [TARGET]...", 1, -1,
     "Cancel a job, or some of its targets. The writer of a target stops at its next "
     "step; the target stays locked, and the answer names the command that installs it.",
     s_cancel, NULL, NULL, NULL},
    {"job", "retry", "JOB", 1, 1, "Make a new job for the failed targets of a job.",
     s_retry, NULL, NULL, s_retry_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
