#include "installer/facts.h"
#include "installer/judge.h"
#include "installer/installer.h"
#include "installer/kernel.h"
#include "installer/secret.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "wire/rmt_codec.h"
#include "place/holder.h"
#include "base/rmt_log.h"
#include "facts/rmt_policy.h"
#include "store/rmt_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAGE_ITEMS 500
#define PAGE_BYTES ((size_t) 192 * 1024) // An envelope has 256 KiB
#define FACTS_SIZE_MAX ((size_t) 200 * 1024)
#define OUTLINE_SIZE_MAX ((size_t) 16 * 1024 * 1024)
#define PUTS_MAX 2 // Pages of verdicts on their way; one more ask is the next page's
_Static_assert(PUTS_MAX + 1 <= RMT_TASK_ASKS_MAX, "asks at once");

typedef struct {
    rmt_task_t *task;
    const char *engine;
    const char *only; // Name of the one target that is asked for; "" for all
    rmt_match_t *match;
    const installer_rehearsal_t *rehearsal; // NULL: the image tells no outline
    const char *secret_fault;               // As installer_judge has it
    rmt_record_t *os;    // What the image's system is told its network by
    rmt_records_t *page; // Verdicts not yet put
    size_t page_bytes;
    uint64_t puts[PUTS_MAX]; // Those on their way, oldest first
    size_t put_count;
    uint64_t total, fits, available;
} match_t;

static rmt_records_t *
s_unpack(const rmt_record_t *record, const char *name, rmt_error_t *error)
{
    size_t size;
    const void *data = rmt_record_get(record, name, &size);
    if (!data) {
        rmt_fail(error, RMT_E_NOT_FOUND, "the task has no %s", name);
        return NULL;
    }
    return rmt_codec_unpack_records(data, size, FACTS_SIZE_MAX, error);
}

// Wait until no more than so many pages of verdicts are on their way.
static int
s_await_puts(match_t *self, size_t count_max, rmt_error_t *error)
{
    while (self->put_count > count_max) {
        rmt_auto(rmt_msg) reply = rmt_task_answer(self->task, self->puts[0], error);
        self->put_count--;
        memmove(self->puts, self->puts + 1, self->put_count * sizeof *self->puts);
        if (!reply)
            return -1;
    }
    return 0;
}

static int
s_put_page(match_t *self, rmt_error_t *error)
{
    if (!rmt_records_count(self->page))
        return 0;
    if (s_await_puts(self, PUTS_MAX - 1, error) == -1)
        return -1;
    char job[33];
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", rmt_uid_text(rmt_task_job(self->task), job));
    rmt_record_set(body, "engine", self->engine);
    if (rmt_task_ask(self->task, "verdict.put", body, self->page,
                     &self->puts[self->put_count], error) == -1)
        return -1;
    self->put_count++;
    rmt_records_destroy(&self->page);
    self->page = rmt_records_new();
    self->page_bytes = 0;
    return 0;
}

// What a record takes of a message, more or less.
static size_t
s_measure(const rmt_record_t *item)
{
    size_t bytes = 0;
    for (size_t i = 0; i < rmt_record_count(item); i++) {
        size_t size;
        (void) rmt_record_value_at(item, i, &size);
        bytes += size + strlen(rmt_record_name_at(item, i)) + 8;
    }
    return bytes;
}

static int
s_match_target(match_t *self, const rmt_record_t *target, rmt_error_t *error)
{
    rmt_auto(rmt_record) item = rmt_record_new();
    installer_judge(self->match, self->os, self->rehearsal, target, self->secret_fault,
                    item);
    self->total++;
    self->fits += strcmp(rmt_record_text(item, "fits", ""), "yes") == 0;
    self->available += strcmp(rmt_record_text(item, "available", ""), "yes") == 0;
    const size_t bytes = s_measure(item);
    if ((self->page_bytes + bytes > PAGE_BYTES ||
         rmt_records_count(self->page) == PAGE_ITEMS) &&
        s_put_page(self, error) == -1)
        return -1;
    self->page_bytes += bytes;
    (void) rmt_records_append(self->page, &item);
    return 0;
}

static int
s_match_page(match_t *self, const rmt_records_t *targets, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(targets); i++) {
        if (rmt_task_cancelled(self->task))
            return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
        const rmt_record_t *target = rmt_records_at(targets, i);
        if (*self->only && strcmp(self->only, rmt_record_text(target, "name", "")) != 0)
            continue;
        if (s_match_target(self, target, error) == -1)
            return -1;
    }
    return 0;
}

static int
s_ask_page(match_t *self, const char *cursor, uint64_t *ask_out, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "engine", self->engine);
    rmt_record_set(body, "cursor", cursor);
    return rmt_task_ask(self->task, "target.page", body, NULL, ask_out, error);
}

// Page through the engine's targets. The cursor of each answer asks for the next page,
// which is on its way while this one is compared.
static int
s_match_all(match_t *self, rmt_error_t *error)
{
    uint64_t ask;
    bool is_more = true;
    if (s_ask_page(self, "", &ask, error) == -1)
        return -1;
    while (is_more) {
        rmt_auto(rmt_msg) reply = rmt_task_answer(self->task, ask, error);
        is_more = reply && reply->cursor && *reply->cursor;
        if (!reply || (is_more && s_ask_page(self, reply->cursor, &ask, error) == -1) ||
            s_match_page(self, reply->items, error) == -1)
            return -1;
        rmt_task_progress(self->task, "match", self->total, 0, NULL);
    }
    if (s_put_page(self, error) == -1)
        return -1;
    return s_await_puts(self, 0, error);
}

// Images of older versions do not tell; then the order is the first to know.
static rmt_record_t *
s_os(const rmt_record_t *body)
{
    static const char *const fields[] = {"network-stack", "network-by-name",
                                         "network-shapes", "network-refusal"};
    rmt_record_t *os = rmt_record_new();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        rmt_record_set(os, fields[i], rmt_record_text(body, fields[i], ""));
    return os;
}

static int
s_run(rmt_task_t *task, const rmt_match_config_t *config,
      const installer_rehearsal_t *rehearsal, const rmt_holder_t *holder,
      rmt_error_t *error)
{
    rmt_error_t fault = {0};
    rmt_auto(rmt_match) match = rmt_match_new(config);
    const bool is_encrypted = config->layout->crypt_count > 0;
    if (is_encrypted)
        (void) installer_secret_check(rmt_holder_config(holder), &fault);
    match_t self = {.task = task,
                    .engine = rmt_holder_place(holder),
                    .secret_fault = is_encrypted ? fault.text : NULL,
                    .only = rmt_record_text(rmt_task_body(task), "target", ""),
                    .match = match,
                    .rehearsal = rehearsal,
                    .os = s_os(rmt_task_body(task)),
                    .page = rmt_records_new()};
    const int64_t start = rmt_clock_ms();
    struct timespec cpu_start, cpu_end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_start);
    const int rc = s_match_all(&self, error);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_end);
    const int64_t cpu_ms = (cpu_end.tv_sec - cpu_start.tv_sec) * 1000 +
                           (cpu_end.tv_nsec - cpu_start.tv_nsec) / 1000000;
    rmt_records_destroy(&self.page);
    rmt_record_destroy(&self.os);
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set_u64(outputs, "total", self.total);
    rmt_record_set_u64(outputs, "fits", self.fits);
    rmt_record_set_u64(outputs, "available", self.available);
    if (rc == 0)
        rmt_log(RMT_INFO, "match.done",
                "total=%" PRIu64 " fits=%" PRIu64 " ms=%" PRId64 " cpu-ms=%" PRId64,
                self.total, self.fits, rmt_clock_ms() - start, cpu_ms);
    return rc;
}

// Does the engine hold the image, so that a deployment needs nothing of its place?
static void
s_tell_whole(rmt_task_t *task, const rmt_holder_t *holder)
{
    rmt_id_t image;
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    rmt_error_t ignored = {0};
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(holder), false, &ignored);
    const char *text = rmt_record_text(rmt_task_body(task), "image", "");
    if (store && rmt_id_parse(&image, text, &ignored) == 0 &&
        rmt_store_image_get(store, &image, &data, &size, &ignored) == 0)
        rmt_record_set(rmt_task_outputs(task), "whole", "yes");
}

// The tree in which a personalisation is planned. *rehearsal_out is NULL for an image
// that tells no outline.
static int
s_rehearsal(rmt_task_t *task, const rmt_holder_t *holder, const rmt_records_t *facts,
            const rmt_match_config_t *config, installer_rehearsal_t **rehearsal_out,
            rmt_error_t *error)
{
    const rmt_record_t *file = facts ? rmt_records_find(facts, "class", "outline") : NULL;
    const rmt_record_t *system = rmt_records_find(config->hardware, "class", "system");
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    *rehearsal_out = NULL;
    if (!file)
        return 0;
    if (installer_facts_load(task, holder, file, &data, &size, error) == -1)
        return -1;
    rmt_auto(rmt_records) outline =
        rmt_codec_unpack_records(data, size, OUTLINE_SIZE_MAX, error);
    if (!outline)
        return rmt_wrap(error, "outline of the image's system");
    const installer_rehearsal_config_t own = {
        .outline = outline,
        .is_cut = rmt_record_flag(file, "cut"),
        .layout = config->layout,
        .boot_paths = system ? rmt_record_text(system, "boot-paths", "") : "",
        .explain = config->explain};
    *rehearsal_out = installer_rehearsal_new(&own, error);
    return *rehearsal_out ? 0 : -1;
}

int
installer_match(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    rmt_task_progress(task, "match", 0, 0, NULL);
    const rmt_record_t *body = rmt_task_body(task);
    s_tell_whole(task, holder);
    rmt_auto(rmt_record) policy = rmt_record_new();
    rmt_auto(rmt_records) hardware = s_unpack(body, "hardware", error);
    rmt_auto(rmt_records) disks = hardware ? s_unpack(body, "layout", error) : NULL;
    rmt_auto(rmt_layout) layout = disks ? rmt_layout_read(disks, error) : NULL;
    rmt_auto(rmt_records) facts = NULL;
    rmt_auto(rmt_drivers) drivers = NULL;
    rmt_auto(installer_rehearsal) rehearsal = NULL;
    if (!layout ||
        rmt_policy_parse(policy, rmt_record_text(body, "policy", ""), error) == -1 ||
        installer_facts_records(task, &facts, error) == -1 ||
        installer_kernel(task, holder, facts, &drivers, error) == -1)
        return -1;
    const rmt_match_drivers_t finder = {.find = rmt_drivers_find,
                                        .context = drivers,
                                        .kernel =
                                            drivers ? rmt_drivers_kernel(drivers) : ""};
    const rmt_match_config_t config = {
        .hardware = hardware,
        .layout = layout,
        .drivers = drivers ? &finder : NULL,
        .policy = policy,
        .explain = strcmp(rmt_record_text(body, "explain", ""), "yes") == 0};
    if (s_rehearsal(task, holder, facts, &config, &rehearsal, error) == -1)
        return -1;
    return s_run(task, &config, rehearsal, holder, error);
}
