// Locks, keys, scripts, events, and the health of the farm.
#include "console/cmd.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"
#include "console/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_SIZE_MAX ((size_t) 48 * 1024)

static const char *const s_lock_columns[] = {"target", "job-name", "epoch", "armed",
                                             "since",  "reason",   NULL};
static const char *const s_key_columns[] = {"key",   "role",  "name",
                                            "place", "state", NULL};
static const char *const s_script_columns[] = {
    "engine", "name", "target", "select", "timeout-s", "location", "hash", NULL};
static const char *const s_service_columns[] = {"service", "peers", "slots", "queued",
                                                NULL};

static int
s_make_key(const char *folder, const char *name, rmt_error_t *error)
{
    rmt_auto_str secret = rmt_text("%s/%s.key", folder, name);
    rmt_auto_str public = rmt_text("%s/%s.pub", folder, name);
    if (access(secret, F_OK) == 0)
        return rmt_fail(error, RMT_E_EXISTS,
                        "%s exists, and a key is never replaced; use another folder",
                        secret);
    rmt_key_t key;
    if (rmt_key_new(&key, error) == -1 || rmt_key_save(&key, secret, error) == -1 ||
        rmt_key_save_public(&key, public, error) == -1)
        return -1;
    printf("%s\n%s\n", secret, public);
    return 0;
}

static int
s_key_init(call_t *call, rmt_error_t *error)
{
    const char *folder = call->operands[0];
    if (rmt_io_mkdirs(folder, 0700, error) == -1)
        return -1;
    if (s_make_key(folder, "broker", error) == -1 ||
        s_make_key(folder, "admin", error) == -1)
        return -1;
    return 0;
}

static int
s_key_token(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    rmt_record_set(body, "role", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "key.token", body, NULL, error);
    if (!reply)
        return -1;
    if (call->json)
        output_record(reply->body, NULL, NULL, NULL, true);
    else
        puts(rmt_record_text(reply->body, "token", ""));
    return 0;
}

static int
s_key_enrol(call_t *call, rmt_error_t *error)
{
    const char *token = rmt_record_text(call->options, "token", "");
    if (!*token)
        return rmt_fail(error, RMT_E_USAGE,
                        "enrolment needs --token; an admin makes one with: "
                        "ramet key token %s",
                        call->operands[0]);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "role", call->operands[0]);
    rmt_record_set(body, "name", rmt_record_text(call->options, "name", ""));
    rmt_auto(rmt_record) answer = call_enrol(call, token, body, error);
    if (!answer)
        return -1;
    if (rmt_record_count(answer) == 0)
        return rmt_fail(error, RMT_E_EXISTS,
                        "this console has a key; its file is named by the setting key");
    output_record(answer, NULL, NULL, NULL, call->json);
    return 0;
}

static int
s_lock_break(call_t *call, rmt_error_t *error)
{
    if (!rmt_record_has(call->options, "force") ||
        !rmt_record_has(call->options, "reason"))
        return rmt_fail(
            error, RMT_E_USAGE,
            "breaking a lock needs --force and --reason: the machine may still be "
            "written; it is held afterwards");
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "target", call->operands[0]);
    rmt_record_set(body, "reason", rmt_record_text(call->options, "reason", ""));
    rmt_auto(rmt_msg) reply = call_request(call, "lock.break", body, NULL, error);
    if (!reply)
        return -1;
    output_record(reply->body, NULL, NULL, NULL, call->json);
    return 0;
}

static int
s_lock_show(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "target", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "lock.show", body, NULL, error);
    if (!reply)
        return -1;
    output_record(reply->body, NULL, NULL, NULL, call->json);
    return 0;
}

// From a file, or from a location that the engine fetches it from, pinned by its hash.
static int
s_script_source(const call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    const char *file = call_operand(call, 2);
    const char *location = rmt_record_text(body, "location", NULL);
    if (!file == !location)
        return rmt_fail(error, RMT_E_USAGE,
                        "give a FILE, or --location URL with --sha256 HASH");
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
    if (limit && watch_parse_time(limit, &seconds, error) == -1)
        return -1;
    if (limit)
        rmt_record_set_u64(body, "timeout-s", seconds);
    rmt_record_remove(body, "time-limit");
    rmt_record_set(body, "engine", call->operands[0]);
    rmt_record_set(body, "name", call->operands[1]);
    rmt_auto(rmt_msg) reply = call_request(call, "script.add", body, NULL, error);
    if (!reply)
        return -1;
    output_record(reply->body, NULL, NULL, NULL, call->json);
    return 0;
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
    output_list(items, s_script_columns, call->json);
    return 0;
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

static void
s_print_event(const rmt_msg_t *event, bool json)
{
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "topic", event->topic);
    rmt_record_set(record, "cursor", event->cursor ? event->cursor : "");
    rmt_record_merge(record, event->body);
    if (json) {
        output_record(record, NULL, NULL, NULL, true);
    } else {
        printf("%s", event->topic);
        for (size_t i = 0; i < rmt_record_count(event->body); i++)
            printf(" %s=%s", rmt_record_name_at(event->body, i),
                   (const char *) rmt_record_value_at(event->body, i, NULL));
        putchar('\n');
    }
    fflush(stdout);
}

// True when an event is newer than the snapshot. Percentages have no place in the audit
// stream, so they always are.
static bool
s_is_newer(const char *cursor, const char *snapshot)
{
    uint64_t a[2] = {0, 0}, b[2] = {0, 0};
    if (sscanf(cursor, "%" SCNu64 "-%" SCNu64, &a[0], &a[1]) != 2 ||
        sscanf(snapshot, "%" SCNu64 "-%" SCNu64, &b[0], &b[1]) != 2)
        return true;
    return a[0] != b[0] ? a[0] > b[0] : a[1] > b[1];
}

// The present state first, then what is newer (with -f).
static int
s_events(call_t *call, rmt_error_t *error)
{
    const char *prefix = rmt_record_text(call->options, "topic", "");
    if (call_connect(call, error) == -1 ||
        rmt_client_subscribe(call->client, prefix, error) == -1)
        return -1;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "topic", prefix);
    rmt_auto(rmt_records) items = call_list(call, "events.snapshot", body, error);
    if (!items)
        return -1;
    static const char *const columns[] = {"topic", "phase", "state", "text", NULL};
    output_list(items, columns, call->json);
    fflush(stdout);
    if (!rmt_record_has(call->options, "follow"))
        return 0;
    const char *snapshot = rmt_records_count(items)
                               ? rmt_record_text(rmt_records_at(items, 0), "cursor", "")
                               : "";
    for (;;) {
        rmt_error_t why = {0};
        rmt_auto(rmt_msg) event = rmt_client_next_event(call->client, 1000, &why);
        if (event && s_is_newer(event->cursor ? event->cursor : "", snapshot))
            s_print_event(event, call->json);
        else if (event)
            continue;
        else if (why.code != RMT_E_TIMEOUT)
            return why.code == RMT_E_CANCELLED
                       ? 0
                       : rmt_fail(error, why.code, "%s", why.text);
    }
}

static int
s_doctor(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = call_request(call, "farm.status", body, NULL, error);
    if (!reply)
        return -1;
    output_record(reply->body, "services", reply->items, s_service_columns, call->json);
    return 0;
}

static const option_t s_token_options[] = {
    {"name", "NAME", "only a machine of this name"},
    {"place", "PLACE", "place of an imager or installer, engine of a target"},
    {"ttl-s", "SECONDS", "life time (3600)"},
    {"uses", "N", "how many machines may use it (1)"},
    {"approve", NULL, "approve keys that enrol with it at once"},
    {NULL, NULL, NULL},
};
static const option_t s_enrol_options[] = {
    {"token", "TOKEN", "token that an admin made with: ramet key token ROLE"},
    {"name", "NAME", "name of the key in lists"},
    {NULL, NULL, NULL},
};
static const option_t s_break_options[] = {
    {"force", NULL, "confirm: the machine may still be written"},
    {"reason", "WORDS", "the reason, for the audit stream"},
    {NULL, NULL, NULL},
};
static const option_t s_script_options[] = {
    {"target", "NAME", "for this target only"},
    {"select", "LABEL=VALUE", "for targets with these values in their records"},
    {"time-limit", "TIME", "how long it may run: 90s, 5m (10m); then it is ended"},
    {"location", "URL",
     "instead of FILE: https://HOST/PATH or ssh://USER@HOST/PATH, "
     "fetched by the engine"},
    {"sha256", "HASH",
     "hash of the contents at the location; other contents stop the order"},
    {NULL, NULL, NULL},
};
static const option_t s_event_options[] = {
    {"topic", "PREFIX", "job/..., target/NAME, engine/NAME"},
    {"follow", NULL, "continue with new events"},
    {NULL, NULL, NULL},
};

const command_t cmd_admin[] = {
    {"lock", "list", "", 0, 0, "List locked targets.", command_run_list, "lock.list",
     s_lock_columns, NULL},
    {"lock", "show", "TARGET", 1, 1, "Show one lock.", s_lock_show, NULL, NULL, NULL},
    {"lock", "break", "TARGET", 1, 1, "Break a lock by force; the target is held.",
     s_lock_break, NULL, NULL, s_break_options},
    {"key", "init", "FOLDER", 1, 1,
     "Make the keys of a new farm: broker and first admin.", s_key_init, NULL, NULL,
     NULL},
    {"key", "list", "", 0, 0, "List enrolled keys.", command_run_list, "key.list",
     s_key_columns, NULL},
    {"key", "token", "ROLE", 1, 1, "Make an enrolment token.", s_key_token, NULL, NULL,
     s_token_options},
    {"key", "enrol", "ROLE", 1, 1,
     "Enrol this console's key as viewer or dashboard, with a token.", s_key_enrol, NULL,
     NULL, s_enrol_options},
    {"key", "approve", "NAME", 1, 1, "Approve a pending key.", command_run_act,
     "key.approve", NULL, NULL},
    {"key", "revoke", "NAME", 1, 1,
     "Revoke a key; it is refused from its next message on.", command_run_act,
     "key.revoke", NULL, NULL},
    {"script", "add", "ENGINE NAME [FILE]", 2, 3,
     "Add a script that targets of an engine run at their first boot.", s_script_add,
     NULL, NULL, s_script_options},
    {"script", "list", "[ENGINE]", 0, 1, "List scripts.", s_script_list, NULL, NULL,
     NULL},
    {"script", "remove", "ENGINE NAME", 2, 2, "Remove a script.", s_script_remove, NULL,
     NULL, NULL},
    {"events", "", "", 0, 0, "Show the present state; with --follow show new events too.",
     s_events, NULL, NULL, s_event_options},
    {"doctor", "", "", 0, 0, "Check that broker, Redis and workers answer.", s_doctor,
     NULL, NULL, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
