// ramet-diskw as its agent drives it: real pipes, a real disk file behind a real loop
// device. Needs root.
#include "integration/diskw_look.h"
#include "integration/writer_process.h"
#include "tools/rmt_test.h"

#include "agent/source/default_layout.h"
#include "base/rmt_auto.h"
#include "tree/rmt_capture.h"
#include "base/rmt_io.h"
#include "store/rmt_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DISK_BYTES ((off_t) 300 * 1024 * 1024)
#define READABLE_BYTES 1300000 // Tables and superblock; no more

typedef struct {
    char *folder, *tree, *disk;
    rmt_store_t *store;
    rmt_layout_t *layout;
    pid_t pid;
    rmt_pipe_t *pipe;
} bench_t;

static void
s_write_file(const bench_t *self, const char *name, const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/%s", self->tree, name);
    RMT_OK(rmt_io_save(path, data, size, 0640, &error));
}

static void
s_make_tree(const bench_t *self)
{
    static const char big[200000] = "not only zeros";
    rmt_error_t error = {0};
    rmt_auto_str deep = rmt_text("%s/etc/deep/er", self->tree);
    rmt_auto_str systemd = rmt_text("%s/usr/lib/systemd", self->tree);
    rmt_auto_str link = rmt_text("%s/link", self->tree);
    rmt_auto_str first = rmt_text("%s/hello", self->tree);
    rmt_auto_str second = rmt_text("%s/hello-too", self->tree);
    RMT_OK(rmt_io_mkdirs(deep, 0755, &error));
    s_write_file(self, "hello", "hello\n", 6);
    s_write_file(self, "etc/deep/er/big", big, sizeof big);
    s_write_file(self, "empty", "", 0);
    RMT_OK(rmt_io_mkdirs(systemd, 0755, &error));
    s_write_file(self, "usr/lib/systemd/systemd", "", 0);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(linkat(AT_FDCWD, first, AT_FDCWD, second, 0), 0);
}

static int
s_store_chunk(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    return rmt_store_put(context, chunk, error);
}

static void
s_capture(const bench_t *self, rmt_id_t *root_out, rmt_capture_report_t *report_out)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = open(self->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const rmt_capture_options_t options = {.root_fd = fd};
    const rmt_capture_sink_t sink = {.context = self->store, .chunk_fn = s_store_chunk};
    RMT_OK(rmt_capture_run(&options, &sink, root_out, report_out, &error));
    RMT_OK(rmt_store_commit(self->store, &error));
}

static int
s_setup(void **state)
{
    bench_t *self = calloc(1, sizeof *self);
    rmt_error_t error = {0};
    char path[] = "/tmp/test-diskw-XXXXXX";
    assert_non_null(mkdtemp(path));
    (void) signal(SIGPIPE, SIG_IGN);
    self->folder = rmt_text("%s", path);
    self->tree = rmt_text("%s/tree", path);
    self->disk = rmt_text("%s/disk", path);
    rmt_auto_str store = rmt_text("%s/store", path);
    self->store = rmt_store_new(store, true, &error);
    assert_non_null(self->store);
    assert_int_equal(mkdir(self->tree, 0755), 0);
    s_make_tree(self);
    rmt_auto_fd fd = open(self->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
    self->layout = rmt_default_layout_new("test", NULL);
    rmt_layout_volume_t *volume = &self->layout->volumes[0];
    rmt_capture_report_t report = {0};
    s_capture(self, &volume->root, &report);
    volume->has_root = true;
    volume->files = report.files;
    volume->bytes_tree = report.size;
    rmt_capture_report_clear(&report);
    rmt_default_layout_settle(self->layout);
    self->pid = writer_process_start(&self->pipe);
    *state = self;
    return 0;
}

static int
s_reap(bench_t *self)
{
    int status = 0;
    rmt_pipe_destroy(&self->pipe);
    if (self->pid)
        (void) waitpid(self->pid, &status, 0);
    self->pid = 0;
    return status;
}

static int
s_teardown(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    (void) s_reap(self);
    rmt_store_destroy(&self->store);
    rmt_layout_destroy(&self->layout);
    (void) rmt_io_remove_tree(self->folder, &error);
    free(self->folder);
    free(self->tree);
    free(self->disk);
    free(self);
    return 0;
}

// ---- The agent's part

static void
s_root(const bench_t *self, rmt_id_t *root_out)
{
    *root_out = self->layout->volumes[0].root;
}

// Name the volume of which the next frames are.
static void
s_send_volume(const bench_t *self, rmt_pipe_kind_t kind)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) volume =
        rmt_layout_write_volume(self->layout, &self->layout->volumes[0]);
    RMT_OK(rmt_pipe_send_record(self->pipe, kind, volume, &error));
}

static void
s_send_order(bench_t *self, ino_t inode_offset)
{
    struct stat status;
    rmt_error_t error = {0};
    assert_int_equal(stat(self->disk, &status), 0);
    rmt_auto(rmt_records) order = rmt_records_new();
    rmt_layout_write(self->layout, order);
    rmt_record_t *target = rmt_records_add(order);
    rmt_record_set(target, "class", "target");
    rmt_record_set(target, "role", "system");
    rmt_record_set(target, "path", self->disk);
    rmt_record_set_u64(target, "bytes", (uint64_t) DISK_BYTES);
    rmt_record_set_u64(target, "device", status.st_dev);
    rmt_record_set_u64(target, "inode", status.st_ino + inode_offset);
    RMT_OK(rmt_pipe_send_records(self->pipe, RMT_PIPE_ORDER, order, &error));
}

static void
s_send_entry(bench_t *self, const rmt_entry_t *entry, void *room)
{
    rmt_error_t error = {0};
    uint8_t *bytes = NULL;
    size_t used = 0, size = 0;
    rmt_entry_encode(entry, &bytes, &used, &size);
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_ENTRY, bytes, used, &error));
    free(bytes);
    for (size_t i = 0; i < entry->chunk_count; i++) {
        RMT_OK(rmt_store_read(self->store, &entry->chunks[i], room, &size, &error));
        RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_DATA, room, size, &error));
    }
}

static void
s_send_tree(bench_t *self, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    rmt_auto_ptr room = malloc(RMT_CHUNK_PLAIN_MAX);
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, rmt_store_read, self->store, &error);
    RMT_OK(reader);
    s_send_volume(self, RMT_PIPE_VOLUME);
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1)
        s_send_entry(self, &entry, room);
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_VOLUME_END, NULL, 0, &error));
}

static void
s_send_personal(bench_t *self)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) file = rmt_record_new();
    rmt_record_set(file, "name", "key");
    rmt_record_set(file, "mode", "0600");
    rmt_record_set_u64(file, "size", 6);
    rmt_auto(rmt_records) personal = rmt_records_new();
    rmt_record_t *command = rmt_records_add(personal);
    rmt_record_set(command, "class", "command");
    rmt_record_set(command, "command", "/usr/lib/ramet/firstboot/agent");
    rmt_record_t *script = rmt_records_add(personal);
    rmt_record_set(script, "class", "script");
    rmt_record_set(script, "name", "hello");
    rmt_record_set(script, "content", "#!/bin/sh\n");
    RMT_OK(rmt_pipe_send_record(self->pipe, RMT_PIPE_FILE, file, &error));
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_DATA, "secret", 6, &error));
    RMT_OK(rmt_pipe_send_records(self->pipe, RMT_PIPE_PERSONAL, personal, &error));
}

typedef struct {
    bench_t *bench;
    bool damage; // Flip a bit of every chunk that is sent
} sender_t;

static int
s_read_and_send(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
                rmt_error_t *error)
{
    const sender_t *self = context;
    uint8_t *bytes = plain_out;
    if (rmt_store_read(self->bench->store, id, plain_out, size_out, error) == -1)
        return -1;
    bytes[0] ^= self->damage;
    const int rc =
        rmt_pipe_send(self->bench->pipe, RMT_PIPE_DATA, bytes, *size_out, error);
    bytes[0] ^= self->damage;
    return rc;
}

static void
s_begin_verify(bench_t *self)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_SETTLE, NULL, 0, &error));
    s_send_volume(self, RMT_PIPE_VERIFY);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
}

// A writer that has failed takes no more; then its answer is all that counts.
static void
s_send_manifest(bench_t *self, const rmt_id_t *root, bool damage)
{
    rmt_error_t error = {0};
    sender_t sender = {self, damage};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, s_read_and_send, &sender, &error);
    RMT_OK(reader);
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1)
        continue;
    (void) rmt_pipe_send(self->pipe, RMT_PIPE_VOLUME_END, NULL, 0, &error);
    (void) rmt_pipe_flush(self->pipe, &error);
}

static void
s_send_verify(bench_t *self, const rmt_id_t *root, bool damage)
{
    s_begin_verify(self);
    s_send_manifest(self, root, damage);
}

static void
s_send_finish(bench_t *self)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_FINISH, NULL, 0, &error));
    // A writer that has failed already has gone; then its answer is all that counts.
    (void) rmt_pipe_flush(self->pipe, &error);
}

// The kind of the last frame; its record is the caller's.
static rmt_pipe_kind_t
s_answer(bench_t *self, rmt_record_t **record_out)
{
    rmt_error_t error = {0};
    for (;;) {
        rmt_frame_t frame;
        assert_int_equal(rmt_pipe_recv(self->pipe, 30000, &frame, &error), 1);
        if (frame.kind == RMT_PIPE_PROGRESS)
            continue;
        *record_out = rmt_pipe_record(&frame, &error);
        RMT_OK(*record_out);
        return frame.kind;
    }
}

static void
s_assert_refused(bench_t *self, rmt_code_t code)
{
    rmt_auto(rmt_record) record = NULL;
    assert_int_equal(s_answer(self, &record), RMT_PIPE_ERROR);
    assert_int_equal(rmt_record_u64(record, "code", 0), code);
    assert_int_not_equal(s_reap(self), 0);
}

static bool
s_is_attached(const bench_t *self)
{
    bool found = false;
    DIR *folder = opendir("/sys/block");
    assert_non_null(folder);
    for (struct dirent *item; (item = readdir(folder));) {
        rmt_auto_str path = rmt_text("/sys/block/%s/loop/backing_file", item->d_name);
        rmt_auto_ptr text = NULL;
        size_t size = 0;
        rmt_error_t error = {0};
        if (rmt_io_load(path, 4096, &text, &size, &error) == 0 &&
            strstr(text, self->disk))
            found = true;
    }
    closedir(folder);
    return found;
}

// ---- Cases

// P9 M22: the disk is read back, and compared by other means.
static void
test_disk_holds_the_tree_it_was_given(void **state)
{
    bench_t *self = *state;
    rmt_id_t root;
    s_root(self, &root);
    s_send_order(self, 0);
    s_send_tree(self, &root);
    s_send_personal(self);
    s_send_verify(self, &root, false);
    s_send_finish(self);
    rmt_auto(rmt_record) record = NULL;
    const rmt_pipe_kind_t kind = s_answer(self, &record);
    assert_string_equal(rmt_record_text(record, "text", ""), "");
    assert_int_equal(kind, RMT_PIPE_DONE);
    assert_int_equal(rmt_record_u64(record, "verified", 0),
                     rmt_record_u64(record, "files", 1));
    // It answers only after it has let go.
    assert_false(s_is_attached(self));
    assert_int_equal(s_reap(self), 0);
    diskw_look(self->disk, self->tree, self->layout);
}

// P9: the write itself had no error.
static void
test_tree_other_than_ordered_is_not_verified(void **state)
{
    bench_t *self = *state;
    rmt_id_t written, ordered;
    s_root(self, &written);
    s_write_file(self, "hello-new", "other\n", 6);
    rmt_capture_report_t report = {0};
    s_capture(self, &ordered, &report);
    rmt_capture_report_clear(&report);
    self->layout->volumes[0].root = ordered;
    s_send_order(self, 0);
    s_send_tree(self, &written);
    s_send_verify(self, &ordered, false);
    s_send_finish(self);
    s_assert_refused(self, RMT_E_CORRUPT);
    assert_false(s_is_attached(self));
}

static void
test_damaged_manifest_is_not_verified_against(void **state)
{
    bench_t *self = *state;
    rmt_id_t root;
    s_root(self, &root);
    s_send_order(self, 0);
    s_send_tree(self, &root);
    s_send_verify(self, &root, true);
    s_send_finish(self);
    s_assert_refused(self, RMT_E_CORRUPT);
}

// P9 P10: no boot record is written.
static void
test_nothing_is_finished_without_verify(void **state)
{
    bench_t *self = *state;
    rmt_id_t root;
    s_root(self, &root);
    s_send_order(self, 0);
    s_send_tree(self, &root);
    s_send_finish(self);
    s_assert_refused(self, RMT_E_REFUSED);
}

// After everything was verified: boot code that would overwrite the root.
static void
test_boot_code_inside_a_partition_is_not_written(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    rmt_id_t root;
    static const char code[512] = "code";
    s_root(self, &root);
    s_send_order(self, 0);
    s_send_tree(self, &root);
    s_send_personal(self);
    s_send_verify(self, &root, false);
    rmt_auto(rmt_records) boot = rmt_records_new();
    rmt_record_t *piece = rmt_records_add(boot);
    rmt_record_set(piece, "class", "boot");
    rmt_record_set(piece, "disk", "system");
    rmt_record_set_u64(piece, "offset", 4096 * 512);
    rmt_record_put(piece, "content", code, sizeof code);
    RMT_OK(rmt_pipe_send_records(self->pipe, RMT_PIPE_BOOT, boot, &error));
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_FINISH, NULL, 0, &error));
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    s_assert_refused(self, RMT_E_REFUSED);
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
    s_send_order(self, 0);
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
    s_send_order(self, 1);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    s_assert_refused(self, RMT_E_INCOMPATIBLE);
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
    assert_true(s_is_attached(self));
}

// Wait until it writes, so that there is something to let go of.
static void
s_wait_for_format(bench_t *self)
{
    rmt_error_t error = {0};
    s_send_order(self, 0);
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
    s_root(self, &root);
    s_send_order(self, 0);
    s_send_tree(self, &root);
    s_send_personal(self);
    s_begin_verify(self);
    s_wait_for_phase(self, "verify"); // It brings all to the disk
    s_wait_for_phase(self, "verify"); // The caches are gone, and it waits for a manifest
    assert_int_equal(truncate(self->disk, READABLE_BYTES), 0);
    s_send_manifest(self, &root, false);
    rmt_auto(rmt_record) record = NULL;
    assert_int_equal(s_answer(self, &record), RMT_PIPE_ERROR);
    const char *text = rmt_record_text(record, "text", "");
    if (rmt_record_u64(record, "code", 0) != RMT_E_DISK || !strstr(text, " fails: ") ||
        !strstr(text, self->disk))
        fail_msg("%s", text);
    assert_int_not_equal(s_reap(self), 0);
}

static void
test_end_of_the_agent_leaves_no_loop_device(void **state)
{
    bench_t *self = *state;
    s_wait_for_format(self);
    assert_int_not_equal(s_reap(self), 0);
    assert_false(s_is_attached(self));
}

static void
test_signal_leaves_no_loop_device(void **state)
{
    bench_t *self = *state;
    s_wait_for_format(self);
    assert_int_equal(kill(self->pid, SIGTERM), 0);
    s_assert_refused(self, RMT_E_CANCELLED);
    assert_false(s_is_attached(self));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

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
