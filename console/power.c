#include "console/power.h"
#include "console/confirm.h"
#include "console/moment.h"
#include "console/output.h"
#include "console/select.h"
#include "console/targets.h"
#include "console/watch.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX 1000 // Machines of a request, as the broker takes them

const char *const power_columns[] = {"name", "engine", "power", "text", NULL};

typedef struct {
    call_t *call;
    const char *action;
    rmt_records_t *chosen;   // {target, engine}
    rmt_records_t *outcomes; // {name, engine, action, power, code, text, job}
    rmt_records_t *jobs;     // {job, engine}
} power_t;

static int
s_check_action(const char *word, bool *breaks_out, rmt_error_t *error)
{
    static const char *const words[] = {"on", "status", "off", "cycle", "netboot"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        *breaks_out = i > 1;
        if (strcmp(words[i], word) == 0)
            return 0;
    }
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.32s' is not an action; write on, off, cycle, netboot or status",
                    word);
}

// ---- Requests

static void
s_add_outcome(power_t *self, const rmt_record_t *item, const char *engine,
              const char *job)
{
    rmt_record_t *outcome = rmt_records_add(self->outcomes);
    rmt_record_set(outcome, "name", rmt_record_text(item, "target", "?"));
    rmt_record_set(outcome, "engine", engine);
    rmt_record_set(outcome, "action", self->action);
    rmt_record_set(outcome, "power", rmt_record_text(item, "what", "failed"));
    rmt_record_set(outcome, "code", rmt_record_text(item, "code", "0"));
    rmt_record_set(outcome, "text", rmt_record_text(item, "text", ""));
    if (*job)
        rmt_record_set(outcome, "job", job);
}

// Those of an engine that the broker refuses as a whole fail one by one: other engines
// go on.
static void
s_request(power_t *self, const char *engine, rmt_records_t *items)
{
    rmt_error_t why = {0};
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "action", self->action);
    rmt_record_set_u64(body, "count", rmt_records_count(items));
    if (rmt_record_has(self->call->options, "force"))
        rmt_record_set(body, "force", "yes");
    rmt_auto(rmt_msg) reply = call_request(self->call, "target.power", body, items, &why);
    for (size_t i = 0; reply && i < rmt_records_count(reply->items); i++)
        s_add_outcome(self, rmt_records_at(reply->items, i), engine, "");
    if (reply) {
        rmt_record_t *job = rmt_records_add(self->jobs);
        rmt_record_set(job, "job", rmt_record_text(reply->body, "job", ""));
        rmt_record_set(job, "engine", engine);
        return;
    }
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        rmt_record_t *item = rmt_records_at(items, i);
        rmt_record_set_u64(item, "code", why.code);
        rmt_record_set(item, "text", why.text);
        s_add_outcome(self, item, engine, "");
    }
}

// The machines of the engine of the first one that is left, at most so many as a request
// may have. They leave the list of those that are left.
static void
s_request_next(power_t *self, rmt_records_t **left_p)
{
    rmt_auto(rmt_records) left = *left_p;
    rmt_auto_str engine = strdup(rmt_record_text(rmt_records_at(left, 0), "engine", ""));
    rmt_auto(rmt_records) items = rmt_records_new();
    *left_p = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(left); i++) {
        const rmt_record_t *machine = rmt_records_at(left, i);
        const bool is_next = rmt_record_is(machine, "engine", engine) &&
                             rmt_records_count(items) < REQUEST_MAX;
        rmt_record_t *copy = rmt_record_dup(machine);
        if (is_next)
            rmt_record_remove(copy, "engine");
        rmt_records_append(is_next ? items : *left_p, &copy);
    }
    s_request(self, engine, items);
}

// ---- Their ends

// Follow a job, then take its findings. The exit status of the watch, or -1.
static int
s_follow(power_t *self, const rmt_record_t *row, unsigned timeout_s, rmt_error_t *error)
{
    const char *job = rmt_record_text(row, "job", "");
    const char *engine = rmt_record_text(row, "engine", "");
    const int status = watch_job(self->call, job, timeout_s, self->call->json, error);
    if (status < 0 || status > 2)
        return status;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_records) findings = call_list(self->call, "job.findings", body, error);
    if (!findings)
        return -1;
    for (size_t i = 0; i < rmt_records_count(findings); i++)
        s_add_outcome(self, rmt_records_at(findings, i), engine, job);
    if (status != 0 && rmt_records_count(findings) == 0) {
        rmt_auto(rmt_msg) reply = call_request(self->call, "job.show", body, NULL, error);
        if (!reply)
            return -1;
        return rmt_fail(error, RMT_E_UNAVAILABLE, "engine %s: %s", engine,
                        rmt_record_text(reply->body, "error", "the job ended"));
    }
    return 0;
}

static int
s_show(power_t *self, rmt_error_t *error)
{
    size_t failed = 0;
    const size_t count = rmt_records_count(self->outcomes);
    for (size_t i = 0; i < count; i++)
        failed += rmt_record_u64(rmt_records_at(self->outcomes, i), "code", 0) != 0;
    if (output_list(self->outcomes, power_columns, &self->call->view, error) == -1)
        return -1;
    return failed == 0 ? 0 : failed < count ? 1 : 2;
}

static int
s_run(power_t *self, rmt_error_t *error)
{
    unsigned timeout_s = 0;
    const char *timeout = rmt_record_text(self->call->options, "timeout", NULL);
    if (timeout && moment_parse_span(timeout, &timeout_s, error) == -1)
        return -1;
    rmt_auto(rmt_records) left = rmt_records_dup(self->chosen);
    while (rmt_records_count(left) > 0)
        s_request_next(self, &left);
    int worst = 0; // Of the first engine whose machines cannot be told of
    for (size_t i = 0; i < rmt_records_count(self->jobs); i++) {
        rmt_error_t why = {0};
        const int rc = s_follow(self, rmt_records_at(self->jobs, i), timeout_s, &why);
        if (rc != 0 && worst == 0) {
            worst = rc;
            *error = why;
        }
    }
    if (worst != 0 && rmt_records_count(self->outcomes) == 0)
        return worst;
    rmt_error_t unshown = {0};
    const int shown = s_show(self, worst == 0 ? error : &unshown);
    return worst != 0 ? worst : shown;
}

int
power_run(call_t *call, rmt_error_t *error)
{
    bool breaks;
    power_t self = {.call = call, .action = call->operands[1]};
    if (s_check_action(self.action, &breaks, error) == -1)
        return -1;
    rmt_auto(rmt_records) known = targets_list(call, error);
    rmt_auto(rmt_records) chosen =
        known ? select_targets(call->operands[0], known, error) : NULL;
    if (!chosen || (breaks && confirm_power(call, self.action, chosen, error) == -1))
        return -1;
    for (size_t i = 0; i < rmt_records_count(chosen); i++) {
        rmt_record_t *item = rmt_records_at(chosen, i);
        const rmt_record_t *target =
            rmt_records_find(known, "name", rmt_record_text(item, "target", ""));
        rmt_record_set(item, "engine", rmt_record_text(target, "engine", ""));
    }
    rmt_auto(rmt_records) outcomes = rmt_records_new();
    rmt_auto(rmt_records) jobs = rmt_records_new();
    self.chosen = chosen;
    self.outcomes = outcomes;
    self.jobs = jobs;
    return s_run(&self, error);
}
