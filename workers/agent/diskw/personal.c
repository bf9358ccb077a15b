#include "agent/diskw/work.h"
#include "agent/diskw/filter.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"
#include "system/rmt_personal.h"

#include <string.h>

#define FILE_SIZE_MAX ((uint64_t) 64 * 1024 * 1024)

int
rmt_work_take_file(rmt_work_t *self, const rmt_record_t *file, rmt_error_t *error)
{
    const uint64_t size = rmt_record_u64(file, "size", 0);
    if (size > FILE_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "first boot file of %llu bytes",
                        (unsigned long long) size);
    rmt_auto_ptr memory = malloc(size + 1);
    if (!memory)
        abort();
    uint8_t *data = memory;
    uint64_t used = 0;
    while (used < size) {
        rmt_frame_t frame;
        if (rmt_pipe_recv(self->pipe, -1, &frame, error) == -1)
            return -1;
        if (frame.kind != RMT_PIPE_DATA || frame.size > size - used)
            return rmt_fail(error, RMT_E_PROTOCOL, "frame of kind %d in a file",
                            (int) frame.kind);
        memcpy(data + used, frame.data, frame.size);
        used += frame.size;
    }
    rmt_record_t *record = rmt_records_add(self->files);
    rmt_record_set(record, "class", "file");
    rmt_record_set(record, "name", rmt_record_text(file, "name", ""));
    rmt_record_set(record, "mode", rmt_record_text(file, "mode", "0600"));
    rmt_record_put(record, "content", data, size);
    return 0;
}

static void
s_take_scripts(rmt_work_t *self, const rmt_records_t *personal)
{
    for (size_t i = 0; i < rmt_records_count(personal); i++) {
        rmt_auto(rmt_record) copy = rmt_record_dup(rmt_records_at(personal, i));
        if (strcmp(rmt_record_text(copy, "class", ""), "script") == 0)
            rmt_records_append(self->files, &copy);
    }
}

typedef struct {
    int root;
    const rmt_record_t *target;
    rmt_records_t *actions;
} personal_t;

static int
s_run_plan(void *context, rmt_error_t *error)
{
    personal_t *self = context;
    return rmt_personal_plan(self->root, self->target, &self->actions, error);
}

static int
s_plan(rmt_work_t *self, const rmt_records_t *personal, int root,
       rmt_records_t **actions_out, rmt_error_t *error)
{
    const rmt_record_t *target = rmt_records_find(personal, "class", "target");
    const rmt_record_t *command = rmt_records_find(personal, "class", "command");
    personal_t personal_of = {.root = root, .target = target};
    if (target && rmt_filter_run(s_run_plan, &personal_of, error) == -1)
        return -1;
    rmt_auto(rmt_records) actions =
        personal_of.actions ? personal_of.actions : rmt_records_new();
    if (rmt_work_plan_mounts(self, root, actions, error) == -1 ||
        rmt_work_plan_discovered(self, root, actions, error) == -1)
        return -1;
    s_take_scripts(self, personal);
    if (command && rmt_personal_first_boot(root, rmt_record_text(command, "command", ""),
                                           self->files, actions, error) == -1)
        return -1;
    *actions_out = rmt_take(&actions);
    return 0;
}

int
rmt_work_configure(rmt_work_t *self, const rmt_records_t *personal, rmt_error_t *error)
{
    if (rmt_work_progress(self, "configure", 0, 1, error) == -1)
        return -1;
    rmt_auto_fd root = rmt_work_join(self, error);
    rmt_auto(rmt_records) actions = NULL;
    int rc = root == -1 ? -1 : s_plan(self, personal, root, &actions, error);
    if (rc == 0 && RMT_FAILPOINT("disk.configure") == -1)
        rc = rmt_fail_errno(error, "write the machine's own files");
    if (rc == 0)
        rc = rmt_personal_apply(root, actions, error);
    if (rc == 0)
        rc = rmt_work_label_swaps(self, root, error);
    if (rc == -1)
        return rmt_wrap(error, "configure");
    for (size_t i = 0; i < rmt_records_count(self->made); i++) {
        rmt_auto(rmt_record) made = rmt_record_dup(rmt_records_at(self->made, i));
        rmt_records_append(actions, &made);
    }
    rmt_records_destroy(&self->own);
    self->own = rmt_personal_paths(actions);
    const rmt_record_t *target = rmt_records_find(personal, "class", "target");
    if (target && rmt_work_configure_others(self, target, error) == -1)
        return rmt_wrap(error, "configure");
    close(rmt_take_fd(&root));
    rmt_work_part(self);
    rmt_records_destroy(&self->files);
    self->files = rmt_records_new();
    return rmt_work_progress(self, "configure", 1, 1, error);
}

// Of the folders above our files only the times are ours, or that they are there at all;
// the root is above all of them.
bool
rmt_work_is_own(const rmt_work_t *self, const char *path, const char *what)
{
    if (rmt_records_count(self->own) == 0)
        return false;
    const rmt_record_t *own = rmt_records_find(self->own, "path", path);
    const bool is_root = strcmp(path, "/") == 0;
    if (!own && !is_root)
        return false;
    const bool is_folder =
        is_root || strcmp(rmt_record_text(own, "what", ""), "folder") == 0;
    return !is_folder || strcmp(what, "mtime") == 0 || strcmp(what, "extra") == 0;
}
