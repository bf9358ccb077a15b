#include "console/bulk.h"
#include "console/command.h"
#include "console/output.h"
#include "base/rmt_auto.h"

#include <stdio.h>
#include <string.h>

// Put "k=v" words into the record. 0, or -1: USAGE.
static int
s_fields(call_t *call, size_t first, rmt_record_t *body, rmt_error_t *error)
{
    for (size_t i = first; i < call->operand_count; i++) {
        const char *word = call->operands[i];
        const char *equals = strchr(word, '=');
        char name[RMT_RECORD_NAME_MAX + 1];
        if (!equals || equals == word || (size_t) (equals - word) >= sizeof name)
            return rmt_fail(error, RMT_E_USAGE,
                            "\"%s\" is not NAME=VALUE; write one such as rack=r12", word);
        snprintf(name, sizeof name, "%.*s", (int) (equals - word), word);
        if (!rmt_record_name_is_valid(name))
            return rmt_fail(error, RMT_E_USAGE,
                            "\"%s\" is not the name of a field; use a-z, 0-9, . _ and -",
                            name);
        if (rmt_record_has(body, name))
            return rmt_fail(error, RMT_E_USAGE, "%s is given twice; write it once%s",
                            word, strcmp(name, "name") == 0 ? ", as NAME" : "");
        rmt_record_set(body, name, equals + 1);
    }
    return 0;
}

int
command_run_list(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    if (call->operand_count)
        rmt_record_set(body, "name", call->operands[0]);
    rmt_auto(rmt_records) items = call_list(call, call->command->wire, body, error);
    if (!items)
        return -1;
    return output_list(items, call->command->columns, &call->view, error);
}

int
command_run_show(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    if (call->operand_count)
        rmt_record_set(body, "name", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, call->command->wire, body, NULL, error);
    if (!reply)
        return -1;
    return output_record(reply->body, "items", reply->items, call->command->columns,
                         &call->view, error);
}

static int
s_act_once(call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = call_request(call, call->command->wire, body, NULL, error);
    return reply ? 0 : -1;
}

// A new target has the name that is written.
static bool
s_is_bulk(const call_t *call)
{
    return call->operand_count && strcmp(call->command->noun, "target") == 0 &&
           strcmp(call->command->verb, "add") != 0 && bulk_is_list(call->operands[0]);
}

int
command_run_act(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    rmt_record_remove(body, "count"); // Is between the user and this program
    if (call->operand_count)
        rmt_record_set(body, "name", call->operands[0]);
    if (s_fields(call, 1, body, error) == -1)
        return -1;
    if (s_is_bulk(call))
        return bulk_run(call, body, "name", bulk_needs_count(call->command->verb),
                        s_act_once, error);
    rmt_auto(rmt_msg) reply = call_request(call, call->command->wire, body, NULL, error);
    if (!reply)
        return -1;
    if (call->json)
        return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
    fprintf(stderr, "%s %s: done\n", call->command->wire,
            call->operand_count ? call->operands[0] : "");
    return 0;
}
