// Scripts of the first boot.
#include "console/cmd.h"
#include "console/output.h"
#include "console/watch.h"
#include "console/moment.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <stdlib.h>
#include <string.h>

#define SCRIPT_SIZE_MAX ((size_t) 48 * 1024)

static const char *const s_script_columns[] = {
    "engine", "name", "target", "select", "timeout-s", "location", "hash", NULL};

// From a file, or from a location that the engine fetches it from, pinned by its hash.
static int
s_script_source(const call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    const char *file = call_operand(call, 2);
    const char *location = rmt_record_text(body, "location", NULL);
    if (!file == !location)
        return rmt_fail(error, RMT_E_USAGE,
                        "the script needs a FILE, or --location URL with --sha256 HASH");
    if (!file)
        return 0;
    rmt_auto_ptr content = NULL;
    size_t size;
    if (rmt_io_load(file, SCRIPT_SIZE_MAX, &content, &size, error) == -1)
        return -1;
    rmt_record_put(body, "content", content, size);
    return 0;
}

static int
s_script_add(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    if (s_script_source(call, body, error) == -1)
        return -1;
    const char *limit = rmt_record_text(body, "time-limit", NULL);
    unsigned seconds = 0;
    if (limit && moment_parse_span(limit, &seconds, error) == -1)
        return -1;
    if (limit)
        rmt_record_set_u64(body, "timeout-s", seconds);
    rmt_record_remove(body, "time-limit");
    rmt_record_set(body, "engine", call->operands[0]);
    rmt_record_set(body, "name", call->operands[1]);
    rmt_auto(rmt_msg) reply = call_request(call, "script.add", body, NULL, error);
    if (!reply)
        return -1;
    return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
}

static int
s_script_list(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    if (call->operand_count)
        rmt_record_set(body, "engine", call->operands[0]);
    rmt_auto(rmt_records) items = call_list(call, "script.list", body, error);
    if (!items)
        return -1;
    return output_list(items, s_script_columns, &call->view, error);
}

static int
s_script_remove(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "engine", call->operands[0]);
    rmt_record_set(body, "name", call->operands[1]);
    rmt_auto(rmt_msg) reply = call_request(call, "script.remove", body, NULL, error);
    return reply ? 0 : -1;
}

static const option_t s_script_options[] = {
    {"target", "NAME", "for this target only"},
    {"force", NULL, "replace a script of this name that is for other targets"},
    {"select", "LABEL=VALUE", "for targets with these values in their records"},
    {"time-limit", "TIME",
     "time after which the script is ended, such as 90s or 5m (default 10m)"},
    {"location", "URL",
     "instead of FILE: https://HOST/PATH or ssh://USER@HOST/PATH, which the engine "
     "fetches"},
    {"sha256", "HASH",
     "hash of the contents at the location; with other contents nothing is installed"},
    {NULL, NULL, NULL},
};

const command_t cmd_script[] = {
    {"script", "add", "ENGINE NAME [FILE]", 2, 3,
     "Add a script that targets of an engine run at their first boot.", s_script_add,
     NULL, NULL, s_script_options},
    {"script", "list", "[ENGINE]", 0, 1, "List scripts.", s_script_list, NULL,
     s_script_columns, NULL},
    {"script", "remove", "ENGINE NAME", 2, 2, "Remove a script.", s_script_remove, NULL,
     NULL, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
