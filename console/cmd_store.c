// Stores: check, scrub, gc, pins (M16). The place's own workers do the work.
#include "console/cmd.h"
#include "console/output.h"
#include "console/report.h"
#include "base/rmt_auto.h"
#include "console/watch.h"
#include "console/moment.h"

#include <stdio.h>

static const char *const s_pin_columns[] = {"name", "id", "since", "by", "reason", NULL};

static int
s_submit(call_t *call, const char *verb, rmt_record_t *body, rmt_error_t *error)
{
    rmt_record_set(body, "place", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, verb, body, NULL, error);
    return reply ? report_made(call, reply, rmt_record_has(call->options, "wait"), error)
                 : -1;
}

static int
s_check(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "deep", rmt_record_text(call->options, "deep", "no"));
    return s_submit(call, "store.check", body, error);
}

static int
s_scrub(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "rate", rmt_record_text(call->options, "rate", ""));
    rmt_record_set(body, "again", rmt_record_text(call->options, "again", "no"));
    return s_submit(call, "store.scrub", body, error);
}

static int
s_gc(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    const char *age = rmt_record_text(call->options, "age", NULL);
    unsigned age_s = 0;
    if (age && moment_parse_span(age, &age_s, error) == -1)
        return -1;
    if (age)
        rmt_record_set_u64(body, "age-s", age_s);
    return s_submit(call, "store.gc", body, error);
}

static int
s_change_pin(call_t *call, const char *verb, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    rmt_record_set(body, "place", call->operands[0]);
    rmt_record_set(body, "image", call->operands[1]);
    rmt_auto(rmt_msg) reply = call_request(call, verb, body, NULL, error);
    if (!reply)
        return -1;
    return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
}

static int
s_pin(call_t *call, rmt_error_t *error)
{
    return s_change_pin(call, "store.pin", error);
}

static int
s_unpin(call_t *call, rmt_error_t *error)
{
    return s_change_pin(call, "store.unpin", error);
}

static int
s_pins(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "place", call->operands[0]);
    rmt_auto(rmt_records) items = call_list(call, "store.pins", body, error);
    if (!items)
        return -1;
    return output_list(items, s_pin_columns, &call->view, error);
}

static const option_t s_check_options[] = {
    {"deep", NULL, "re-hash every chunk too"},
    {"wait", NULL, "follow the job and show its findings"},
    {"timeout", "TIME", "with --wait: " OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};
static const option_t s_scrub_options[] = {
    {"rate", "MIB", "read at most this many MiB a second"},
    {"again", NULL, "start at the first pack, even if the last run was cut short"},
    {"wait", NULL, "follow the job and show its findings"},
    {"timeout", "TIME", "with --wait: " OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};
static const option_t s_gc_options[] = {
    {"age", "TIME",
     "remove packs that an earlier gc marked as not needed longer ago than this "
     "(default 24h); it must be longer than any capture takes"},
    {"wait", NULL, "follow the job and show its counts"},
    {"timeout", "TIME", "with --wait: " OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};
static const option_t s_pin_options[] = {
    {"reason", "WORDS", "the reason; ramet shows it with the pin"},
    {NULL, NULL, NULL},
};

const command_t cmd_store[] = {
    {"store", "check", "PLACE", 1, 1, "Check that a store has every chunk of its images.",
     s_check, NULL, NULL, s_check_options},
    {"store", "scrub", "PLACE", 1, 1,
     "Re-hash all packs of a store, slowly; move damaged packs to quarantine.", s_scrub,
     NULL, NULL, s_scrub_options},
    {"store", "gc", "PLACE", 1, 1,
     "Remove images that left the catalogue, and packs that no image needs.", s_gc, NULL,
     NULL, s_gc_options},
    {"store", "pin", "PLACE IMAGE", 2, 2,
     "Keep an image in a store, even after its removal from the catalogue.", s_pin, NULL,
     NULL, s_pin_options},
    {"store", "unpin", "PLACE IMAGE", 2, 2, "Remove a pin.", s_unpin, NULL, NULL, NULL},
    {"store", "pins", "PLACE", 1, 1, "List the pins of a store.", s_pins, NULL,
     s_pin_columns, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
