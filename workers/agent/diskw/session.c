#include "agent/diskw/session.h"
#include "agent/diskw/filter.h"
#include "agent/diskw/work.h"
#include "base/rmt_auto.h"

typedef int(s_handler_fn)(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error);

static int
s_order(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_auto(rmt_records) order = rmt_pipe_records(frame, error);
    return order ? rmt_work_format(work, order, error) : -1;
}

static rmt_work_volume_t *
s_volume_of(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_auto(rmt_record) record = rmt_pipe_record(frame, error);
    return record ? rmt_work_find(work, record, error) : NULL;
}

static int
s_unpack(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_work_volume_t *volume = s_volume_of(work, frame, error);
    return volume ? rmt_work_unpack(work, volume, error) : -1;
}

static int
s_file(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_auto(rmt_record) record = rmt_pipe_record(frame, error);
    return record ? rmt_work_take_file(work, record, error) : -1;
}

static int
s_personal(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_auto(rmt_records) personal = rmt_pipe_records(frame, error);
    return personal ? rmt_work_configure(work, personal, error) : -1;
}

static int
s_settle(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    (void) frame;
    if (rmt_work_progress(work, "verify", 0, work->file_count, error) == -1)
        return -1;
    return rmt_work_settle(work, error);
}

static int
s_verify(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_work_volume_t *volume = s_volume_of(work, frame, error);
    return volume ? rmt_work_verify(work, volume, error) : -1;
}

static int
s_boot(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_auto(rmt_records) boot = rmt_pipe_records(frame, error);
    if (!boot)
        return -1;
    rmt_records_destroy(&work->boot);
    work->boot = rmt_take(&boot);
    return 0;
}

static int
s_finish(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    (void) frame;
    return rmt_work_finish(work, error);
}

static const struct {
    rmt_pipe_kind_t kind;
    s_handler_fn *handle;
} s_rows[] = {
    {RMT_PIPE_ORDER, s_order},   {RMT_PIPE_VOLUME, s_unpack},
    {RMT_PIPE_FILE, s_file},     {RMT_PIPE_PERSONAL, s_personal},
    {RMT_PIPE_SETTLE, s_settle}, {RMT_PIPE_VERIFY, s_verify},
    {RMT_PIPE_BOOT, s_boot},     {RMT_PIPE_FINISH, s_finish},
};

static int
s_handle(rmt_work_t *work, const rmt_frame_t *frame, rmt_error_t *error)
{
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++)
        if (s_rows[i].kind == frame->kind)
            return s_rows[i].handle(work, frame, error);
    return rmt_fail(error, RMT_E_PROTOCOL, "a frame of kind %d came at the wrong time",
                    (int) frame->kind);
}

static int
s_serve(rmt_work_t *work, rmt_error_t *error)
{
    for (;;) {
        rmt_frame_t frame;
        if (rmt_work_is_over(work))
            return rmt_fail(error, RMT_E_CANCELLED, "the writer was ended by a signal");
        const int rc = rmt_pipe_recv(work->pipe, 500, &frame, error);
        const int done = rc == 1 ? s_handle(work, &frame, error) : rc;
        // A refused call is told also where what made it went on without.
        if (rmt_filter_check(work->phase, error) == -1 || done == -1)
            return -1;
        if (rc == 1 && frame.kind == RMT_PIPE_FINISH)
            return 0;
    }
}

// The disks are closed before the answer: its receiver may use them at once.
int
rmt_session_run(rmt_pipe_t *pipe, int signals, rmt_error_t *error)
{
    rmt_work_t *work = rmt_work_new(pipe, signals);
    const int rc = s_serve(work, error);
    rmt_auto(rmt_record) answer = rmt_record_new();
    if (rc == 0) {
        rmt_record_merge(answer, work->report);
        rmt_record_set_u64(answer, "files", work->file_count);
        rmt_record_set_u64(answer, "bytes", work->byte_count);
        rmt_record_set_u64(answer, "verified", work->verified_count);
    } else {
        (void) rmt_work_name_disk(work, error);
        rmt_record_set_u64(answer, "code", error->code);
        rmt_record_set(answer, "text", error->text);
    }
    rmt_work_destroy(&work);
    rmt_error_t ignored = {0};
    if (rmt_pipe_send_record(pipe, rc == 0 ? RMT_PIPE_DONE : RMT_PIPE_ERROR, answer,
                             &ignored) == 0)
        (void) rmt_pipe_flush(pipe, &ignored);
    return rc;
}
