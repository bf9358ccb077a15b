#include "agent/diskw/work.h"
#include "agent/diskw/filter.h"
#include "agent/disk_tools/vfat.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "tree/rmt_compare.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int
s_check_verified(const rmt_work_t *self, rmt_error_t *error)
{
    if (!self->layout)
        return rmt_fail(error, RMT_E_REFUSED, "no order came before the end");
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_work_volume_t *volume = &self->volumes[i];
        if ((rmt_work_is_vfat(volume) || rmt_work_is_raw(volume) ||
             rmt_fs_is_mounted(volume->ordered->fs)) &&
            !volume->verified)
            return rmt_fail(error, RMT_E_REFUSED, "volume '%s' was not verified",
                            rmt_work_mount_point(volume));
    }
    return 0;
}

// FAT keeps no owners and modes, and times in steps of two seconds: names, sizes and
// contents are what must come back.
static void
s_find(void *context, const rmt_compare_finding_t *finding)
{
    static const char *const carried[] = {"missing", "extra", "type", "size", "content"};
    char *first = context;
    for (size_t i = 0; i < sizeof carried / sizeof *carried; i++)
        if (!*first && *finding->path && strcmp(finding->what, carried[i]) == 0)
            snprintf(first, 256, "/%.160s: %s", finding->path, finding->what);
}

typedef struct {
    const char *from, *to;
} copy_t;

static int
s_run_copy_in(void *context, rmt_error_t *error)
{
    const copy_t *self = context;
    return rmt_vfat_copy_in(self->from, self->to, error);
}

static int
s_run_copy_out(void *context, rmt_error_t *error)
{
    const copy_t *self = context;
    return rmt_vfat_copy_out(self->from, self->to, error);
}

static int
s_write_vfat(rmt_work_t *self, const rmt_work_volume_t *volume, rmt_error_t *error)
{
    if (RMT_FAILPOINT("disk.fat.write") == -1)
        return rmt_fail_errno(error, "write a FAT volume to %s", volume->device);
    rmt_auto_str name = rmt_text("back-%zu", (size_t) (volume - self->volumes));
    rmt_auto_str back = rmt_scratch_folder(self->scratch, name, error);
    copy_t in = {volume->folder, volume->device};
    copy_t out = {volume->device, back};
    if (!back || rmt_work_complete_esp(self, volume, error) == -1 ||
        rmt_filter_run(s_run_copy_in, &in, error) == -1 ||
        rmt_work_settle(self, error) == -1 ||
        rmt_filter_run(s_run_copy_out, &out, error) == -1)
        return -1;
    rmt_auto_fd wanted = open(volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rmt_auto_fd had = open(back, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (wanted == -1 || had == -1)
        return rmt_fail_errno(error, "open %s", back);
    const rmt_compare_input_t expected = {.tree_fd = wanted};
    const rmt_compare_input_t found = {.tree_fd = had};
    char first[256] = "";
    const rmt_compare_options_t options = {.finding_fn = s_find, .context = first};
    rmt_compare_report_t report;
    if (rmt_compare_run(&expected, &found, &options, &report, error) == -1)
        return -1;
    return *first ? rmt_fail(error, RMT_E_CORRUPT, "FAT volume: %s", first) : 0;
}

int
rmt_work_finish(rmt_work_t *self, rmt_error_t *error)
{
    if (s_check_verified(self, error) == -1 || rmt_work_check_boot(self, error) == -1 ||
        rmt_work_settle(self, error) == -1)
        return -1;
    if (rmt_work_progress(self, "boot-record", 0, 1, error) == -1)
        return -1;
    for (size_t i = 0; i < self->volume_count; i++)
        if (rmt_work_is_vfat(&self->volumes[i]) && self->volumes[i].written &&
            s_write_vfat(self, &self->volumes[i], error) == -1)
            return -1;
    if (rmt_work_write_boot(self, error) == -1 || rmt_work_settle(self, error) == -1)
        return -1;
    (void) RMT_FAILPOINT("disk.boot.durable");
    if (rmt_work_enter_firmware(self, error) == -1)
        return -1;
    return rmt_work_progress(self, "boot-record", 1, 1, error);
}
