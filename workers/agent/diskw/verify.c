#include "agent/diskw/work.h"
#include "agent/diskw/parser.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "agent/disk_tools/subvolume.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    rmt_work_t *work;
    const rmt_work_volume_t *volume;
    uint64_t differences;
    char first[400];
    rmt_error_t unread; // Of the first name that the disk did not give back
} verify_t;

int
rmt_work_settle(rmt_work_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->volume_count; i++)
        if (rmt_work_close_subvolume(&self->volumes[i], error) == -1)
            return -1;
    for (size_t i = 0; i < self->volume_count; i++)
        if (rmt_work_unmount(self, &self->volumes[i], error) == -1)
            return -1;
    if (rmt_work_flush_shown(self, error) == -1)
        return -1;
    for (size_t i = 0; i < self->disk_count; i++) {
        self->at = &self->disks[i];
        if (rmt_blockdev_flush(self->disks[i].device, error) == -1)
            return -1;
    }
    return 0;
}

// A file of which another name became this machine's own is no longer one inode with it.
static bool
s_is_parted(const verify_t *self, const rmt_compare_finding_t *finding)
{
    static const char before[] = "one inode with ";
    const char *end = strstr(finding->text, ", found ");
    if (strcmp(finding->what, "links") != 0 || !end ||
        strncmp(finding->text, before, sizeof before - 1) != 0)
        return false;
    const char *begin = finding->text + sizeof before - 1;
    rmt_auto_str other = rmt_text("%.*s", (int) (end - begin), begin);
    rmt_auto_str path = rmt_work_whole_path(self->work, self->volume, other);
    return rmt_work_is_own(self->work, path, "content");
}

// The root of a subvolume is verified with what is in it.
static bool
s_is_of_another(const verify_t *self, const rmt_compare_finding_t *finding)
{
    return strcmp(finding->what, "missing") != 0 && strcmp(finding->what, "type") != 0 &&
           rmt_subvolume_is_at(self->work->layout, self->volume->ordered, finding->path);
}

static bool
s_is_expected(const verify_t *self, const rmt_compare_finding_t *finding)
{
    // mkfs makes it, whether the image has one or not.
    const rmt_fs_kind_t fs = self->volume->ordered->fs;
    const bool is_lost = strcmp(finding->path, "lost+found") == 0 &&
                         (fs == RMT_FS_EXT2 || fs == RMT_FS_EXT3 || fs == RMT_FS_EXT4);
    if (is_lost && strcmp(finding->what, "extra") == 0)
        return true;
    if (s_is_parted(self, finding) || s_is_of_another(self, finding) ||
        rmt_work_is_swap(self->work, self->volume, finding->path, finding->what))
        return true;
    rmt_auto_str path = rmt_work_whole_path(self->work, self->volume, finding->path);
    return rmt_work_is_own(self->work, path, finding->what);
}

static void
s_find(void *context, const rmt_compare_finding_t *finding)
{
    verify_t *self = context;
    if (finding->why == RMT_E_DISK && self->unread.code == RMT_E_OK)
        (void) rmt_fail(&self->unread, RMT_E_DISK, "read /%.200s: %s", finding->path,
                        finding->text);
    if (s_is_expected(self, finding))
        return;
    const size_t used = strlen(self->first);
    if (self->differences++ < 3)
        snprintf(self->first + used, sizeof self->first - used, "%s/%.80s: %s (%.60s)",
                 used ? "; " : "", finding->path, finding->what, finding->text);
}

static int
s_verify_progress(void *context, uint64_t done, rmt_error_t *error)
{
    rmt_work_t *work = ((const verify_t *) context)->work;
    return rmt_work_progress(work, "verify", work->verified_count + done,
                             work->file_count, error);
}

int
rmt_work_verify(rmt_work_t *self, rmt_work_volume_t *volume, rmt_error_t *error)
{
    if (!volume->written || !volume->ordered->has_root)
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "verify came before the volume was written");
    if (rmt_work_mount(self, volume, true, error) == -1 ||
        rmt_work_check_subvolume(volume, error) == -1 ||
        rmt_work_progress(self, "verify", self->verified_count, self->file_count,
                          error) == -1)
        return -1;
    verify_t verify = {.work = self, .volume = volume};
    const rmt_parser_task_t task = {.stage = RMT_FILTER_VERIFY,
                                    .volume = volume,
                                    .progress_fn = s_verify_progress,
                                    .finding_fn = s_find,
                                    .context = &verify};
    rmt_parser_end_t end;
    if (rmt_parser_run(self, &task, &end, error) == -1)
        return rmt_wrap(error, "verify");
    // What is missing then is not to blame on the image.
    if (verify.unread.code != RMT_E_OK) {
        *error = verify.unread;
        return rmt_wrap(error, "verify");
    }
    if (verify.differences)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the disk differs from the image in %llu ways: %s",
                        (unsigned long long) verify.differences, verify.first);
    self->verified_count += end.entries;
    volume->verified = true;
    return rmt_work_unmount(self, volume, error);
}
