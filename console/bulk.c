#include "console/bulk.h"
#include "console/confirm.h"
#include "console/field.h"
#include "console/fold.h"
#include "console/output.h"
#include "console/select.h"
#include "console/targets.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SIZE 200

bool
bulk_is_list(const char *word)
{
    return strpbrk(word, ",[=<>( ") != NULL;
}

bool
bulk_needs_count(const char *verb)
{
    return strcmp(verb, "hold") != 0 && strcmp(verb, "protect") != 0;
}

// Those whose outcome was the same, in one line.
static void
s_tell(call_t *call, rmt_records_t *outcomes, const char *text)
{
    const size_t count = rmt_records_count(outcomes);
    rmt_auto_ptr memory = calloc(count + 1, sizeof(char *));
    const char **names = memory;
    assert(names);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        rmt_record_t *outcome = rmt_records_at(outcomes, i);
        if (rmt_record_has(outcome, "told") || !rmt_record_is(outcome, "text", text))
            continue;
        rmt_record_set(outcome, "told", "yes");
        names[used++] = rmt_record_text(outcome, "name", "");
    }
    rmt_auto_str folded = fold_names(names, used, NAMES_SIZE);
    rmt_auto_str safe = field_safe(text, strlen(text));
    fprintf(stderr, "%s %s %s: %s\n", call->command->noun, call->command->verb, folded,
            safe);
}

static int
s_tell_all(call_t *call, rmt_records_t *outcomes)
{
    int status = 0;
    for (size_t i = 0; i < rmt_records_count(outcomes); i++) {
        const rmt_record_t *outcome = rmt_records_at(outcomes, i);
        const rmt_code_t code =
            rmt_code_from((uint32_t) rmt_record_u64(outcome, "code", 0));
        status = status || code == RMT_E_OK ? status : rmt_code_exit(code);
        if (!rmt_record_has(outcome, "told")) {
            rmt_auto_str text = strdup(rmt_record_text(outcome, "text", ""));
            s_tell(call, outcomes, text);
        }
    }
    return status;
}

// A reason that names its machine would be another one for each.
static char *
s_reason(const rmt_error_t *error, const char *name)
{
    rmt_error_t copy = *error;
    rmt_auto_str word = rmt_text("target %s", name);
    (void) rmt_rename(&copy, word, "the target");
    return strdup(copy.text);
}

rmt_records_t *
bulk_each(call_t *call, const rmt_record_t *body, const char *field, bool need_count,
          bulk_fn *act, rmt_error_t *error)
{
    rmt_auto(rmt_records) known = targets_list(call, error);
    rmt_auto(rmt_records) chosen =
        known ? select_targets(call->operands[0], known, error) : NULL;
    if (!chosen || (need_count && confirm_count(call, chosen, error) == -1))
        return NULL;
    rmt_records_t *outcomes = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(chosen); i++) {
        const char *name = rmt_record_text(rmt_records_at(chosen, i), "target", "");
        rmt_auto(rmt_record) own = rmt_record_dup(body);
        rmt_record_set(own, field, name);
        rmt_error_t why = {0};
        const int rc = act(call, own, &why);
        rmt_record_t *outcome = rmt_records_add(outcomes);
        rmt_auto_str text = rc == 0 ? strdup("done") : s_reason(&why, name);
        rmt_record_set(outcome, "name", name);
        rmt_record_set(outcome, "text", text);
        rmt_record_set_u64(outcome, "code", rc == 0 ? RMT_E_OK : why.code);
    }
    return outcomes;
}

int
bulk_run(call_t *call, const rmt_record_t *body, const char *field, bool need_count,
         bulk_fn *act, rmt_error_t *error)
{
    rmt_auto(rmt_records) outcomes = bulk_each(call, body, field, need_count, act, error);
    if (!outcomes)
        return -1;
    const int status = s_tell_all(call, outcomes);
    if (call->json) {
        static const char *const columns[] = {"name", "code", "text", NULL};
        for (size_t i = 0; i < rmt_records_count(outcomes); i++)
            rmt_record_remove(rmt_records_at(outcomes, i), "told");
        if (output_list(outcomes, columns, &call->view, error) == -1)
            return -1;
    }
    return status;
}
