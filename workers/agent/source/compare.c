#include "agent/source/compare.h"
#include "agent/source/excludes.h"
#include "agent/source/source_disk.h"
#include "agent/source/personal_list.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "tree/rmt_compare.h"
#include "exchange/rmt_fetch.h"
#include "net/rmt_findings.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "agent/disk_tools/subvolume.h"

#include <assert.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    rmt_agent_t *agent;
    rmt_task_t *task;
    const atomic_bool *yield; // May be NULL
    rmt_findings_t *findings;
    rmt_fetch_t *fetch;
    rmt_records_t *descriptor;
    rmt_records_t *left_out; // What the image says that it leaves out: class=leave
    rmt_layout_t *image;     // Of the descriptor
    rmt_source_disk_t *disk;
    const rmt_layout_volume_t *volume; // At hand, of the image
    const char *mount;                 // Its own, without a slash at the end
    bool is_all;                       // Tell what differs by intent too
    uint64_t files, bytes, differences, by_intent;
    char first[256]; // What was found first
} s_drift_t;

bool
rmt_compare_is_personal(const char *path)
{
    for (size_t i = 0; RMT_PERSONAL_LIST[i]; i++)
        if (fnmatch(RMT_PERSONAL_LIST[i], path, 0) == 0)
            return true;
    return false;
}

// ---- Findings

static void
s_tell(s_drift_t *self, const char *path, const char *what, const char *text)
{
    const bool is_personal = rmt_compare_is_personal(path + 1);
    self->by_intent += is_personal;
    self->differences += !is_personal;
    if (is_personal && !self->is_all)
        return;
    if (!is_personal && !*self->first) {
        char shown[128];
        snprintf(self->first, sizeof self->first, "%s: %.100s",
                 rmt_log_escape(shown, sizeof shown, path), text);
    }
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "what", what);
    rmt_record_put(record, "path", path, strlen(path));
    rmt_record_set(record, "text", text);
    if (is_personal)
        rmt_record_set(record, "by-intent", "yes");
    rmt_findings_add(self->findings, &record);
}

static void
s_on_finding(void *context, const rmt_compare_finding_t *finding)
{
    s_drift_t *self = context;
    if (strcmp(finding->what, "missing") != 0 && strcmp(finding->what, "type") != 0 &&
        rmt_subvolume_is_at(self->image, self->volume, finding->path))
        return;
    rmt_auto_str path = rmt_text("%s/%s", self->mount, finding->path);
    s_tell(self, path, finding->what, finding->text);
}

static bool
s_must_yield(const s_drift_t *self)
{
    return self->yield && atomic_load(self->yield);
}

static bool
s_is_cancelled(void *context)
{
    const s_drift_t *self = context;
    return !rmt_task_go_on(self->task) || s_must_yield(self);
}

static bool
s_is_alive(void *context)
{
    return !s_is_cancelled(context);
}

// ---- The image

// What the image leaves out it cannot miss on a machine, and a machine may have it.
static void
s_read_left_out(s_drift_t *self)
{
    self->left_out = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(self->descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(self->descriptor, i);
        if (!rmt_record_is(record, "part", "exclude"))
            continue;
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_records_append(self->left_out, &copy);
    }
}

// A machine may have the partitions that the image leaves out, or not. Caller owns the
// result (free).
static char *
s_without(const s_drift_t *self)
{
    char *words = rmt_text("%s", "");
    for (size_t i = 0; i < rmt_records_count(self->left_out); i++) {
        const rmt_record_t *record = rmt_records_at(self->left_out, i);
        if (!rmt_record_is(record, "class", "without"))
            continue;
        char *longer = rmt_text("%s%s\n", words, rmt_record_text(record, "path", ""));
        free(words);
        words = longer;
    }
    return words;
}

// A target has them under the same numbers. Caller owns the result (free).
static char *
s_raw(const s_drift_t *self)
{
    char *words = rmt_text("%s", "");
    for (size_t i = 0; i < self->image->volume_count; i++) {
        if (self->image->volumes[i].fs != RMT_FS_RAW)
            continue;
        char *longer =
            rmt_text("%s%" PRIu64 "\n", words, self->image->volumes[i].partition);
        free(words);
        words = longer;
    }
    return words;
}

static int
s_open_image(s_drift_t *self, rmt_id_t *image_out, rmt_error_t *error)
{
    const rmt_record_t *task_body = rmt_task_body(self->task);
    const char *image = rmt_record_text(task_body, "image", "");
    if (rmt_id_parse(image_out, image, error) == -1)
        return -1;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "place", rmt_record_text(task_body, "place", ""));
    rmt_record_set(body, "service", "package");
    rmt_record_set(body, "image", image);
    rmt_auto(rmt_msg) reply = rmt_task_request(self->task, "holders", body, NULL, error);
    if (!reply)
        return rmt_wrap(error, "ask the broker for holders of the image");
    self->fetch = rmt_fetch_new(rmt_msg_items(reply), rmt_task_host(self->task),
                                &self->agent->key, image_out, error);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    size_t size;
    if (!self->fetch)
        return -1;
    rmt_fetch_set_alive(self->fetch, s_is_alive, self);
    if (rmt_fetch_read(self->fetch, image_out, plain, &size, error) == -1)
        return -1;
    self->descriptor = rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
    if (!self->descriptor)
        return -1;
    s_read_left_out(self);
    self->image = rmt_layout_read(self->descriptor, error);
    return self->image ? 0 : rmt_wrap(error, "image");
}

// ---- Volumes

// Index in the layout of the tree that is mounted there, or its count.
static size_t
s_find_tree(const s_drift_t *self, const char *mount)
{
    size_t i = 0;
    for (; i < rmt_source_disk_count(self->disk); i++) {
        const char *own = rmt_source_disk_volume(self->disk, i)->mount;
        if (own && strcmp(own, mount) == 0)
            break;
    }
    return i;
}

static int
s_compare_volume(s_drift_t *self, const rmt_layout_volume_t *volume, rmt_error_t *error)
{
    const char *mount = volume->mount;
    const size_t tree = s_find_tree(self, mount);
    self->volume = volume;
    self->mount = strcmp(mount, "/") == 0 ? "" : mount;
    if (tree == rmt_source_disk_count(self->disk)) {
        s_tell(self, mount, "missing", "this machine lacks the volume");
        return 0;
    }
    if (!volume->has_root)
        return rmt_fail(error, RMT_E_CORRUPT, "volume '%s' of the image has no root",
                        mount);
    const char *words = rmt_record_text(rmt_task_body(self->task), "ignore", "");
    rmt_auto(rmt_excludes) ignores =
        rmt_excludes_new(self->agent->config, words, self->left_out,
                         rmt_source_disk_layout(self->disk), mount);
    const rmt_compare_input_t expected = {
        .root = &volume->root, .source = rmt_fetch_read, .source_context = self->fetch};
    const rmt_compare_input_t found = {.tree_fd = rmt_source_disk_tree(self->disk, tree)};
    const rmt_compare_options_t options = {.ignores = rmt_excludes_list(ignores),
                                           .threads = 2,
                                           .finding_fn = s_on_finding,
                                           .cancelled_fn = s_is_cancelled,
                                           .context = self};
    rmt_compare_report_t report = {0};
    if (rmt_compare_run(&expected, &found, &options, &report, error) == -1)
        return rmt_wrap(error, "compare volume '%s'", mount);
    self->files += report.entries;
    self->bytes += report.size;
    return 0;
}

static int
s_compare_volumes(s_drift_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->image->volume_count; i++) {
        const rmt_layout_volume_t *volume = &self->image->volumes[i];
        if (volume->mount && s_compare_volume(self, volume, error) == -1)
            return -1;
    }
    return 0;
}

// ---- The task

static int
s_run(s_drift_t *self, rmt_error_t *error)
{
    rmt_id_t image;
    rmt_task_progress(self->task, "compare", 0, 0, NULL);
    if (s_open_image(self, &image, error) == -1)
        return -1;
    rmt_auto_str without = s_without(self);
    rmt_auto_str raw = s_raw(self);
    const rmt_parts_words_t parts = {.without = without, .raw = raw, .is_loose = true};
    self->disk =
        rmt_source_disk_new(self->agent->config, self->agent->name, &parts, error);
    if (!self->disk || s_compare_volumes(self, error) == -1 ||
        rmt_findings_finish(self->findings, error) == -1)
        return -1;
    rmt_record_t *outputs = rmt_task_outputs(self->task);
    rmt_record_set_u64(outputs, "files", self->files);
    rmt_record_set_u64(outputs, "bytes", self->bytes);
    rmt_record_set_u64(outputs, "differences", self->differences);
    rmt_record_set_u64(outputs, "by-intent", self->by_intent);
    rmt_log(RMT_INFO, "compare.done", "name=%s differences=%" PRIu64, self->agent->name,
            self->differences);
    if (self->differences == 0)
        return 0;
    return rmt_fail(error, RMT_E_CORRUPT, "%" PRIu64 " differences; first: %s",
                    self->differences, self->first);
}

int
rmt_compare_task(rmt_task_t *task, rmt_agent_t *agent, const atomic_bool *yield,
                 rmt_error_t *error)
{
    s_drift_t self = {.agent = agent, .task = task, .yield = yield};
    self.is_all = rmt_record_flag(rmt_task_body(task), "all");
    self.findings = rmt_findings_new(task);
    int result = s_run(&self, error);
    // A cancelled task would be tried again; this one is over.
    if (result == -1 && error->code == RMT_E_CANCELLED && s_must_yield(&self))
        result = rmt_fail(
            error, RMT_E_REFUSED,
            "the comparison stopped, because an install of this machine has begun");
    rmt_source_disk_destroy(&self.disk);
    rmt_layout_destroy(&self.image);
    rmt_records_destroy(&self.descriptor);
    rmt_records_destroy(&self.left_out);
    rmt_fetch_destroy(&self.fetch);
    rmt_findings_destroy(&self.findings);
    return result;
}
