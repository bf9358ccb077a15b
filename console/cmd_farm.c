// The events of the farm.
#include "console/cmd.h"
#include "console/cursor.h"
#include "console/field.h"
#include "console/moment.h"
#include "console/output.h"
#include "console/watch.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "wire/rmt_msg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const s_columns[] = {"topic", "phase", "state", "text", NULL};

// "job/UID/..." with the name of the job that people use. Caller owns.
static char *
s_topic(const char *topic)
{
    uint8_t uid[RMT_UID_SIZE];
    char digits[RMT_UID_SIZE * 2 + 1], name[11];
    rmt_error_t ignored = {0};
    if (sscanf(topic, "job/%32[0-9a-f]", digits) == 1 &&
        rmt_uid_parse(uid, digits, &ignored) == 0)
        return rmt_text("job/%s%s", rmt_job_text(uid, name), topic + 4 + strlen(digits));
    return field_safe(topic, strlen(topic));
}

static int
s_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

// One line: when it came, the topic, and the fields by name.
static void
s_print_words(const char *topic, const rmt_record_t *body, bool utc)
{
    char clock[MOMENT_TEXT_SIZE];
    rmt_auto_str shown = s_topic(topic);
    printf("%s %s", moment_text(rmt_clock_wall_ms(), utc, clock), shown);
    rmt_auto_ptr memory = calloc(rmt_record_count(body) + 1, sizeof(char *));
    const char **names = memory;
    assert(names);
    for (size_t i = 0; i < rmt_record_count(body); i++)
        names[i] = rmt_record_name_at(body, i);
    qsort(names, rmt_record_count(body), sizeof *names, s_compare_names);
    for (size_t i = 0; i < rmt_record_count(body); i++) {
        rmt_auto_str text = field_text(body, names[i], FIELD_DATE, utc);
        if (text && field_kind(names[i]) != FIELD_INNER &&
            !field_is_said_better(body, names[i]))
            printf(" %s=%s", names[i], text);
    }
    putchar('\n');
}

static void
s_print_event(const rmt_msg_t *event, const view_t *view)
{
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "topic", event->topic);
    rmt_record_set(record, "cursor", event->cursor ? event->cursor : "");
    rmt_record_merge(record, event->body);
    if (view->format == VIEW_JSON)
        output_line(record);
    else
        s_print_words(event->topic, event->body, view->utc);
    fflush(stdout);
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
    if (output_list(items, s_columns, &call->view, error) == -1)
        return -1;
    fflush(stdout);
    if (!rmt_record_has(call->options, "follow"))
        return 0;
    const char *snapshot = rmt_records_count(items)
                               ? rmt_record_text(rmt_records_at(items, 0), "cursor", "")
                               : "";
    for (;;) {
        rmt_error_t why = {0};
        rmt_auto(rmt_msg) event = rmt_client_next_event(call->client, 1000, &why);
        if (event && cursor_is_newer(event->cursor ? event->cursor : "", snapshot))
            s_print_event(event, &call->view);
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
     s_columns, s_event_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
