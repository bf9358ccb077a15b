// The events of the farm.
#include "console/cmd.h"
#include "console/output.h"
#include "console/watch.h"
#include "base/rmt_auto.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static const option_t s_event_options[] = {
    {"topic", "PREFIX", "job/..., target/NAME, engine/NAME"},
    {"follow", NULL, "continue with new events"},
    {NULL, NULL, NULL},
};

const command_t cmd_farm[] = {
    {"events", "", "", 0, 0,
     "Show the state of the farm; with --follow, show new events too.", s_events, NULL,
     NULL, s_event_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
