// Records of sources, engines and targets (M1, M2, M10).
#include "console/cmd.h"
#include "console/import.h"
#include "console/inventory.h"
#include "console/output.h"
#include "console/plan.h"
#include "console/power.h"
#include "console/targets.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_box.h"
#include "crypto/rmt_secret.h"

#include <stdio.h>
#include <string.h>

static const char *const s_source_columns[] = {"name", "address", "present", "place",
                                               NULL};
static const char *const s_engine_columns[] = {"name", "address", "present", "policy",
                                               NULL};
static int
s_list_targets(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_records) targets = targets_list(call, error);
    return targets ? output_list(targets, targets_columns, &call->view, error) : -1;
}

static const char *const s_change_columns[] = {"name", "change", "field",
                                               "had",  "wanted", NULL};

// What an import would add and change. Adds to changes.
static void
s_compare_item(const rmt_record_t *had, const rmt_record_t *wanted,
               rmt_records_t *changes)
{
    for (size_t f = 0; f < rmt_record_count(wanted); f++) {
        const char *field = rmt_record_name_at(wanted, f);
        const char *value = rmt_record_text(wanted, field, "");
        const char *old = had ? rmt_record_text(had, field, "") : "";
        if (strcmp(field, "name") == 0 || strcmp(old, value) == 0)
            continue;
        rmt_record_t *change = rmt_records_add(changes);
        rmt_record_set(change, "name", rmt_record_text(wanted, "name", ""));
        rmt_record_set(change, "change", had ? "change" : "add");
        rmt_record_set(change, "field", field);
        rmt_record_set(change, "had", old);
        rmt_record_set(change, "wanted", value);
    }
}

static int
s_compare(call_t *call, const rmt_records_t *items, rmt_error_t *error)
{
    rmt_auto_str list = rmt_text("%s.list", call->command->noun);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) known = call_list(call, list, body, error);
    if (!known)
        return -1;
    rmt_auto(rmt_records) changes = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        const rmt_record_t *item = rmt_records_at(items, i);
        const char *name = rmt_record_text(item, "name", "");
        s_compare_item(rmt_records_find(known, "name", name), item, changes);
    }
    return output_list(changes, s_change_columns, &call->view, error);
}

static int
s_import(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_records) items = output_import(
        call->operands[0], rmt_record_text(call->options, "map", NULL), error);
    if (!items)
        return -1;
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        if (!rmt_record_has(rmt_records_at(items, i), "name"))
            return rmt_fail(error, RMT_E_USAGE, "import %s: item %zu has no name",
                            call->operands[0], i + 1);
    }
    if (rmt_record_has(call->options, "dry-run"))
        return s_compare(call, items, error);
    rmt_auto(rmt_record) sums = import_records(call, call->command->wire, items, error);
    return sums ? output_record(sums, NULL, NULL, NULL, &call->view, error) : -1;
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

// Shows one that is there; one for another key than this console's in such words. Tells
// whether it was opened.
static bool
s_open_secret(const call_t *call, const rmt_msg_t *reply, const char *name,
              rmt_record_t *shown, rmt_error_t *error)
{
    const char *box = rmt_record_text(reply->body, name, "");
    if (!*box)
        return false;
    rmt_auto_secret text = rmt_box_open(&call->own, box, error);
    rmt_record_set(shown, name, text ? text : "(sealed for another key)");
    return text;
}

// The broker has them sealed for the key of one admin, which this console must have. Two,
// while the disk may have that of before.
static int
s_secret(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    rmt_record_set(body, "name", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "target.secret", body, NULL, error);
    if (!reply)
        return -1;
    rmt_auto(rmt_record) shown = rmt_record_new();
    rmt_record_set(shown, "name", call->operands[0]);
    const bool has_now = s_open_secret(call, reply, "secret", shown, error);
    if (!s_open_secret(call, reply, "secret-before", shown, error) && !has_now)
        return -1;
    if (call->json || rmt_record_has(shown, "secret-before"))
        return output_record(shown, NULL, NULL, NULL, &call->view, error);
    printf("%s\n", rmt_record_text(shown, "secret", ""));
    return 0;
}

static const option_t s_import_options[] = {
    {"map", "HEADING=FIELD",
     "the field of a heading; a heading without FIELD is left out"},
    {"dry-run", NULL, "change nothing; show what would be added and changed"},
    {NULL, NULL, NULL},
};
static const option_t s_remove_options[] = {
    {"force", NULL,
     "remove an engine that is in use, or a target whose agent is present"},
    {"count", "N", "of a list of targets: their number, which confirms it"},
    {NULL, NULL, NULL},
};
static const option_t s_count_options[] = {
    {"count", "N", "of a list of targets: their number, which confirms it"},
    {NULL, NULL, NULL},
};
static const option_t s_hold_options[] = {
    {"reason", "WORDS", "the reason; ramet shows it with the target"},
    {NULL, NULL, NULL},
};
static const option_t s_protect_options[] = {
    {"reason", "WORDS", "the reason; every refusal names it"},
    {NULL, NULL, NULL},
};
static const option_t s_power_options[] = {
    {"yes", NULL, "do not ask before the power of one machine is cut"},
    {"count", "N", "the number of the machines, which confirms it"},
    {"force", NULL, "also machines that a job has locked"},
    {"timeout", "TIME", OPTION_TIMEOUT},
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
// which_: one NAME, or a LIST as of: deploy start --targets.
#define RECORD_ROWS(noun_, columns_, list_, which_)                                      \
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
         which_ " FIELD=VALUE...",                                                       \
         2,                                                                              \
         -1,                                                                             \
         "Change fields of a record; an empty value removes the field.",                 \
         command_run_act,                                                                \
         noun_ ".set",                                                                   \
         NULL,                                                                           \
         s_count_options},                                                               \
        {noun_,                                                                          \
         "import",                                                                       \
         "FILE.json|FILE.csv|-",                                                         \
         1,                                                                              \
         1,                                                                              \
         "Add or change all records of a file, or none of them.",                        \
         s_import,                                                                       \
         noun_ ".import",                                                                \
         NULL,                                                                           \
         s_import_options},                                                              \
        {noun_,                                                                          \
         "approve",                                                                      \
         which_,                                                                         \
         1,                                                                              \
         1,                                                                              \
         "Approve a machine that enrolled without a record.",                            \
         command_run_act,                                                                \
         noun_ ".approve",                                                               \
         NULL,                                                                           \
         s_count_options},                                                               \
    {                                                                                    \
        noun_, "remove", which_, 1, 1, "Remove a record.", command_run_act,              \
            noun_ ".remove", NULL, s_remove_options                                      \
    }

const command_t cmd_record[] = {
    RECORD_ROWS("source", s_source_columns, command_run_list, "NAME"),
    RECORD_ROWS("engine", s_engine_columns, command_run_list, "NAME"),
    RECORD_ROWS("target", targets_columns, s_list_targets, "LIST"),
    {"target", "hold", "LIST", 1, 1, "Keep a target out of every deployment.",
     command_run_act, "target.hold", NULL, s_hold_options},
    {"target", "unhold", "LIST", 1, 1, "End a hold.", command_run_act, "target.unhold",
     NULL, s_count_options},
    {"target", "protect", "LIST", 1, 1,
     "Protect a machine: no job erases it until the protection ends.", command_run_act,
     "target.protect", NULL, s_protect_options},
    {"target", "unprotect", "NAME", 1, 1,
     "End the protection of a machine, also the one by a broker that no longer works.",
     s_unprotect, NULL, NULL, NULL},
    {"target", "secret", "NAME", 1, 1,
     "Show the passphrase that was made for a target's encrypted disk.", s_secret, NULL,
     NULL, NULL},
    {"target", "power", "LIST ACTION", 2, 2,
     "Switch the power: on, off, cycle, netboot, status.", power_run, NULL, power_columns,
     s_power_options},
    {"target", "inventory", "NAME", 1, 1, "Show a target's hardware list.", inventory_run,
     "target.show", inventory_columns, s_inventory_options},
    {"target", "match", "NAME IMAGE", 2, 2,
     "Show, fact by fact, whether a target fits an image. Changes nothing.", plan_target,
     NULL, NULL, s_match_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
