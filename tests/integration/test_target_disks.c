// Disks as targets may have them: that fail, that let nothing be written (T18), and files
// below /dev. The writer as its agent drives it, over a real loop device, and what the
// agent looks at before. Needs root.
#include "integration/writer_process.h"
#include "tools/rmt_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/install/prepare.h"
#include "agent/source/default_layout.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_disk.h"

#define DISK_BYTES ((uint64_t) 300 * 1024 * 1024)
#define IMAGE                                                                            \
    "01"                                                                                 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                                   \
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PLACE " (pci-1, serial S1, wwn W1)"
#define WORDS "disk sdz" PLACE
#define ANSWER_MS 60000

typedef struct {
    char *folder, *disk;
} bench_t;

static rmt_layout_t *
s_layout(void)
{
    rmt_error_t error = {0};
    rmt_layout_t *layout = rmt_default_layout_new("test", NULL);
    rmt_layout_volume_t *volume = &layout->volumes[0];
    RMT_OK(rmt_id_parse(&volume->root, IMAGE, &error));
    volume->has_root = true;
    volume->files = 10;
    volume->bytes_tree = 1000;
    rmt_default_layout_settle(layout);
    return layout;
}

// A disk whose file lies in a file system of these options.
static void
s_make_disk(bench_t *self, const char *options)
{
    assert_int_equal(mount("none", self->folder, "tmpfs", 0, options), 0);
    rmt_auto_fd fd = open(self->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t) DISK_BYTES), 0);
}

static int
s_setup(void **state)
{
    bench_t *self = calloc(1, sizeof *self);
    char path[] = "/tmp/test-broken-disk-XXXXXX";
    assert_non_null(mkdtemp(path));
    (void) signal(SIGPIPE, SIG_IGN);
    self->folder = rmt_text("%s", path);
    self->disk = rmt_text("%s/disk", path);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    bench_t *self = *state;
    (void) umount2(self->folder, MNT_DETACH);
    (void) rmdir(self->folder);
    free(self->folder);
    free(self->disk);
    free(self);
    return 0;
}

// ---- The writer

typedef struct {
    pid_t pid;
    rmt_pipe_t *pipe;
} writer_t;

static writer_t
s_start_writer(void)
{
    writer_t writer;
    writer.pid = writer_process_start(&writer.pipe);
    return writer;
}

static void
s_send_order(const bench_t *self, const writer_t *writer)
{
    struct stat status;
    rmt_error_t error = {0};
    assert_int_equal(stat(self->disk, &status), 0);
    rmt_auto(rmt_records) order = rmt_records_new();
    rmt_auto(rmt_layout) layout = s_layout();
    rmt_layout_write(layout, order);
    rmt_record_t *target = rmt_records_add(order);
    rmt_record_set(target, "class", "target");
    rmt_record_set(target, "role", "system");
    rmt_record_set(target, "path", self->disk);
    rmt_record_set(target, "words", WORDS);
    rmt_record_set_u64(target, "bytes", DISK_BYTES);
    rmt_record_set_u64(target, "device", status.st_dev);
    rmt_record_set_u64(target, "inode", status.st_ino);
    RMT_OK(rmt_pipe_send_records(writer->pipe, RMT_PIPE_ORDER, order, &error));
    RMT_OK(rmt_pipe_flush(writer->pipe, &error));
}

// What the writer ends with. Caller owns the record.
static rmt_record_t *
s_answer(const writer_t *writer)
{
    rmt_error_t error = {0};
    rmt_frame_t frame;
    do {
        assert_int_equal(rmt_pipe_recv(writer->pipe, ANSWER_MS, &frame, &error), 1);
    } while (frame.kind == RMT_PIPE_PROGRESS);
    assert_int_equal(frame.kind, RMT_PIPE_ERROR);
    rmt_record_t *answer = rmt_pipe_record(&frame, &error);
    RMT_OK(answer);
    return answer;
}

// What does not fit into the file system behind the disk comes back as an I/O error: of
// the table, or of the journal that mke2fs writes.
static void
s_check_failing(bench_t *self, const char *options)
{
    s_make_disk(self, options);
    writer_t writer = s_start_writer();
    s_send_order(self, &writer);
    rmt_auto(rmt_record) answer = s_answer(&writer);
    const char *text = rmt_record_text(answer, "text", "");
    if (rmt_record_u64(answer, "code", 0) != RMT_E_DISK ||
        !strstr(text, WORDS " fails: ") || !strstr(text, "Input/output error"))
        fail_msg("%s: %s", options, text);
    rmt_pipe_destroy(&writer.pipe);
    assert_int_equal(waitpid(writer.pid, NULL, 0), writer.pid);
}

// T18: an I/O error of a disk names the disk and what was done, and has a code of its
// own.
static void
test_an_error_while_the_table_is_written_names_the_disk(void **state)
{
    s_check_failing(*state, "size=4k");
}

static void
test_an_error_of_mkfs_names_the_disk(void **state)
{
    s_check_failing(*state, "size=2m");
}

// ---- A file below /dev

static bool
s_has_own_dev(pid_t pid)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("/proc/%d/mountinfo", (int) pid);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, (size_t) 1024 * 1024, &text, &size, &error));
    return strstr(text, " /dev rw,nosuid,noexec") && strstr(text, " - tmpfs ramet rw");
}

// P7: the writer sees no other disk then either. The order may name the file by a link.
static void
test_a_disk_file_below_dev_is_written_in_a_dev_of_its_own(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    char file[] = "/dev/shm/test-target-disk-XXXXXX";
    rmt_auto_fd fd = mkstemp(file);
    assert_int_equal(ftruncate(fd, (off_t) DISK_BYTES), 0);
    assert_int_equal(symlink(file, self->disk), 0);
    writer_t writer = s_start_writer();
    s_send_order(self, &writer);
    rmt_frame_t frame;
    rmt_auto(rmt_record) told = NULL;
    do {
        rmt_record_destroy(&told);
        assert_int_equal(rmt_pipe_recv(writer.pipe, ANSWER_MS, &frame, &error), 1);
        told = rmt_pipe_record(&frame, &error);
        assert_string_equal(rmt_record_text(told, "text", ""), "");
    } while (!rmt_record_is(told, "phase", "format") ||
             rmt_record_u64(told, "done", 0) == 0);
    assert_true(s_has_own_dev(writer.pid));
    rmt_pipe_destroy(&writer.pipe);
    assert_int_equal(waitpid(writer.pid, NULL, 0), writer.pid);
    rmt_auto(rmt_layout) table = rmt_disk_read(file, "system", &error);
    RMT_OK(table);
    assert_int_equal(table->partition_count, 1);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(unlink(self->disk), 0);
}

// ---- The agent, before ARM

static rmt_records_t *
s_prepare(const char *path, rmt_error_t *error_out)
{
    rmt_error_t error = {0};
    rmt_id_t image;
    RMT_OK(rmt_id_parse(&image, IMAGE, &error));
    rmt_auto(rmt_order) order = rmt_order_new(&image, "n1", "paris");
    rmt_layout_destroy(&order->layout);
    order->layout = s_layout();
    rmt_auto(rmt_record) choice = rmt_record_new();
    rmt_record_set(choice, "class", "choice");
    rmt_record_set(choice, "role", "system");
    rmt_record_set(choice, "disk", "W1");
    rmt_record_set_u64(choice, "bytes", DISK_BYTES);
    if (rmt_order_add_choice(order, choice, &error) == -1)
        fail_msg("%s", error.text);
    rmt_auto(rmt_records) hardware = rmt_records_new();
    rmt_record_t *disk = rmt_records_add(hardware);
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "name", path);
    rmt_record_set(disk, "path", "pci-1");
    rmt_record_set(disk, "serial", "S1");
    rmt_record_set(disk, "wwn", "W1");
    return rmt_prepare_disks(order, hardware, error_out);
}

static void
s_check_refused(const char *path)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) disks = s_prepare(path, &error);
    assert_null(disks);
    assert_int_equal(error.code, RMT_E_DISK);
    rmt_auto_str words = rmt_text("disk %s" PLACE " is read-only", path);
    assert_non_null(strstr(error.text, words));
}

// T18: before anything is written, and with the words of the disk.
static void
test_a_read_only_disk_is_refused_by_name(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    s_make_disk(self, "size=1m");
    rmt_auto(rmt_records) disks = s_prepare(self->disk, &error);
    assert_string_equal(error.text, "");
    assert_non_null(disks);
    rmt_auto_str words = rmt_text("disk %s" PLACE, self->disk);
    assert_string_equal(rmt_record_text(rmt_records_at(disks, 0), "words", ""), words);
    rmt_auto(rmt_blockdev) device =
        rmt_blockdev_new(self->disk, RMT_BLOCKDEV_READ_ONLY, 512, self->folder, &error);
    RMT_OK(device);
    s_check_refused(rmt_blockdev_path(device));
    rmt_blockdev_destroy(&device);
    assert_int_equal(mount(NULL, self->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    s_check_refused(self->disk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_an_error_while_the_table_is_written_names_the_disk, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_an_error_of_mkfs_names_the_disk, s_setup,
                                        s_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_disk_file_below_dev_is_written_in_a_dev_of_its_own, s_setup,
            s_teardown),
        cmocka_unit_test_setup_teardown(test_a_read_only_disk_is_refused_by_name, s_setup,
                                        s_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
