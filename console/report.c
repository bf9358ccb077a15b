#include "console/report.h"
#include "console/command.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "console/watch.h"
#include "console/moment.h"

#include <string.h>

// Of the job's record, what a reader wants to know of the outcome.
static const char *const s_shown[] = {
    "id",
    "name",
    "kind",
    "state",
    "place",
    "at",
    "image",
    "error",
    "images",
    "packs",
    "chunks",
    "files",
    "bytes",
    "damaged",
    "missing",
    "unread",
    "orphans",
    "quarantined",
    "rescued",
    "resumed",
    "live",
    "marked",
    "revived",
    "removed",
    "bytes-removed",
    "images-removed",
    "left-behind",
    "differences",
    "by-intent",
    "keys",
    "left-out",
    "findings",
};
static const char *const s_columns[] = {"what", "path", "text", NULL};

static rmt_record_t *
s_outcome(const rmt_record_t *job)
{
    rmt_record_t *outcome = rmt_record_new();
    for (size_t i = 0; i < sizeof s_shown / sizeof *s_shown; i++) {
        const char *name = strcmp(s_shown[i], "image") == 0 ? "image-name" : s_shown[i];
        const char *value = rmt_record_text(job, name, "");
        if (*value)
            rmt_record_set(outcome, s_shown[i], value);
    }
    return outcome;
}

// Show counts and findings of a job that has ended or runs.
static int
s_show_job(call_t *call, const char *job, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_msg) reply = call_request(call, "job.show", body, NULL, error);
    rmt_auto(rmt_records) findings =
        reply ? call_list(call, "job.findings", body, error) : NULL;
    if (!findings)
        return -1;
    // The count has its own name in JSON, where the list is called findings.
    rmt_auto(rmt_record) outcome = s_outcome(reply->body);
    rmt_record_set(outcome, "found", rmt_record_text(outcome, "findings", "0"));
    rmt_record_remove(outcome, "findings");
    return output_record(outcome, "findings", findings, s_columns, &call->view, error);
}

int
report_made(call_t *call, const rmt_msg_t *reply, bool wait, rmt_error_t *error)
{
    if (!wait)
        return watch_made(call, reply, error);
    unsigned timeout_s = 0;
    const char *timeout = rmt_record_text(call->options, "timeout", NULL);
    if (timeout && moment_parse_span(timeout, &timeout_s, error) == -1)
        return -1;
    const char *job = rmt_record_text(reply->body, "job", "");
    const int status = watch_job(call, job, timeout_s, call->json, error);
    if (status < 0 || status > 2)
        return status;
    return s_show_job(call, job, error) == -1 ? -1 : status;
}
