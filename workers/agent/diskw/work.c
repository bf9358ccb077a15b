#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

#include <assert.h>
#include <poll.h>
#include <sys/mount.h>

#define TELL_MS 250

rmt_work_t *
rmt_work_new(rmt_pipe_t *pipe, int signals)
{
    rmt_work_t *self = calloc(1, sizeof *self);
    assert(self);
    self->pipe = pipe;
    self->signals = signals;
    self->files = rmt_records_new();
    self->own = rmt_records_new();
    self->made = rmt_records_new();
    self->boot = rmt_records_new();
    self->report = rmt_record_new();
    self->is_machine = true;
    for (size_t i = 0; i < RMT_LAYOUT_CRYPTS_MAX; i++)
        self->crypts[i].fd = -1;
    self->phase = "order";
    return self;
}

const char *
rmt_work_mount_point(const rmt_work_volume_t *volume)
{
    return volume->ordered->mount ? volume->ordered->mount : "";
}

void
rmt_work_part(rmt_work_t *self)
{
    if (self->joined == 0)
        return;
    rmt_auto_str whole = rmt_text("%s/whole", rmt_scratch_path(self->scratch));
    // A lazy unmount of the first takes those on it along; nothing is open in them.
    (void) umount2(whole, MNT_DETACH);
    self->joined = 0;
}

void
rmt_work_destroy(rmt_work_t **self_p)
{
    rmt_work_t *self = *self_p;
    if (!self)
        return;
    rmt_work_part(self);
    for (size_t i = 0; i < self->volume_count; i++) {
        rmt_error_t ignored = {0};
        if (self->volumes[i].mounted)
            (void) rmt_fs_unmount(self->volumes[i].folder, &ignored);
        free(self->volumes[i].folder);
        free(self->volumes[i].device);
    }
    rmt_work_close_shown(self);
    for (size_t i = 0; i < self->disk_count; i++) {
        rmt_blockdev_destroy(&self->disks[i].device);
        rmt_layout_destroy(&self->disks[i].layout);
        free(self->disks[i].words);
        close(self->disks[i].lock);
    }
    rmt_scratch_destroy(&self->scratch);
    rmt_layout_destroy(&self->layout);
    rmt_records_destroy(&self->files);
    rmt_records_destroy(&self->own);
    rmt_records_destroy(&self->made);
    rmt_records_destroy(&self->boot);
    rmt_record_destroy(&self->report);
    free(self);
    *self_p = NULL;
}

rmt_work_disk_t *
rmt_work_disk_of(rmt_work_t *self, size_t disk)
{
    for (size_t i = 0; i < self->disk_count; i++)
        if (self->disks[i].ordered == &self->layout->disks[disk])
            return &self->disks[i];
    return NULL;
}

int
rmt_work_name_disk(const rmt_work_t *self, rmt_error_t *error)
{
    if (error->code == RMT_E_DISK && self->at)
        return rmt_wrap(error, "%s fails", self->at->words);
    return -1;
}

int
rmt_work_progress(rmt_work_t *self, const char *phase, uint64_t done, uint64_t total,
                  rmt_error_t *error)
{
    const int64_t now_ms = rmt_clock_ms();
    self->phase = phase;
    if (done != 0 && done != total && now_ms - self->told_ms < TELL_MS)
        return 0;
    self->told_ms = now_ms;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "phase", phase);
    rmt_record_set_u64(record, "done", done);
    rmt_record_set_u64(record, "total", total);
    if (rmt_pipe_send_record(self->pipe, RMT_PIPE_PROGRESS, record, error) == -1)
        return -1;
    return rmt_pipe_flush(self->pipe, error);
}

bool
rmt_work_is_over(rmt_work_t *self)
{
    struct pollfd polls[2] = {{.fd = self->signals, .events = POLLIN},
                              {.fd = STDIN_FILENO}};
    return poll(polls, 2, 0) > 0 && (polls[0].revents || (polls[1].revents & POLLERR));
}
