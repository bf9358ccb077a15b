#include "installer.h"
#include "rmt_auto.h"
#include "rmt_codec.h"
#include "rmt_holder.h"
#include "rmt_log.h"
#include "rmt_match.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE_ITEMS 100
#define PAGE_BYTES ((size_t) 160 * 1024)
#define FACTS_SIZE_MAX ((size_t) 200 * 1024)

typedef struct {
    rmt_task_t *task;
    const char *engine;
    rmt_records_t *hardware; // Of the image
    rmt_record_t *policy;
    rmt_records_t *page; // Verdicts not yet put
    size_t page_bytes;
    uint64_t total, fits, available;
} match_t;

static rmt_records_t *
s_unpack(const rmt_record_t *record, const char *name, rmt_error_t *error)
{
    size_t size;
    const void *data = rmt_record_get(record, name, &size);
    if (!data) {
        rmt_fail(error, RMT_E_NOT_FOUND, "no %s is known", name);
        return NULL;
    }
    return rmt_codec_unpack_records(data, size, FACTS_SIZE_MAX, error);
}

// "cpu=family,disk=exact" as a record.
static rmt_record_t *
s_policy(const char *text, rmt_error_t *error)
{
    rmt_auto(rmt_record) policy = rmt_record_new();
    while (*text) {
        const size_t size = strcspn(text, ",");
        char word[128];
        snprintf(word, sizeof word, "%.*s", (int) size, text);
        char *equals = strchr(word, '=');
        if (equals)
            *equals = '\0';
        if (!equals || !rmt_record_name_is_valid(word)) {
            rmt_fail(error, RMT_E_USAGE,
                     "policy \"%s\" is not of the form component=rule", word);
            return NULL;
        }
        rmt_record_set(policy, word, equals + 1);
        text += size + (text[size] == ',');
    }
    return rmt_take(&policy);
}

static int
s_put_page(match_t *self, rmt_error_t *error)
{
    if (!rmt_records_count(self->page))
        return 0;
    char job[33];
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", rmt_uid_text(rmt_task_job(self->task), job));
    rmt_record_set(body, "engine", self->engine);
    rmt_auto(rmt_msg) reply =
        rmt_task_request(self->task, "verdict.put", body, self->page, error);
    rmt_records_destroy(&self->page);
    self->page = rmt_records_new();
    self->page_bytes = 0;
    return reply ? 0 : -1;
}

// Verdicts and the choice of disks apart; the reasons of all that do not fit in words.
static void
s_put_verdicts(match_t *self, rmt_record_t *item, const rmt_records_t *all)
{
    rmt_auto(rmt_records) verdicts = rmt_records_new();
    rmt_auto(rmt_records) choice = rmt_records_new();
    char reason[1024] = "";
    for (size_t i = 0; i < rmt_records_count(all); i++) {
        const rmt_record_t *record = rmt_records_at(all, i);
        const bool verdict = strcmp(rmt_record_text(record, "class", ""), "verdict") == 0;
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_records_append(verdict ? verdicts : choice, &copy);
        if (!verdict || strcmp(rmt_record_text(record, "fits", ""), "no") != 0)
            continue;
        const size_t used = strlen(reason);
        snprintf(reason + used, sizeof reason - used, "%s%s: %s", used ? "; " : "",
                 rmt_record_text(record, "component", "?"),
                 rmt_record_text(record, "reason", "differs"));
    }
    rmt_record_set(item, "reason", reason);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(verdicts);
    rmt_auto(zchunk) chosen = rmt_codec_pack_records(choice);
    rmt_record_put(item, "verdicts", zchunk_data(packed), zchunk_size(packed));
    rmt_record_put(item, "choice", zchunk_data(chosen), zchunk_size(chosen));
    self->page_bytes += zchunk_size(packed) + zchunk_size(chosen);
}

static void
s_refuse(rmt_record_t *item, const char *reason)
{
    rmt_record_set(item, "fits", "no");
    rmt_record_set(item, "reason", reason);
}

static int
s_match_target(match_t *self, const rmt_record_t *target, rmt_error_t *error)
{
    rmt_record_t *item = rmt_records_add(self->page);
    rmt_record_set(item, "target", rmt_record_text(target, "name", ""));
    const char *state = rmt_record_text(target, "state", "free");
    const bool available = strcmp(state, "free") == 0;
    rmt_record_set(item, "available", available ? "yes" : "no");
    self->total++;
    self->available += available;
    rmt_error_t why = {0};
    rmt_auto(rmt_records) hardware = s_unpack(target, "hardware", &why);
    if (!hardware) {
        s_refuse(item, "its hardware is not known yet; start its agent");
        return 0;
    }
    rmt_auto(rmt_records) verdicts = NULL;
    bool fits = false;
    if (rmt_match_run(self->hardware, hardware, self->policy, &verdicts, &fits, error) ==
        -1)
        return -1;
    self->fits += fits;
    rmt_record_set(item, "fits", fits ? "yes" : "no");
    s_put_verdicts(self, item, verdicts);
    if (fits && !available)
        rmt_record_set(item, "reason", state);
    return 0;
}

static int
s_match_page(match_t *self, const rmt_records_t *targets, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(targets); i++) {
        if (rmt_task_cancelled(self->task))
            return rmt_fail(error, RMT_E_CANCELLED, "cancelled");
        if (s_match_target(self, rmt_records_at(targets, i), error) == -1)
            return -1;
        if (rmt_records_count(self->page) >= PAGE_ITEMS ||
            self->page_bytes >= PAGE_BYTES / 2) {
            if (s_put_page(self, error) == -1)
                return -1;
        }
    }
    return 0;
}

// Page through the engine's targets; the cursor of each answer asks for the next page.
static int
s_match_all(match_t *self, rmt_error_t *error)
{
    char cursor[256] = "";
    do {
        rmt_auto(rmt_record) body = rmt_record_new();
        rmt_record_set(body, "engine", self->engine);
        rmt_record_set(body, "cursor", cursor);
        rmt_auto(rmt_msg) reply =
            rmt_task_request(self->task, "target.page", body, NULL, error);
        if (!reply || s_match_page(self, reply->items, error) == -1)
            return -1;
        snprintf(cursor, sizeof cursor, "%s", reply->cursor ? reply->cursor : "");
        rmt_task_progress(self->task, "match", self->total, 0, NULL);
    } while (*cursor);
    return s_put_page(self, error);
}

int
installer_match(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    rmt_task_progress(task, "match", 0, 0, NULL);
    const rmt_record_t *body = rmt_task_body(task);
    rmt_auto(rmt_records) hardware = s_unpack(body, "hardware", error);
    rmt_auto(rmt_record) policy =
        hardware ? s_policy(rmt_record_text(body, "policy", ""), error) : NULL;
    if (!policy)
        return -1;
    match_t self = {.task = task,
                    .engine = rmt_holder_place(holder),
                    .hardware = hardware,
                    .policy = policy,
                    .page = rmt_records_new()};
    const int rc = s_match_all(&self, error);
    rmt_records_destroy(&self.page);
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set_u64(outputs, "total", self.total);
    rmt_record_set_u64(outputs, "fits", self.fits);
    rmt_record_set_u64(outputs, "available", self.available);
    if (rc == 0)
        rmt_log(RMT_INFO, "match.done", "total=%" PRIu64 " fits=%" PRIu64, self.total,
                self.fits);
    return rc;
}
