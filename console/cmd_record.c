// Records of sources, engines and targets (M1, M2, M10).
#include "console/cmd.h"
#include "console/inventory.h"
#include "console/output.h"
#include "console/plan.h"
#include "base/rmt_auto.h"

#include <stdio.h>
#include <string.h>

static const char *const s_source_columns[] = {"name", "address", "present", "place",
                                               NULL};
static const char *const s_engine_columns[] = {"name", "address", "present", "policy",
                                               NULL};
static const char *const s_target_columns[] = {"name",       "engine", "address", "state",
                                               "image-name", "since",  "job",     "phase",
                                               "reason",     NULL};

// A target that no admin has approved, or that is silent, is not free for a job.
static const char *
s_target_state(const rmt_record_t *target)
{
    const char *state = rmt_record_text(target, "state", "");
    if (strcmp(state, "free") != 0)
        return state;
    return !rmt_record_flag(target, "approved")  ? "pending"
           : !rmt_record_flag(target, "present") ? "absent"
                                                 : "free";
}

// Name the image that runs on each target, and say since when.
static int
s_name_images(call_t *call, rmt_records_t *targets, rmt_error_t *error)
{
    rmt_auto(rmt_records) images = NULL;
    for (size_t i = 0; i < rmt_records_count(targets); i++) {
        rmt_record_t *target = rmt_records_at(targets, i);
        rmt_auto_str id = strdup(rmt_record_text(target, "image", ""));
        rmt_auto_str since = strdup(rmt_record_text(target, "confirmed-at", ""));
        rmt_auto_str state = strdup(s_target_state(target));
        rmt_record_set(target, "state", state);
        if (*since)
            rmt_record_set(target, "since", since);
        rmt_auto(rmt_record) body = rmt_record_new();
        if (*id && !images && !(images = call_list(call, "image.list", body, error)))
            return -1;
        const rmt_record_t *image = *id ? rmt_records_find(images, "id", id) : NULL;
        if (image)
            rmt_record_set(target, "image-name", rmt_record_text(image, "name", ""));
    }
    return 0;
}

static int
s_list_targets(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) targets = call_list(call, "target.list", body, error);
    if (!targets || s_name_images(call, targets, error) == -1)
        return -1;
    return output_list(targets, s_target_columns, &call->view, error);
}

static int
s_import(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_records) items = output_import(call->operands[0], error);
    if (!items)
        return -1;
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        if (!rmt_record_has(rmt_records_at(items, i), "name"))
            return rmt_fail(error, RMT_E_USAGE, "import %s: item %zu has no name",
                            call->operands[0], i + 1);
    }
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = call_request(call, call->command->wire, body, items, error);
    if (!reply)
        return -1;
    return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
}

// What still protects the machine is told, for then no job takes it.
static int
s_unprotect(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    rmt_record_set(body, "name", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "target.unprotect", body, NULL, error);
    if (!reply)
        return -1;
    const char *why = rmt_record_text(reply->body, "protected", "");
    if (call->json)
        return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
    if (*why)
        fprintf(stderr, "target %s is still protected: %s\n", call->operands[0], why);
    else
        fprintf(stderr, "target.unprotect %s: done\n", call->operands[0]);
    return 0;
}

static const option_t s_hold_options[] = {
    {"reason", "WORDS", "the reason; ramet shows it with the target"},
    {NULL, NULL, NULL},
};
static const option_t s_protect_options[] = {
    {"reason", "WORDS", "the reason; every refusal names it"},
    {NULL, NULL, NULL},
};
static const option_t s_inventory_options[] = {
    {"raw", NULL, "show every fact as the agent sent it, one device a line"},
    {NULL, NULL, NULL},
};
static const option_t s_match_options[] = {
    {"policy", "CLASS=RULE", "the same as in: ramet deploy plan"},
    {"timeout", "TIME", OPTION_PLAN_TIMEOUT},
    {NULL, NULL, NULL},
};
#define RECORD_ROWS(noun_, columns_, list_)                                              \
    {                                                                                    \
        noun_, "list",        "",       0,   0, "List all records.",                     \
        list_, noun_ ".list", columns_, NULL},                                           \
        {noun_,         "show", "NAME", 1, 1, "Show one record.", command_run_show,      \
         noun_ ".show", NULL,   NULL},                                                   \
        {noun_,                                                                          \
         "add",                                                                          \
         "NAME [FIELD=VALUE]...",                                                        \
         1,                                                                              \
         -1,                                                                             \
         "Add a record by hand.",                                                        \
         command_run_act,                                                                \
         noun_ ".add",                                                                   \
         NULL,                                                                           \
         NULL},                                                                          \
        {noun_,                                                                          \
         "set",                                                                          \
         "NAME FIELD=VALUE...",                                                          \
         2,                                                                              \
         -1,                                                                             \
         "Change fields of a record; an empty value removes the field.",                 \
         command_run_act,                                                                \
         noun_ ".set",                                                                   \
         NULL,                                                                           \
         NULL},                                                                          \
        {noun_,                                                                          \
         "import",                                                                       \
         "FILE.json|FILE.csv",                                                           \
         1,                                                                              \
         1,                                                                              \
         "Add or change all records of a file, or none of them.",                        \
         s_import,                                                                       \
         noun_ ".import",                                                                \
         NULL,                                                                           \
         NULL},                                                                          \
        {noun_,                                                                          \
         "approve",                                                                      \
         "NAME",                                                                         \
         1,                                                                              \
         1,                                                                              \
         "Approve a machine that enrolled without a record.",                            \
         command_run_act,                                                                \
         noun_ ".approve",                                                               \
         NULL,                                                                           \
         NULL},                                                                          \
    {                                                                                    \
        noun_, "remove", "NAME", 1, 1, "Remove a record.", command_run_act,              \
            noun_ ".remove", NULL, NULL                                                  \
    }

const command_t cmd_record[] = {
    RECORD_ROWS("source", s_source_columns, command_run_list),
    RECORD_ROWS("engine", s_engine_columns, command_run_list),
    RECORD_ROWS("target", s_target_columns, s_list_targets),
    {"target", "hold", "NAME", 1, 1, "Keep a target out of every deployment.",
     command_run_act, "target.hold", NULL, s_hold_options},
    {"target", "unhold", "NAME", 1, 1, "End a hold.", command_run_act, "target.unhold",
     NULL, NULL},
    {"target", "protect", "NAME", 1, 1,
     "Protect a machine: no job erases it until the protection ends.", command_run_act,
     "target.protect", NULL, s_protect_options},
    {"target", "unprotect", "NAME", 1, 1,
     "End the protection of a machine, also the one by a broker that no longer works.",
     s_unprotect, NULL, NULL, NULL},
    {"target", "inventory", "NAME", 1, 1, "Show a target's hardware list.", inventory_run,
     "target.show", inventory_columns, s_inventory_options},
    {"target", "match", "NAME IMAGE", 2, 2,
     "Show, fact by fact, whether a target fits an image. Changes nothing.", plan_target,
     NULL, NULL, s_match_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
