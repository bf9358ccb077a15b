#include "gateway/acts.h"
#include "base/rmt_auto.h"
#include "console/bulk.h"
#include "console/command.h"
#include "console/deploy.h"
#include "console/job.h"
#include "console/object.h"
#include "console/release.h"
#include "console/select.h"
#include "console/targets.h"
#include "console/warrant.h"
#include "facts/rmt_policy.h"

#include <assert.h>
#include <string.h>

#define API "/api/v1/"
#define FIELDS_MAX 14

// What an act answers.
typedef struct {
    rmt_record_t *record;
    const char *list_name;
    rmt_records_t *list; // May be NULL
} answer_t;

typedef int(act_fn)(call_t *call, rmt_record_t *body, answer_t *answer,
                    rmt_error_t *error);
typedef struct {
    const char *noun, *verb;
    act_fn *act;
    const char *needed[FIELDS_MAX], *may[FIELDS_MAX]; // Fields of the body
} act_t;

// Take the reply of a request as the answer.
static int
s_take(answer_t *answer, const rmt_msg_t *reply, const char *list_name)
{
    if (!reply)
        return -1;
    answer->record = reply->body ? rmt_record_dup(reply->body) : rmt_record_new();
    job_set_name(answer->record, "job");
    answer->list_name = list_name;
    if (reply->items)
        answer->list = rmt_records_dup(reply->items);
    return 0;
}

static int
s_create_image(call_t *call, rmt_record_t *body, answer_t *answer, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = call_act(call, "image.create", body, NULL, error);
    return s_take(answer, reply, NULL);
}

static int
s_plan(call_t *call, rmt_record_t *body, answer_t *answer, rmt_error_t *error)
{
    rmt_auto_str engines = strdup(rmt_record_text(body, "engine", ""));
    rmt_record_remove(body, "engine");
    rmt_record_set(body, "engines", engines);
    if (rmt_policy_check(rmt_record_text(body, "policy", ""), error) == -1 ||
        release_say(call, rmt_record_text(body, "image", ""), error) == -1)
        return -1;
    rmt_auto(rmt_msg) reply = call_act(call, "deploy.plan", body, NULL, error);
    return s_take(answer, reply, NULL);
}

// Ask what a request would erase.
static int
s_look(call_t *call, const char *verb, rmt_record_t *body, rmt_records_t *items,
       answer_t *answer, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = call_request(call, verb, body, items, error);
    if (s_take(answer, reply, "erased") == -1)
        return -1;
    rmt_records_destroy(&answer->list);
    if (items)
        answer->list = targets_erased(call, items, error);
    return !items || answer->list ? 0 : -1;
}

static int
s_need_count(const rmt_record_t *body, rmt_error_t *error)
{
    if (rmt_record_has(body, "count"))
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "the field count is missing: how many targets this erases, as the "
                    "answer to the same request with \"dry-run\": true says");
}

// Image, engines and policy are those of the plan, so what was shown is what is done.
static int
s_of_plan(call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    static const char *const fields[] = {"image", "engines", "policy",
                                         "accept-incomplete"};
    rmt_auto(rmt_msg) plan =
        job_show(call, rmt_record_text(call->options, "plan", ""), error);
    if (!plan)
        return -1;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (rmt_record_has(plan->body, fields[i]))
            rmt_record_set(body, fields[i], rmt_record_text(plan->body, fields[i], ""));
    rmt_record_remove(body, "plan");
    rmt_record_remove(body, "targets");
    rmt_record_remove(body, "allow-older");
    rmt_record_remove(body, "valid");
    return 0;
}

static int
s_start(call_t *call, rmt_record_t *body, answer_t *answer, rmt_error_t *error)
{
    const bool is_dry = rmt_record_flag(body, "dry-run");
    if ((!is_dry && s_need_count(body, error) == -1) ||
        s_of_plan(call, body, error) == -1)
        return -1;
    deploy_t deploy;
    int rc = deploy_choose(&deploy, call, body,
                           rmt_record_text(call->options, "targets", ""), error);
    if (rc == 0 && is_dry) {
        rc = s_look(call, "deploy.start", body, deploy.items, answer, error);
    } else if (rc == 0) {
        rmt_auto(rmt_msg) reply = deploy_start(&deploy, call, error);
        rc = s_take(answer, reply, NULL);
    }
    deploy_free(&deploy);
    return rc;
}

static int
s_retry(call_t *call, rmt_record_t *body, answer_t *answer, rmt_error_t *error)
{
    rmt_record_remove(body, "plan");
    rmt_record_remove(body, "allow-older");
    rmt_record_remove(body, "valid");
    if (rmt_record_flag(body, "dry-run"))
        return s_look(call, "job.retry", body, NULL, answer, error);
    if (s_need_count(body, error) == -1 || warrant_sign_retry(call, body, error) == -1)
        return -1;
    rmt_auto(rmt_msg) reply = call_act(call, "job.retry", body, NULL, error);
    return s_take(answer, reply, NULL);
}

static int
s_cancel(call_t *call, rmt_record_t *body, answer_t *answer, rmt_error_t *error)
{
    rmt_auto(rmt_records) items = NULL;
    const char *list = rmt_record_text(call->options, "targets", NULL);
    rmt_record_remove(body, "targets");
    if (list) {
        rmt_auto(rmt_records) known = targets_list(call, error);
        items = known ? select_targets(list, known, error) : NULL;
        if (!items)
            return -1;
    }
    rmt_auto(rmt_msg) reply = call_act(call, "job.cancel", body, items, error);
    return s_take(answer, reply, "targets");
}

static int
s_set_one(call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = call_act(call, call->command->wire, body, NULL, error);
    return reply ? 0 : -1;
}

static int
s_set(call_t *call, rmt_record_t *body, answer_t *answer, rmt_error_t *error)
{
    rmt_auto_str list = strdup(rmt_record_text(body, "targets", ""));
    rmt_record_remove(body, "targets");
    rmt_record_remove(body, "count");
    char *operands[] = {list};
    call->operands = operands;
    call->operand_count = 1;
    answer->list_name = "items";
    answer->list = bulk_each(call, body, "name", bulk_needs_count(call->command->verb),
                             s_set_one, error);
    call->operands = NULL;
    call->operand_count = 0;
    return answer->list ? 0 : -1;
}

static const act_t s_acts[] = {
    {"image",
     "create",
     s_create_image,
     {"source"},
     {"name", "place", "exclude", "without", "raw", "paranoid"}},
    {"deploy",
     "plan",
     s_plan,
     {"image", "engine"},
     {"policy", "explain", "accept-incomplete"}},
    {"deploy",
     "start",
     s_start,
     {"plan", "targets"},
     {"count", "dry-run", "partial", "when-booted", "power", "take-over", "canary",
      "max-failures", "boot-timeout", "at", "window", "allow-older", "valid"}},
    {"job", "cancel", s_cancel, {"job"}, {"targets"}},
    {"job",
     "retry",
     s_retry,
     {"job"},
     {"plan", "count", "dry-run", "allow-older", "valid"}},
    {"target", "hold", s_set, {"targets", "reason"}, {NULL}},
    {"target", "unhold", s_set, {"targets"}, {"count"}},
};

static const act_t *
s_find(const char *path)
{
    for (size_t i = 0; i < sizeof s_acts / sizeof *s_acts; i++) {
        char own[64];
        snprintf(own, sizeof own, API "%s/%s", s_acts[i].noun, s_acts[i].verb);
        if (strcmp(own, path) == 0)
            return &s_acts[i];
    }
    return NULL;
}

bool
acts_has(const char *path)
{
    return s_find(path);
}

static bool
s_is_in(const char *name, const char *const names[FIELDS_MAX])
{
    for (size_t i = 0; i < FIELDS_MAX && names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

// A word that an act does not know would have no effect, unseen.
static int
s_check(const act_t *act, const rmt_record_t *fields, rmt_error_t *error)
{
    for (size_t i = 0; i < FIELDS_MAX && act->needed[i]; i++)
        if (!*rmt_record_text(fields, act->needed[i], ""))
            return rmt_fail(error, RMT_E_USAGE, "the field %s is missing, or no text",
                            act->needed[i]);
    for (size_t i = 0; i < rmt_record_count(fields); i++) {
        const char *name = rmt_record_name_at(fields, i);
        if (!s_is_in(name, act->needed) && !s_is_in(name, act->may))
            return rmt_fail(error, RMT_E_USAGE,
                            "%s %s has no field %.64s; docs/spec/11-http.md has those "
                            "that it takes",
                            act->noun, act->verb, name);
    }
    return 0;
}

static char *
s_run(call_t *call, const act_t *act, rmt_error_t *error)
{
    answer_t answer = {.record = NULL};
    rmt_auto(rmt_record) body = rmt_record_dup(call->options);
    const int rc = act->act(call, body, &answer, error);
    char *text = NULL;
    if (rc == 0) {
        rmt_auto(rmt_record) none = rmt_record_new();
        rmt_auto(rmt_records) empty = rmt_records_new();
        const output_section_t sections[] = {
            {"said", call->said, NULL},
            {answer.list_name, answer.list ? answer.list : empty, NULL},
        };
        text = object_sections(answer.record ? answer.record : none, sections,
                               answer.list_name ? 2 : 1);
    }
    rmt_record_destroy(&answer.record);
    rmt_records_destroy(&answer.list);
    return text;
}

char *
acts_run(call_t *call, const char *path, const char *body, rmt_error_t *error)
{
    assert(call && path && body && error);
    const act_t *act = s_find(path);
    if (!act) {
        rmt_fail(error, RMT_E_NOT_FOUND, "the path %.128s does not exist", path);
        return NULL;
    }
    rmt_record_destroy(&call->options);
    call->options = object_read(body, strlen(body), error);
    if (!call->options) {
        call->options = rmt_record_new();
        rmt_wrap(error, "the body is not the JSON object that %s %s takes", act->noun,
                 act->verb);
        return NULL;
    }
    call->command = command_find(act->noun, act->verb);
    call->act_count = 0;
    call->said = rmt_records_new();
    char *text = s_check(act, call->options, error) == 0 ? s_run(call, act, error) : NULL;
    rmt_records_destroy(&call->said);
    return text;
}
