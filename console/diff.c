#include "console/diff.h"
#include "console/image.h"
#include "console/output.h"
#include "console/release.h"
#include "console/report.h"
#include "base/rmt_auto.h"
#include "tree/rmt_compare.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// ---- diff

typedef struct {
    const char *mount;
    rmt_records_t *items;
    uint64_t added, removed, changed;
    rmt_record_t *last; // The path of the last finding, which others may be about too
} diff_t;

static void
s_append(rmt_record_t *item, const char *field, const char *joint, const char *more)
{
    const char *before = rmt_record_text(item, field, "");
    rmt_auto_str joined = rmt_text("%s%s%s", before, *before ? joint : "", more);
    rmt_record_set(item, field, joined);
}

static rmt_record_t *
s_add(diff_t *self, const char *change, const char *path)
{
    rmt_record_t *item = rmt_records_add(self->items);
    rmt_record_set(item, "change", change);
    rmt_record_put(item, "path", path, strlen(path));
    return item;
}

// Findings of one path come one after the other, and become one item.
static void
s_note(void *context, const rmt_compare_finding_t *finding)
{
    diff_t *self = context;
    rmt_auto_str path = rmt_text("%s/%s", self->mount, finding->path);
    const bool is_removed = strcmp(finding->what, "missing") == 0;
    const bool is_added = strcmp(finding->what, "extra") == 0;
    if (is_removed || is_added) {
        self->removed += is_removed;
        self->added += is_added;
        self->last = NULL;
        (void) s_add(self, is_removed ? "removed" : "added", path);
        return;
    }
    if (!self->last || strcmp(rmt_record_text(self->last, "path", ""), path) != 0) {
        self->last = s_add(self, "changed", path);
        self->changed++;
    }
    s_append(self->last, "what", ",", finding->what);
    s_append(self->last, "text", "; ", finding->text);
}

static const rmt_record_t *
s_volume_at(const image_t *image, const char *mount)
{
    const rmt_record_t *volume;
    for (size_t i = 0; (volume = image_volume(image, i)); i++)
        if (strcmp(image_mount(volume), mount) == 0)
            return volume;
    return NULL;
}

static int
s_side(image_t *image, const rmt_record_t *volume, rmt_id_t *root,
       rmt_compare_input_t *side_out, rmt_error_t *error)
{
    *side_out = (rmt_compare_input_t){
        .root = root, .source = rmt_fetch_read, .source_context = image->fetch};
    return rmt_id_parse(root, rmt_record_text(volume, "root", ""), error);
}

static int
s_diff_volume(diff_t *self, image_t *a, const rmt_record_t *a_volume, image_t *b,
              const rmt_record_t *b_volume, rmt_error_t *error)
{
    rmt_id_t a_root, b_root;
    rmt_compare_input_t a_side, b_side;
    if (s_side(a, a_volume, &a_root, &a_side, error) == -1 ||
        s_side(b, b_volume, &b_root, &b_side, error) == -1)
        return -1;
    if (rmt_id_equal(&a_root, &b_root))
        return 0;
    self->mount = image_mount(a_volume);
    self->last = NULL;
    const rmt_compare_options_t options = {
        .threads = 1, .finding_fn = s_note, .context = self};
    rmt_compare_report_t report;
    return rmt_compare_run(&a_side, &b_side, &options, &report, error);
}

static int
s_diff(diff_t *self, image_t *a, image_t *b, rmt_error_t *error)
{
    const rmt_record_t *volume, *other;
    for (size_t i = 0; (volume = image_volume(a, i)); i++) {
        other = s_volume_at(b, image_mount(volume));
        if (!other) {
            rmt_record_set(s_add(self, "removed", rmt_record_text(volume, "mount", "/")),
                           "what", "volume");
            self->removed++;
        } else if (s_diff_volume(self, a, volume, b, other, error) == -1) {
            return -1;
        }
    }
    for (size_t i = 0; (volume = image_volume(b, i)); i++) {
        if (s_volume_at(a, image_mount(volume)))
            continue;
        rmt_record_set(s_add(self, "added", rmt_record_text(volume, "mount", "/")),
                       "what", "volume");
        self->added++;
    }
    return 0;
}

const char *const diff_columns[] = {"change", "path", "what", "text", NULL};

int
diff_images(call_t *call, rmt_error_t *error)
{
    rmt_auto(image) a = image_open(call, call->operands[0], error);
    rmt_auto(image) b = a ? image_open(call, call->operands[1], error) : NULL;
    if (!b)
        return -1;
    rmt_auto(rmt_records) items = rmt_records_new();
    diff_t self = {.items = items};
    if (s_diff(&self, a, b, error) == -1)
        return -1;
    rmt_auto(rmt_record) counts = rmt_record_new();
    rmt_record_set_u64(counts, "added", self.added);
    rmt_record_set_u64(counts, "removed", self.removed);
    rmt_record_set_u64(counts, "changed", self.changed);
    return output_record(counts, "items", items, diff_columns, &call->view, error);
}

// ---- verify

int
diff_verify(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    rmt_record_set(body, "image", call->operands[0]);
    rmt_record_remove(body, "timeout");
    if (release_say(call, call->operands[0], error) == -1)
        return -1;
    rmt_auto(rmt_msg) reply = call_request(call, "image.verify", body, NULL, error);
    return reply ? report_made(call, reply, true, error) : -1;
}
