// Planning and starting a deployment (M10 - M14).
#include "console/cmd.h"
#include "console/confirm.h"
#include "console/deploy.h"
#include "console/output.h"
#include "console/plan.h"
#include "base/rmt_auto.h"
#include "facts/rmt_policy.h"
#include "console/targets.h"
#include "console/warrant.h"
#include "console/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rmt_record_t *
s_body(call_t *call, rmt_error_t *error)
{
    if (!rmt_record_has(call->options, "engine")) {
        rmt_fail(error, RMT_E_USAGE,
                 "the plan needs engines: --engine E; see: ramet engine list");
        return NULL;
    }
    if (rmt_policy_check(rmt_record_text(call->options, "policy", ""), error) == -1)
        return NULL;
    rmt_record_t *body = call_body(call);
    static const char *const local[] = {"targets", "select", "yes",        "wait",
                                        "timeout", "valid",  "allow-older"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        rmt_record_remove(body, local[i]);
    const char *engines = rmt_record_text(call->options, "engine", "");
    rmt_record_set(body, "engines", engines);
    rmt_record_remove(body, "engine");
    rmt_record_set(body, "image", call->operands[0]);
    return body;
}

static int
s_plan(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = s_body(call, error);
    return body ? plan_run(call, body, error) : -1;
}

static char *
s_ask_targets(call_t *call, const char *engines, rmt_error_t *error)
{
    const char *list = rmt_record_text(call->options, "targets", NULL);
    if (list)
        return strdup(list);
    if (!isatty(STDIN_FILENO)) {
        rmt_fail(
            error, RMT_E_USAGE,
            "the deployment needs targets: --targets LIST; \"all\" is never implied");
        return NULL;
    }
    if (isatty(STDOUT_FILENO) && targets_show_choice(call, engines, error) == -1)
        return NULL;
    fputs("Targets (n1,r12-n[01-40] or rack=r12,position=3; blanks add more): ", stderr);
    char *line = NULL;
    size_t room = 0;
    if (getline(&line, &room, stdin) <= 0) {
        free(line);
        rmt_fail(error, RMT_E_CANCELLED, "nothing was changed");
        return NULL;
    }
    return line;
}

static int
s_start_on(call_t *call, rmt_record_t *body, const char *list, rmt_error_t *error)
{
    deploy_t deploy;
    rmt_auto(rmt_msg) reply = NULL;
    const bool is_dry = rmt_record_has(body, "dry-run");
    if (deploy_choose(&deploy, call, body, list, error) == 0 && is_dry)
        reply = call_request(call, "deploy.start", body, deploy.items, error);
    else if (deploy.items &&
             confirm_erase(call, "deploy.start", body, deploy.items, error) == 0)
        reply = deploy_start(&deploy, call, error);
    deploy_free(&deploy);
    if (is_dry)
        return reply ? output_record(reply->body, NULL, NULL, NULL, &call->view, error)
                     : -1;
    return reply ? watch_made(call, reply, error) : -1;
}

static int
s_start(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = s_body(call, error);
    if (!body)
        return -1;
    rmt_auto_str list = s_ask_targets(call, rmt_record_text(body, "engines", ""), error);
    return list ? s_start_on(call, body, list, error) : -1;
}

static const option_t s_plan_options[] = {
    {"engine", "E", "engines to look at; may be given several times"},
    {"policy", "CLASS=RULE",
     "exact, family, at-least or ignore for a class of component"},
    {"explain", NULL, "show every compared fact of every target"},
    {"timeout", "TIME", OPTION_PLAN_TIMEOUT},
    {"accept-incomplete", NULL, "allow an image that is INCOMPLETE"},
    {NULL, NULL, NULL},
};
static const option_t s_start_options[] = {
    {"engine", "E", "engines; may be given several times"},
    {"targets", "LIST",
     "names and ranges n1,r12-n[01-40], narrowed by conditions rack=r12,position!=3; "
     "given "
     "again, it adds machines"},
    {"policy", "CLASS=RULE", "the same as in: ramet deploy plan"},
    {"partial", NULL, "continue with the targets that can be locked"},
    {"when-booted", NULL, "include absent targets, and install them when they netboot"},
    {"power", NULL,
     "switch on the targets that are absent, or restart them from the network, and wait "
     "for "
     "them"},
    {"take-over", NULL,
     "include targets that a job has left locked, if their writers have ended"},
    {"accept-incomplete", NULL, "allow an image that is INCOMPLETE"},
    {"canary", "N",
     "install N targets first; the others follow when each of the N has confirmed its "
     "first boot, or has failed within --max-failures"},
    {"max-failures", "K", "start no more targets after K failures"},
    {"at", "TIME", "begin then: 2026-11-30 22:00, 2026-11-30T22:00:00Z, or +2h"},
    {"window", "FROM-TO",
     "begin targets in this part of each day alone: 22:00-04:00, or 22:00-04:00Z for "
     "UTC"},
    {"boot-timeout", "TIME",
     "time for the first boot, and for a start by --power: 90s, 30m (default 15m)"},
    {"allow-older", NULL, OPTION_ALLOW_OLDER},
    {"valid", "TIME", OPTION_VALID},
    {"dry-run", NULL, "change nothing; show what would be erased and switched"},
    {"yes", NULL, CONFIRM_YES},
    {"count", "N", CONFIRM_COUNT},
    {"wait", NULL, "follow the job to its end"},
    {"timeout", "TIME", "with --wait: " OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};

const command_t cmd_deploy[] = {
    {"deploy", "plan", "IMAGE", 1, 1,
     "Compare an image with the targets of engines and show why each fits or not. "
     "Changes nothing.",
     s_plan, NULL, plan_columns, s_plan_options},
    {"deploy", "start", "IMAGE", 1, 1, "Lock the targets, then erase and install them.",
     s_start, NULL, NULL, s_start_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
