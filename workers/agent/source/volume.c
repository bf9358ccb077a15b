#include "agent/source/volume.h"
#include "agent/source/excludes.h"
#include "agent/source/freeze.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

#include <inttypes.h>
#include <string.h>

// With the cache, then without what was missing, then without the cache.
#define PASSES_MAX 3

typedef struct {
    const rmt_volume_setup_t *setup;
    rmt_excludes_t *excludes;
    const char *mount;
    char *cache_path, *lineage; // NULL: no cache
    rmt_id_t *missing;          // Of the pass before
    size_t missing_count, missing_space;
    bool is_held;      // The receiver has all that the cache names
    bool is_abandoned; // This pass: more is missing than a further pass is worth
} s_volume_t;

// ---- What the capture calls

static int
s_put(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    const s_volume_t *self = context;
    return rmt_offer_chunk(self->setup->offer, chunk, error);
}

static int
s_put_id(void *context, const rmt_id_t *id, rmt_error_t *error)
{
    s_volume_t *self = context;
    size_t missing = 0;
    if (self->is_held)
        return 0;
    if (rmt_offer_id(self->setup->offer, id, error) == -1)
        return -1;
    (void) rmt_offer_missing(self->setup->offer, &missing);
    if (missing <= RMT_OFFER_MISSING_MAX)
        return 0;
    self->is_abandoned = true;
    return rmt_fail(error, RMT_E_CANCELLED,
                    "the receiver lacks chunks that the stat cache names");
}

static void
s_progress(void *context, const rmt_capture_progress_t *progress)
{
    const s_volume_t *self = context;
    const uint64_t done = self->setup->done + progress->done_size;
    const uint64_t total = self->setup->done + progress->total_size;
    rmt_task_progress(self->setup->task, "capture", done, total > done ? total : done,
                      NULL);
}

static bool
s_is_cancelled(void *context)
{
    const s_volume_t *self = context;
    return !rmt_task_go_on(self->setup->task);
}

// ---- The cache's file

// Named by where the volume is mounted, which may be anything but plain.
static char *
s_cache_path(const s_volume_t *self, rmt_error_t *error)
{
    rmt_auto_str folder =
        rmt_text("%s/cache", rmt_config_text(self->setup->agent->config, "state"));
    if (rmt_io_mkdirs(folder, 0700, error) == -1)
        return NULL;
    rmt_id_t id;
    char text[RMT_ID_TEXT_SIZE];
    rmt_id_compute(&id, self->mount, strlen(self->mount));
    return rmt_text("%s/%.16s", folder, rmt_id_text(&id, text) + 2);
}

// No cache is no failure: all is read then.
static void
s_find_cache(s_volume_t *self)
{
    rmt_error_t error = {0};
    self->lineage =
        rmt_cache_lineage(rmt_source_disk_tree(self->setup->disk, self->setup->index));
    if (!self->lineage)
        return;
    self->cache_path = s_cache_path(self, &error);
    if (!self->cache_path)
        rmt_log(RMT_WARN, "cache.unusable", "volume=%s error=\"%s\"", self->mount,
                error.text);
}

static rmt_cache_writer_t *
s_new_writer(const s_volume_t *self)
{
    if (!self->cache_path)
        return NULL;
    rmt_error_t error = {0};
    const int64_t margin_s =
        rmt_config_number(self->setup->agent->config, "cache-margin-s");
    rmt_cache_writer_t *writer = rmt_cache_writer_new(self->cache_path, self->lineage,
                                                      (uint32_t) margin_s, &error);
    if (!writer)
        rmt_log(RMT_WARN, "cache.unusable", "volume=%s error=\"%s\"", self->mount,
                error.text);
    return writer;
}

static rmt_cache_reader_t *
s_new_reader(const s_volume_t *self, int pass)
{
    const rmt_record_t *body = rmt_task_body(self->setup->task);
    if (!self->cache_path || pass == PASSES_MAX - 1 || self->is_abandoned ||
        rmt_record_flag(body, "paranoid"))
        return NULL;
    rmt_cache_reader_t *reader = rmt_cache_reader_new(self->cache_path, self->lineage);
    rmt_cache_reader_distrust(reader, self->missing, self->missing_count);
    return reader;
}

// ---- Passes

// One pass over the tree. 1 when the receiver has all of it; 0 when another pass is
// needed; -1.
static int
s_run_pass(s_volume_t *self, rmt_cache_reader_t *reader, rmt_cache_writer_t *writer,
           rmt_id_t *root_out, rmt_capture_report_t *report_out, rmt_error_t *error)
{
    const rmt_capture_options_t options = {.root_fd = self->setup->tree_fd,
                                           .excludes = rmt_excludes_list(self->excludes),
                                           .window_size = (size_t) 8 * 1024 * 1024,
                                           .is_still = self->setup->is_still,
                                           .cache = reader,
                                           .cache_out = writer,
                                           .cancelled_fn = s_is_cancelled,
                                           .cancelled_context = self};
    const rmt_capture_sink_t sink = {
        .context = self, .chunk_fn = s_put, .id_fn = s_put_id, .progress_fn = s_progress};
    rmt_capture_report_t report = {0};
    if (rmt_capture_run(&options, &sink, root_out, &report, error) == -1)
        return self->is_abandoned ? 0 : -1;
    size_t missing = 0;
    int result = rmt_offer_drain(self->setup->offer, error);
    const rmt_id_t *ids = rmt_offer_missing(self->setup->offer, &missing);
    if (result == 0 && missing == 0) {
        *report_out = report;
        return 1;
    }
    rmt_capture_report_clear(&report);
    if (result == -1)
        return -1;
    self->is_abandoned = missing > RMT_OFFER_MISSING_MAX;
    if (self->is_abandoned)
        return 0;
    const size_t total = self->missing_count + missing;
    rmt_grow(&self->missing, &self->missing_space, total);
    memcpy(self->missing + self->missing_count, ids, missing * sizeof *ids);
    self->missing_count = total;
    return 0;
}

// One question about the last manifest spares offering each id of an unchanged file.
static int
s_ask_held(s_volume_t *self, const rmt_cache_reader_t *reader, rmt_error_t *error)
{
    const rmt_id_t *root = reader ? rmt_cache_reader_root(reader) : NULL;
    self->is_held = false;
    return root ? rmt_offer_holds(self->setup->offer, root, &self->is_held, error) : 0;
}

static void
s_save_cache(const s_volume_t *self, const rmt_cache_reader_t *reader,
             rmt_cache_writer_t *writer, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    if (reader && rmt_cache_reader_trouble(reader))
        rmt_log(RMT_WARN, "cache.damaged", "volume=%s error=\"%s\"", self->mount,
                rmt_cache_reader_trouble(reader));
    if (writer && rmt_cache_writer_save(writer, root, &error) == -1)
        rmt_log(RMT_WARN, "cache.not-saved", "volume=%s error=\"%s\"", self->mount,
                error.text);
}

static int
s_run_passes(s_volume_t *self, rmt_id_t *root_out, rmt_capture_report_t *report_out,
             rmt_error_t *error)
{
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        rmt_auto(rmt_cache_reader) reader = s_new_reader(self, pass);
        rmt_auto(rmt_cache_writer) writer = s_new_writer(self);
        if (s_ask_held(self, reader, error) == -1)
            return -1;
        const int result = s_run_pass(self, reader, writer, root_out, report_out, error);
        if (result == -1)
            return -1;
        if (result == 1) {
            rmt_log(RMT_INFO, "volume.captured",
                    "volume=%s passes=%d files=%" PRIu64 " cached=%" PRIu64, self->mount,
                    pass + 1, report_out->files, report_out->cached);
            s_save_cache(self, reader, writer, root_out);
            return 0;
        }
        // Answers of this pass must not be taken for the next one's.
        if (rmt_offer_drain(self->setup->offer, error) == -1)
            return -1;
        rmt_offer_forget(self->setup->offer);
    }
    // The last pass offers nothing by id, so nothing can be missing.
    return rmt_fail(error, RMT_E_INTERNAL, "the receiver still lacks chunks");
}

// Only a volume that is read where it is written, and only when that is allowed. It may
// end early, or not be possible: files are looked at before and after in any case.
static rmt_freeze_t *
s_freeze(const s_volume_t *self)
{
    const rmt_volume_setup_t *setup = self->setup;
    const int64_t limit_s = rmt_config_number(setup->agent->config, "freeze-s");
    if (limit_s == 0 || setup->tree_fd != rmt_source_disk_tree(setup->disk, setup->index))
        return NULL;
    rmt_error_t error = {0};
    rmt_freeze_t *freeze =
        rmt_freeze_new(setup->tree_fd, rmt_config_text(setup->agent->config, "state"),
                       (uint32_t) limit_s, &error);
    rmt_log(freeze ? RMT_INFO : RMT_WARN, freeze ? "freeze.begin" : "freeze.refused",
            "volume=%s limit=%d text=\"%s\"", self->mount, (int) limit_s, error.text);
    return freeze;
}

int
rmt_volume_capture(const rmt_volume_setup_t *setup, rmt_id_t *root_out,
                   rmt_capture_report_t *report_out, rmt_error_t *error)
{
    const char *mount = rmt_source_disk_volume(setup->disk, setup->index)->mount;
    const rmt_record_t *body = rmt_task_body(setup->task);
    s_volume_t self = {.setup = setup, .mount = mount ? mount : ""};
    rmt_auto(rmt_excludes) excludes =
        rmt_excludes_new(setup->agent->config, rmt_record_text(body, "exclude", ""),
                         setup->rules, rmt_source_disk_layout(setup->disk), self.mount);
    rmt_excludes_add_swaps(excludes, rmt_source_disk_layout(setup->disk),
                           rmt_source_disk_volume(setup->disk, setup->index));
    self.excludes = excludes;
    s_find_cache(&self);
    rmt_freeze_t *freeze = s_freeze(&self);
    const int result = s_run_passes(&self, root_out, report_out, error);
    if (freeze && !rmt_freeze_end(&freeze))
        rmt_log(RMT_WARN, "freeze.short",
                "volume=%s text=\"its time was over before all was read\"", self.mount);
    free(self.cache_path);
    free(self.lineage);
    free(self.missing);
    return result == -1 ? rmt_wrap(error, "capture volume '%s'", self.mount) : 0;
}
