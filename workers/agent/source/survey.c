#include "agent/source/survey.h"
#include "agent/source/excludes.h"
#include "agent/source/source_disk.h"
#include "agent/source/profile.h"
#include "base/rmt_auto.h"
#include "net/rmt_findings.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "system/rmt_personal.h"
#include "tree/rmt_walk.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

// Keys are small; what is larger is looked at by its name alone.
#define KEY_SIZE_MAX ((size_t) 64 * 1024)
static const char s_key_mark[] = "PRIVATE KEY-----";

typedef struct {
    rmt_agent_t *agent;
    rmt_task_t *task;
    rmt_source_disk_t *disk;
    rmt_records_t *rules;
    rmt_records_t *actions; // What is made anew on a target; paths from the root
    rmt_findings_t *findings;
    const char *mount; // Of the volume that is walked
    uint64_t files, bytes, keys, left_out;
    void *room;
} survey_t;

static void
s_find(survey_t *self, const char *what, const char *path, const char *text)
{
    char shown[1024];
    rmt_auto(rmt_record) finding = rmt_record_new();
    rmt_record_set(finding, "what", what);
    rmt_record_set(finding, "path", rmt_log_escape(shown, sizeof shown, path));
    rmt_record_set(finding, "text", text);
    rmt_findings_add(self->findings, &finding);
}

// The path from the root of the system, with its slash. Caller owns the result.
static char *
s_full(const survey_t *self, const char *path)
{
    return rmt_text("%s/%s", strcmp(self->mount, "/") == 0 ? "" : self->mount, path);
}

// ---- What is made anew

// What every copy would share with the source.
static void
s_warn(survey_t *self, int root)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) warnings = rmt_records_new();
    if (rmt_personal_warn(root, warnings, &error) == -1)
        s_find(self, "warning", "/", error.text);
    for (size_t i = 0; i < rmt_records_count(warnings); i++) {
        const rmt_record_t *warning = rmt_records_at(warnings, i);
        const char *line = rmt_record_text(warning, "line", "");
        rmt_auto_str text =
            rmt_text("%s%s%s%s", *line ? "line " : "", line, *line ? ": " : "",
                     rmt_record_text(warning, "text", ""));
        s_find(self, "warning", rmt_record_text(warning, "path", ""), text);
    }
}

// The same plan as for a target, for its paths only: it holds fresh keys, which are not
// kept.
static void
s_plan_anew(survey_t *self)
{
    const int root = rmt_source_disk_root(self->disk);
    rmt_error_t error = {0};
    rmt_auto(rmt_record) target = rmt_record_new();
    rmt_record_set(target, "name", "target");
    self->actions = NULL;
    if (root == -1)
        return;
    s_warn(self, root);
    if (rmt_personal_plan(root, target, &self->actions, &error) == -1) {
        self->actions = NULL;
        s_find(self, "warning", "/", error.text);
        return;
    }
    for (size_t i = 0; i < rmt_records_count(self->actions); i++) {
        rmt_record_t *action = rmt_records_at(self->actions, i);
        rmt_record_remove(action, "content");
        const bool is_removed = rmt_record_is(action, "class", "remove");
        rmt_auto_str text = rmt_text("%s%s", rmt_record_text(action, "what", ""),
                                     is_removed ? ", taken away" : "");
        s_find(self, "anew", rmt_record_text(action, "path", ""), text);
    }
}

static bool
s_is_anew(const survey_t *self, const char *full)
{
    for (size_t i = 0; self->actions && i < rmt_records_count(self->actions); i++)
        if (strcmp(rmt_record_text(rmt_records_at(self->actions, i), "path", ""), full) ==
            0)
            return true;
    return false;
}

// ---- The walk

static void
s_left_out(void *context, const char *path)
{
    survey_t *self = context;
    rmt_auto_str full = s_full(self, path);
    const char *what = rmt_profile_find(self->rules, "leave", full + 1);
    self->left_out++;
    s_find(self, "leave", full, what ? what : "asked for, or the agent's own");
}

// True when the file has a private key in a form that can be told.
static bool
s_has_key(survey_t *self, const rmt_walk_item_t *item)
{
    const size_t size = (size_t) item->status.st_size;
    if (size < sizeof s_key_mark || size > KEY_SIZE_MAX)
        return false;
    rmt_auto_fd fd = rmt_walk_open(rmt_dir_fd(item->parent), item->name, O_RDONLY);
    const ssize_t got = fd == -1 ? -1 : read(fd, self->room, KEY_SIZE_MAX);
    return got > 0 && memmem(self->room, (size_t) got, s_key_mark, sizeof s_key_mark - 1);
}

static void
s_look_for_key(survey_t *self, const rmt_walk_item_t *item)
{
    rmt_auto_str full = s_full(self, item->path);
    const char *what = rmt_profile_find(self->rules, "key", full + 1);
    if ((!what && !s_has_key(self, item)) || s_is_anew(self, full))
        return;
    self->keys++;
    s_find(self, "key", full, what ? what : "private key in PEM");
}

static int
s_walk_volume(survey_t *self, size_t index, rmt_error_t *error)
{
    const char *mount = rmt_source_disk_volume(self->disk, index)->mount;
    const char *words = rmt_record_text(rmt_task_body(self->task), "exclude", "");
    self->mount = mount ? mount : "/";
    rmt_auto(rmt_excludes) excludes =
        rmt_excludes_new(self->agent->config, words, self->rules,
                         rmt_source_disk_layout(self->disk), self->mount);
    rmt_excludes_add_swaps(excludes, rmt_source_disk_layout(self->disk),
                           rmt_source_disk_volume(self->disk, index));
    rmt_auto(rmt_walk) walk = rmt_walk_new(rmt_source_disk_tree(self->disk, index),
                                           rmt_excludes_list(excludes), error);
    if (!walk)
        return -1;
    rmt_walk_on_excluded(walk, s_left_out, self);
    uint64_t files = 0, bytes = 0;
    rmt_walk_item_t item;
    int found;
    while ((found = rmt_walk_next(walk, &item, error)) == 1) {
        files++;
        if (S_ISREG(item.status.st_mode) && !item.is_mount && item.parent) {
            bytes += (uint64_t) item.status.st_size;
            s_look_for_key(self, &item);
        }
        if (files % 256 == 0)
            rmt_task_progress(self->task, "survey", self->files + files, 0, NULL);
        if (rmt_task_cancelled(self->task))
            return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
    }
    self->files += files;
    self->bytes += bytes;
    rmt_auto_str text = rmt_text("%" PRIu64 " names, %" PRIu64 " bytes", files, bytes);
    s_find(self, "take", self->mount, text);
    return found;
}

// Partitions that are left out, and those that are carried block by block.
static void
s_tell_parts(survey_t *self)
{
    const rmt_layout_t *layout = rmt_source_disk_layout(self->disk);
    const rmt_records_t *without = rmt_source_disk_without(self->disk);
    for (size_t i = 0; i < rmt_records_count(without); i++) {
        const rmt_record_t *one = rmt_records_at(without, i);
        s_find(self, "leave", rmt_record_text(one, "path", ""),
               rmt_record_text(one, "what", ""));
    }
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (volume->fs != RMT_FS_RAW)
            continue;
        rmt_auto_str path = rmt_text("partition %" PRIu64, volume->partition);
        rmt_auto_str text =
            rmt_text("the blocks in use of what it holds: %s",
                     rmt_record_text(volume->format, "content", "nothing known"));
        s_find(self, "take", path, text);
    }
}

static int
s_survey(survey_t *self, rmt_error_t *error)
{
    self->rules = rmt_profile_read(self->agent->config, error);
    if (!self->rules)
        return -1;
    const rmt_parts_words_t parts = rmt_parts_of(rmt_task_body(self->task));
    self->disk =
        rmt_source_disk_new(self->agent->config, self->agent->name, &parts, error);
    if (!self->disk)
        return -1;
    s_tell_parts(self);
    s_plan_anew(self);
    for (size_t i = 0; i < rmt_source_disk_count(self->disk); i++)
        if (s_walk_volume(self, i, error) == -1)
            return -1;
    if (rmt_findings_finish(self->findings, error) == -1)
        return -1;
    rmt_record_t *outputs = rmt_task_outputs(self->task);
    rmt_record_set_u64(outputs, "files", self->files);
    rmt_record_set_u64(outputs, "bytes", self->bytes);
    rmt_record_set_u64(outputs, "keys", self->keys);
    rmt_record_set_u64(outputs, "left-out", self->left_out);
    return 0;
}

int
rmt_survey_run(rmt_task_t *task, void *agent, rmt_error_t *error)
{
    survey_t self = {.agent = agent, .task = task, .room = malloc(KEY_SIZE_MAX)};
    assert(self.room);
    self.findings = rmt_findings_new(task);
    const int result = s_survey(&self, error);
    rmt_findings_destroy(&self.findings);
    rmt_records_destroy(&self.actions);
    rmt_source_disk_destroy(&self.disk);
    rmt_records_destroy(&self.rules);
    explicit_bzero(self.room, KEY_SIZE_MAX);
    free(self.room);
    return result;
}
