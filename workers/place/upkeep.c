#include "place/upkeep.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "machine/rmt_inventory.h"
#include "net/rmt_findings.h"
#include "store/rmt_gc.h"
#include "store/rmt_scrub.h"
#include "store/rmt_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MIB ((uint64_t) 1024 * 1024)

typedef struct {
    rmt_task_t *task;
    const char *phase;
    rmt_findings_t *findings;
    rmt_store_t *store;
    rmt_store_watch_t watch;
    char first[256]; // What was found first, for the result's text
} upkeep_t;

// ---- Looking on

static void
s_set(rmt_record_t *record, const char *name, const char *text)
{
    if (text)
        rmt_record_set(record, name, text);
}

static void
s_on_finding(void *context, const rmt_store_finding_t *finding)
{
    upkeep_t *self = context;
    rmt_auto(rmt_record) record = rmt_record_new();
    s_set(record, "what", finding->what);
    s_set(record, "path", finding->path);
    s_set(record, "chunk", finding->chunk);
    s_set(record, "pack", finding->pack);
    s_set(record, "image", finding->image);
    s_set(record, "text", finding->text);
    if (!*self->first)
        snprintf(self->first, sizeof self->first, "%s", finding->text);
    rmt_findings_add(self->findings, &record);
}

static bool
s_is_alive(void *context, uint64_t done, uint64_t total)
{
    upkeep_t *self = context;
    rmt_task_progress(self->task, self->phase, done, total > done ? total : done, NULL);
    return !rmt_task_cancelled(self->task);
}

static int
s_open(upkeep_t *self, rmt_task_t *task, const rmt_holder_t *holder, const char *phase,
       rmt_error_t *error)
{
    *self = (upkeep_t){.task = task, .phase = phase};
    self->watch = (rmt_store_watch_t){s_on_finding, s_is_alive, self};
    self->store = rmt_store_new(rmt_holder_store(holder), false, error);
    if (!self->store)
        return -1;
    self->findings = rmt_findings_new(task);
    rmt_task_progress(task, phase, 0, 0, NULL);
    return 0;
}

static void
s_close(upkeep_t *self)
{
    rmt_findings_destroy(&self->findings);
    rmt_store_destroy(&self->store);
}

static void
s_put(const upkeep_t *self, const char *name, uint64_t number)
{
    rmt_record_set_u64(rmt_task_outputs(self->task), name, number);
}

static const char *
s_body(const upkeep_t *self, const char *name)
{
    return rmt_record_text(rmt_task_body(self->task), name, "");
}

// All was looked at: hand over the findings, and fail when something is wrong.
static int
s_judge(upkeep_t *self, uint64_t damaged, uint64_t missing, uint64_t unread,
        rmt_error_t *error)
{
    s_put(self, "unread", unread);
    s_put(self, "damaged", damaged);
    s_put(self, "missing", missing);
    if (rmt_findings_finish(self->findings, error) == -1)
        return -1;
    if (damaged + missing + unread == 0)
        return 0;
    if (damaged + missing == 0) {
        rmt_fail(error, RMT_E_DISK, "%" PRIu64 " could not be read; first: %s", unread,
                 self->first);
        return rmt_inventory_name_disk(rmt_store_root(self->store), error);
    }
    return rmt_fail(error, RMT_E_CORRUPT,
                    "%" PRIu64 " damaged, %" PRIu64 " missing, %" PRIu64
                    " could not be read; first: %s",
                    damaged, missing, unread, self->first);
}

// Called with each item of a list of the broker's. 0, or -1 with error.
typedef int(s_image_fn)(upkeep_t *self, const rmt_record_t *item, void *context,
                        rmt_error_t *error);

static int
s_each_image(upkeep_t *self, const char *verb, s_image_fn *act, void *context,
             rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    do {
        rmt_auto(rmt_msg) reply = rmt_task_request(self->task, verb, body, NULL, error);
        if (!reply)
            return rmt_wrap(error, "%s", verb);
        for (size_t i = 0; i < rmt_records_count(reply->items); i++)
            if (act(self, rmt_records_at(reply->items, i), context, error) == -1)
                return -1;
        rmt_record_set(body, "cursor", reply->cursor ? reply->cursor : "");
    } while (*rmt_record_text(body, "cursor", ""));
    return 0;
}

// ---- The tasks

// What the catalogue promises must be here.
static int
s_check_placed(upkeep_t *self, const rmt_record_t *item, void *context,
               rmt_error_t *error)
{
    uint64_t *missing = context;
    rmt_id_t id;
    rmt_error_t why;
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    const char *text = rmt_record_text(item, "id", "");
    if (rmt_id_parse(&id, text, error) == -1)
        return -1;
    if (rmt_store_image_get(self->store, &id, &data, &size, &why) == 0 ||
        why.code != RMT_E_NOT_FOUND)
        return 0; // A damaged one was told by the check of the store
    char line[256];
    snprintf(line, sizeof line,
             "image %s (%s) is in the catalogue, and the store lacks it",
             rmt_record_text(item, "name", "?"), text);
    const rmt_store_finding_t finding = {.what = "missing", .image = text, .text = line};
    s_on_finding(self, &finding);
    ++*missing;
    return 0;
}

static int
s_check(upkeep_t *self, rmt_error_t *error)
{
    rmt_store_report_t report;
    const bool is_deep = strcmp(s_body(self, "deep"), "yes") == 0;
    if (rmt_store_check(self->store, is_deep, &self->watch, &report, error) == -1 ||
        s_each_image(self, "image.placed", s_check_placed, &report.missing, error) == -1)
        return -1;
    s_put(self, "images", report.images);
    s_put(self, "packs", report.packs);
    s_put(self, "chunks", report.chunks);
    s_put(self, "bytes", report.bytes_stored);
    s_put(self, "orphans", report.orphan_files);
    s_put(self, "quarantined", report.quarantined);
    return s_judge(self, report.damaged, report.missing, report.unread, error);
}

static int
s_scrub(upkeep_t *self, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(self->task);
    const rmt_scrub_options_t options = {
        .rate = rmt_record_u64(body, "rate", 0) * MIB,
        // A later attempt at the same task goes on with the first one.
        .again = strcmp(s_body(self, "again"), "yes") == 0 &&
                 rmt_task_attempt(self->task) == 1,
        .watch = &self->watch};
    rmt_scrub_report_t report;
    if (rmt_store_scrub(self->store, &options, &report, error) == -1)
        return -1;
    s_put(self, "packs", report.packs);
    s_put(self, "chunks", report.chunks);
    s_put(self, "bytes", report.bytes);
    s_put(self, "quarantined", report.quarantined);
    s_put(self, "rescued", report.rescued);
    s_put(self, "resumed", report.resumed);
    return s_judge(self, report.damaged, report.missing, report.unread, error);
}

// Descriptors of images that have left the catalogue, as the broker lists them. What was
// saved since the question is kept: it may be an image that is just being made again.
typedef struct {
    int64_t asked_s;
    uint64_t count;
} s_retire_t;

static int
s_retire(upkeep_t *self, const rmt_record_t *item, void *context, rmt_error_t *error)
{
    s_retire_t *retire = context;
    rmt_id_t id;
    if (rmt_id_parse(&id, rmt_record_text(item, "id", ""), error) == -1)
        return -1;
    const int rc = rmt_store_image_retire(self->store, &id, retire->asked_s, error);
    retire->count += rc == 1;
    return rc == -1 ? -1 : 0;
}

static int
s_gc(upkeep_t *self, rmt_error_t *error)
{
    const uint64_t age_s = rmt_record_u64(rmt_task_body(self->task), "age-s", UINT64_MAX);
    if (age_s > INT64_MAX / 2)
        return rmt_fail(error, RMT_E_PROTOCOL, "the task gc has no age");
    s_retire_t retire = {.asked_s = rmt_clock_wall_ms() / 1000};
    rmt_gc_report_t report;
    if (s_each_image(self, "image.removed", s_retire, &retire, error) == -1 ||
        rmt_store_gc(self->store, (int64_t) age_s, &self->watch, &report, error) == -1)
        return -1;
    s_put(self, "images-removed", retire.count);
    s_put(self, "live", report.packs_live);
    s_put(self, "marked", report.packs_marked);
    s_put(self, "revived", report.packs_revived);
    s_put(self, "removed", report.packs_removed);
    s_put(self, "bytes-removed", report.bytes_removed);
    s_put(self, "left-behind", report.left_behind);
    return 0;
}

static int
s_verify(upkeep_t *self, rmt_error_t *error)
{
    rmt_id_t image;
    rmt_store_report_t report;
    if (rmt_id_parse(&image, s_body(self, "image"), error) == -1 ||
        rmt_store_verify(self->store, &image, &self->watch, &report, error) == -1)
        return -1;
    s_put(self, "chunks", report.chunks);
    s_put(self, "bytes", report.bytes_plain);
    return s_judge(self, report.damaged, report.missing, report.unread, error);
}

static int
s_run(rmt_task_t *task, const rmt_holder_t *holder, const char *phase,
      int (*work)(upkeep_t *, rmt_error_t *), rmt_error_t *error)
{
    upkeep_t self;
    int result = s_open(&self, task, holder, phase, error);
    if (result == 0)
        result = work(&self, error);
    s_close(&self);
    return result;
}

int
rmt_upkeep_check(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    return s_run(task, holder, "check", s_check, error);
}

int
rmt_upkeep_scrub(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    return s_run(task, holder, "scrub", s_scrub, error);
}

int
rmt_upkeep_gc(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    return s_run(task, holder, "gc", s_gc, error);
}

int
rmt_upkeep_verify(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    return s_run(task, holder, "verify", s_verify, error);
}
