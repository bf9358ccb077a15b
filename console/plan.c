#include "console/plan.h"
#include "console/fold.h"
#include "console/output.h"
#include "console/release.h"
#include "console/table.h"
#include "base/rmt_auto.h"
#include "facts/rmt_policy.h"
#include "wire/rmt_codec.h"
#include "console/watch.h"
#include "console/moment.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT "10m"

const char *const plan_columns[] = {"target", "engine",   "fits", "available",
                                    "reason", "warnings", NULL};
static const char *const s_fact_columns[] = {"component", "fact", "policy", "wanted",
                                             "had",       "fits", "reason", NULL};
static const char *const s_choice_columns[] = {"role",  "disk",  "name",
                                               "bytes", "class", NULL};

// The records packed in a field; NULL for none.
static rmt_records_t *
s_unpack(const rmt_record_t *item, const char *field)
{
    size_t size = 0;
    rmt_error_t ignored = {0};
    const void *packed = rmt_record_get(item, field, &size);
    return packed ? rmt_codec_unpack_records(packed, size, size + 1, &ignored) : NULL;
}

static void
s_explain(const rmt_records_t *items, const view_t *view)
{
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        const rmt_record_t *item = rmt_records_at(items, i);
        rmt_auto(rmt_records) verdicts = s_unpack(item, "verdicts");
        rmt_auto(rmt_records) choice = s_unpack(item, "choice");
        printf("\n%s\n", rmt_record_text(item, "target", "?"));
        if (verdicts)
            table_print(verdicts, s_fact_columns, view);
        if (choice && rmt_records_count(choice)) {
            putchar('\n');
            table_print(choice, s_choice_columns, view);
        }
    }
}

// Follow the job. When its time is over it is not stopped, and what it waits for is
// named. The exit status, or -1.
static int
s_await(call_t *call, const char *job, rmt_error_t *error)
{
    unsigned timeout_s = 0;
    const char *timeout = rmt_record_text(call->options, "timeout", TIMEOUT);
    if (moment_parse_span(timeout, &timeout_s, error) == -1)
        return -1;
    const int status = watch_job(call, job, timeout_s, true, error);
    if (status != -1 || error->code != RMT_E_TIMEOUT)
        return status;
    rmt_auto(rmt_record) ask = rmt_record_new();
    rmt_record_set(ask, "job", job);
    rmt_auto(rmt_msg) shown = call_request(call, "job.show", ask, NULL, error);
    if (!shown)
        return -1;
    const char *stuck = rmt_record_text(shown->body, "stuck", "its engines match");
    fprintf(stderr,
            "ramet: the plan is not complete after %s: %s; it continues: ramet job show "
            "%s\n",
            timeout, stuck, job);
    return rmt_code_exit(RMT_E_TIMEOUT);
}

// The verdicts, once the job has ended well or its time is over. *status_out is the
// job's.
static rmt_records_t *
s_match(call_t *call, rmt_record_t *body, int *status_out, rmt_error_t *error)
{
    *status_out = -1;
    if (release_say(call, rmt_record_text(body, "image", ""), error) == -1)
        return NULL;
    rmt_auto(rmt_msg) reply = call_request(call, "deploy.plan", body, NULL, error);
    if (!reply)
        return NULL;
    const char *job = rmt_record_text(reply->body, "job", "");
    *status_out = s_await(call, job, error);
    const bool is_late = *status_out == rmt_code_exit(RMT_E_TIMEOUT);
    if (*status_out > 1 && !is_late && *status_out != WATCH_INTERRUPTED)
        fprintf(stderr, "ramet: the plan failed; see: ramet job show %s\n", job);
    if (*status_out < 0 || (*status_out > 1 && !is_late))
        return NULL;
    if (*status_out == 1)
        fprintf(stderr, "ramet: some engines did not answer; see: ramet job show %s\n",
                job);
    rmt_auto(rmt_record) ask = rmt_record_new();
    rmt_record_set(ask, "job", job);
    return call_list(call, "job.verdicts", ask, error);
}

int
plan_run(call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    int status;
    rmt_auto(rmt_records) items = s_match(call, body, &status, error);
    if (!items)
        return status > 1 ? status : -1;
    // A person reads equal reasons once.
    const bool is_folded = view_is_usual(&call->view) && isatty(STDOUT_FILENO);
    rmt_auto(rmt_records) folded =
        is_folded ? fold_items(items, "target", plan_columns) : NULL;
    if (output_list(folded ? folded : items, plan_columns, &call->view, error) == -1)
        return -1;
    if (call->view.format <= VIEW_WIDE && rmt_record_has(call->options, "explain"))
        s_explain(items, &call->view);
    return status;
}

rmt_records_t *
plan_verdicts(call_t *call, const rmt_record_t *body, rmt_error_t *error)
{
    static const char *const fields[] = {"image", "engines", "policy",
                                         "accept-incomplete"};
    rmt_auto(rmt_record) plan = rmt_record_new();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (rmt_record_has(body, fields[i]))
            rmt_record_set(plan, fields[i], rmt_record_text(body, fields[i], ""));
    int status = 0;
    fputs("ramet: asking the engines which disks fit; nothing is locked yet\n", stderr);
    rmt_auto(rmt_records) items = s_match(call, plan, &status, error);
    if (items && status == 0)
        return rmt_take(&items);
    if (status == WATCH_INTERRUPTED)
        rmt_fail(error, RMT_E_CANCELLED,
                 "no deployment was started; the job that continues is its plan alone, "
                 "which changes nothing");
    else if (status >= 0)
        rmt_fail(error, RMT_E_UNAVAILABLE,
                 "the engines did not choose the disks, so no deployment was started; "
                 "see: ramet job list");
    return NULL;
}

rmt_records_t *
plan_read(call_t *call, const rmt_record_t *body, rmt_error_t *error)
{
    static const char *const fields[] = {"image", "engines", "policy"};
    const char *plan = rmt_record_text(call->options, "plan", "");
    rmt_auto(rmt_record) ask = rmt_record_new();
    rmt_record_set(ask, "job", plan);
    rmt_auto(rmt_msg) shown = call_request(call, "job.show", ask, NULL, error);
    if (!shown)
        return NULL;
    if (!rmt_record_is(shown->body, "kind", "plan") ||
        !rmt_record_is(shown->body, "state", "done")) {
        rmt_fail(error, RMT_E_REFUSED,
                 "job %s is not a plan that has ended well; see: ramet job show %s", plan,
                 plan);
        return NULL;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *planned = rmt_record_text(shown->body, fields[i], "");
        const char *wanted = rmt_record_text(body, fields[i], "");
        if (strcmp(planned, wanted) != 0) {
            rmt_fail(error, RMT_E_REFUSED,
                     "the plan %s has the %s \"%.64s\", and the deployment \"%.64s\"",
                     plan, fields[i], planned, wanted);
            return NULL;
        }
    }
    return call_list(call, "job.verdicts", ask, error);
}

int
plan_target(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "target", call->operands[0]);
    rmt_record_set(body, "image", call->operands[1]);
    rmt_record_set(body, "explain", "yes");
    const char *policy = rmt_record_text(call->options, "policy", "");
    if (rmt_policy_check(policy, error) == -1)
        return -1;
    rmt_record_set(body, "policy", policy);
    int status;
    rmt_auto(rmt_records) items = s_match(call, body, &status, error);
    if (!items)
        return status > 1 ? status : -1;
    if (output_list(items, plan_columns, &call->view, error) == -1)
        return -1;
    if (call->view.format <= VIEW_WIDE)
        s_explain(items, &call->view);
    const rmt_record_t *item = rmt_records_find(items, "target", call->operands[0]);
    if (!item && status > 1)
        return status;
    return item && rmt_record_flag(item, "fits") ? 0 : 1;
}
