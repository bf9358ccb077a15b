// ramet-diskw as its agent drives it: real pipes, a real disk file behind a real loop
// device. Needs root.
#include "tools/rmt_wait.h"
#include "integration/diskw_look.h"
#include "integration/writer_bench.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define READABLE_BYTES 1300000 // Tables and superblock; no more

// ---- Cases

// P9 M22: the disk is read back, and compared by other means.
static void
test_disk_holds_the_tree_it_was_given(void **state)
{
    bench_t *self = *state;
    rmt_id_t root;
    bench_root(self, &root);
    bench_send_order(self, 0);
    bench_send_tree(self, &root);
    bench_send_personal(self);
    bench_send_verify(self, &root, false);
    bench_send_finish(self);
    rmt_auto(rmt_record) record = NULL;
    const rmt_pipe_kind_t kind = bench_answer(self, &record);
    assert_string_equal(rmt_record_text(record, "text", ""), "");
    assert_int_equal(kind, RMT_PIPE_DONE);
    assert_int_equal(rmt_record_u64(record, "verified", 0),
                     rmt_record_u64(record, "files", 1));
    // It answers only after it has let go.
    assert_false(bench_is_attached(self));
    assert_int_equal(bench_reap(self), 0);
    diskw_look(self->disk, self->tree, self->layout);
}

// P9: the write itself had no error.
static void
test_tree_other_than_ordered_is_not_verified(void **state)
{
    bench_t *self = *state;
    rmt_id_t written, ordered;
    bench_root(self, &written);
    bench_write_file(self, "hello-new", "other\n", 6);
    rmt_capture_report_t report = {0};
    bench_capture(self, &ordered, &report);
    rmt_capture_report_clear(&report);
    self->layout->volumes[0].root = ordered;
    bench_send_order(self, 0);
    bench_send_tree(self, &written);
    bench_send_verify(self, &ordered, false);
    bench_send_finish(self);
    bench_assert_refused(self, RMT_E_CORRUPT);
    assert_false(bench_is_attached(self));
}

static void
test_damaged_manifest_is_not_verified_against(void **state)
{
    bench_t *self = *state;
    rmt_id_t root;
    bench_root(self, &root);
    bench_send_order(self, 0);
    bench_send_tree(self, &root);
    bench_send_verify(self, &root, true);
    bench_send_finish(self);
    bench_assert_refused(self, RMT_E_CORRUPT);
}

// P9 P10: no boot record is written.
static void
test_nothing_is_finished_without_verify(void **state)
{
    bench_t *self = *state;
    rmt_id_t root;
    bench_root(self, &root);
    bench_send_order(self, 0);
    bench_send_tree(self, &root);
    bench_send_finish(self);
    bench_assert_refused(self, RMT_E_REFUSED);
}

// After everything was verified: boot code that would overwrite the root.
static void
test_boot_code_inside_a_partition_is_not_written(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    rmt_id_t root;
    static const char code[512] = "code";
    bench_root(self, &root);
    bench_send_order(self, 0);
    bench_send_tree(self, &root);
    bench_send_personal(self);
    bench_send_verify(self, &root, false);
    rmt_auto(rmt_records) boot = rmt_records_new();
    rmt_record_t *piece = rmt_records_add(boot);
    rmt_record_set(piece, "class", "boot");
    rmt_record_set(piece, "disk", "system");
    rmt_record_set_u64(piece, "offset", 4096 * 512);
    rmt_record_put(piece, "content", code, sizeof code);
    RMT_OK(rmt_pipe_send_records(self->pipe, RMT_PIPE_BOOT, boot, &error));
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_FINISH, NULL, 0, &error));
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    bench_assert_refused(self, RMT_E_REFUSED);
    rmt_auto_fd disk = open(self->disk, O_RDONLY | O_CLOEXEC);
    char found[sizeof code];
    RMT_OK(rmt_io_pread(disk, found, sizeof found, 4096 * 512, &error));
    assert_memory_not_equal(found, code, sizeof code);
}

static void
test_disk_of_another_writer_is_waited_for(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    rmt_frame_t frame;
    rmt_auto_fd other = open(self->disk, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    bench_send_order(self, 0);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    // The start of the phase, and then nothing.
    assert_int_equal(rmt_pipe_recv(self->pipe, 10000, &frame, &error), 1);
    assert_int_equal(rmt_pipe_recv(self->pipe, 500, &frame, &error), 0);
    struct stat status;
    assert_int_equal(stat(self->disk, &status), 0);
    assert_int_equal(status.st_blocks, 0);
    close(rmt_take_fd(&other));
    assert_int_equal(rmt_pipe_recv(self->pipe, 10000, &frame, &error), 1);
    assert_int_equal(frame.kind, RMT_PIPE_PROGRESS);
}

// P7: not one block.
static void
test_another_file_than_prepared_is_not_touched(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    bench_send_order(self, 1);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    bench_assert_refused(self, RMT_E_INCOMPATIBLE);
    struct stat status;
    assert_int_equal(stat(self->disk, &status), 0);
    assert_int_equal(status.st_blocks, 0);
}

static void
s_wait_for_phase(bench_t *self, const char *phase)
{
    rmt_error_t error = {0};
    for (;;) {
        rmt_frame_t frame;
        assert_int_equal(rmt_pipe_recv(self->pipe, 30000, &frame, &error), 1);
        rmt_auto(rmt_record) record = rmt_pipe_record(&frame, &error);
        assert_int_equal(frame.kind, RMT_PIPE_PROGRESS);
        if (strcmp(rmt_record_text(record, "phase", ""), phase) == 0)
            break;
    }
    assert_true(bench_is_attached(self));
}

// Wait until it writes, so that there is something to let go of.
static void
s_wait_for_format(bench_t *self)
{
    rmt_error_t error = {0};
    bench_send_order(self, 0);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    s_wait_for_phase(self, "format");
}

// P9 P10: what was written without an error can no longer be read: the disk behind the
// loop device ends before what is on it, so its reads end with EIO. The disk is named,
// and not blamed for what it holds.
static void
test_a_disk_that_cannot_be_read_back_fails_by_name(void **state)
{
    bench_t *self = *state;
    rmt_id_t root;
    bench_root(self, &root);
    bench_send_order(self, 0);
    bench_send_tree(self, &root);
    bench_send_personal(self);
    bench_begin_verify(self);
    s_wait_for_phase(self, "verify"); // It brings all to the disk
    s_wait_for_phase(self, "verify"); // The caches are gone, and it waits for a manifest
    assert_int_equal(truncate(self->disk, READABLE_BYTES), 0);
    bench_send_manifest(self, &root, false);
    rmt_auto(rmt_record) record = NULL;
    assert_int_equal(bench_answer(self, &record), RMT_PIPE_ERROR);
    const char *text = rmt_record_text(record, "text", "");
    if (rmt_record_u64(record, "code", 0) != RMT_E_DISK || !strstr(text, " fails: ") ||
        !strstr(text, self->disk))
        fail_msg("%s", text);
    assert_int_not_equal(bench_reap(self), 0);
}

static void
test_end_of_the_agent_leaves_no_loop_device(void **state)
{
    bench_t *self = *state;
    s_wait_for_format(self);
    assert_int_not_equal(bench_reap(self), 0);
    RMT_WAIT_UNTIL(!bench_is_attached(self), 5000); // A parser ends after its writer
}

static void
test_signal_leaves_no_loop_device(void **state)
{
    bench_t *self = *state;
    s_wait_for_format(self);
    assert_int_equal(kill(self->pid, SIGTERM), 0);
    bench_assert_refused(self, RMT_E_CANCELLED);
    RMT_WAIT_UNTIL(!bench_is_attached(self), 5000); // A parser ends after its writer
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_disk_holds_the_tree_it_was_given),
        CASE(test_tree_other_than_ordered_is_not_verified),
        CASE(test_damaged_manifest_is_not_verified_against),
        CASE(test_nothing_is_finished_without_verify),
        CASE(test_boot_code_inside_a_partition_is_not_written),
        CASE(test_disk_of_another_writer_is_waited_for),
        CASE(test_another_file_than_prepared_is_not_touched),
        CASE(test_a_disk_that_cannot_be_read_back_fails_by_name),
        CASE(test_end_of_the_agent_leaves_no_loop_device),
        CASE(test_signal_leaves_no_loop_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
