#include "agent/diskw/work.h"
#include "agent/diskw/filter.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_personal.h"

#include <fcntl.h>
#include <string.h>

// Trees that the root does not mount can be started, or found by another root, and are
// made this machine's own too.

typedef struct {
    int root;
    const rmt_record_t *target;
    bool needs_kernel;
    rmt_records_t *actions;
} plan_t;

static int
s_run_plan(void *context, rmt_error_t *error)
{
    plan_t *self = context;
    return rmt_personal_plan_other(self->root, self->target, self->needs_kernel,
                                   &self->actions, error);
}

char *
rmt_work_whole_path(const rmt_work_t *self, const rmt_work_volume_t *volume,
                    const char *path)
{
    const char *mount = rmt_work_mount_point(volume);
    if (!*mount)
        return rmt_text("//%zu%s%s", (size_t) (volume - self->volumes), *path ? "/" : "",
                        path);
    const bool is_root = strcmp(mount, "/") == 0;
    return rmt_text("%s%s%s", is_root ? "" : mount, *path || is_root ? "/" : "", path);
}

// The paths that VERIFY leaves out, as rmt_work_whole_path has them.
static void
s_note(rmt_work_t *self, const rmt_work_volume_t *volume, const rmt_records_t *actions)
{
    rmt_auto(rmt_records) named = rmt_records_dup(actions);
    for (size_t i = 0; i < rmt_records_count(named); i++) {
        rmt_record_t *action = rmt_records_at(named, i);
        const char *path = rmt_record_text(action, "path", "/");
        rmt_auto_str whole = rmt_work_whole_path(self, volume, path + 1);
        rmt_record_set(action, "path", whole);
    }
    rmt_auto(rmt_records) paths = rmt_personal_paths(named);
    for (size_t i = 0; i < rmt_records_count(paths); i++) {
        rmt_record_t *copy = rmt_record_dup(rmt_records_at(paths, i));
        rmt_records_append(self->own, &copy);
    }
}

static int
s_configure(rmt_work_t *self, rmt_work_volume_t *volume, const rmt_record_t *target,
            rmt_error_t *error)
{
    rmt_auto_fd root = open(volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    plan_t plan = {.root = root,
                   .target = target,
                   .needs_kernel = volume->ordered->subvolume != NULL};
    if (root == -1)
        return rmt_fail_errno(error, "open %s", volume->folder);
    if (rmt_filter_run(s_run_plan, &plan, error) == -1)
        return -1;
    rmt_auto(rmt_records) actions = plan.actions;
    if (rmt_personal_apply(root, actions, error) == -1)
        return -1;
    s_note(self, volume, actions);
    return 0;
}

int
rmt_work_configure_others(rmt_work_t *self, const rmt_record_t *target,
                          rmt_error_t *error)
{
    for (size_t i = 0; i < self->volume_count; i++) {
        rmt_work_volume_t *volume = &self->volumes[i];
        if (volume->written && !rmt_work_is_raw(volume) &&
            !*rmt_work_mount_point(volume) &&
            s_configure(self, volume, target, error) == -1)
            return rmt_wrap(error, "partition %llu, which the root does not mount",
                            (unsigned long long) volume->ordered->partition);
    }
    return 0;
}
