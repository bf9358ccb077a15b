// A file system that refuses a step of a copy: a capture names the file and goes on
// without it, and a writer names the file and ends (M7, M26).
#include "base/rmt_io.h"
#include "tools/refuse.h"
#include "tools/refuse_each.h"
#include "tools/tree_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

typedef struct {
    tree_lab_t *lab;
    rmt_id_t root;
} scene_t;

typedef struct {
    refusal_t refusal;
    const char *text; // What the error or the list of unreadable files says
} row_t;

#define EACH(call_, code_, text_)                                                        \
    {                                                                                    \
        {.call = (call_), .code = (code_)}, text_                                        \
    }
#define CODE(code_, request_, text_)                                                     \
    {                                                                                    \
        {SYS_ioctl, (code_), 1, UINT32_MAX, (uint32_t) (request_)}, text_                \
    }
#define FROM(code_, whence_, text_)                                                      \
    {                                                                                    \
        {SYS_lseek, (code_), 2, UINT32_MAX, (whence_)}, text_                            \
    }

// One entry of each kind that has steps of its own.
static void
s_fill(int root)
{
    assert_int_equal(mkdirat(root, "folder", 0750), 0);
    tree_lab_file(root, "folder/file", 100000, 1);
    const int fd = openat(root, "folder/file", O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(pwrite(fd, "end", 3, (1 << 20) - 3), 3);
    assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 65536), 0);
    assert_int_equal(fsetxattr(fd, "user.a", "v", 1, 0), 0);
    assert_int_equal(fchown(fd, 12, 34), 0);
    close(fd);
    assert_int_equal(linkat(root, "folder/file", root, "name", 0), 0);
    assert_int_equal(symlinkat("folder/file", root, "symlink"), 0);
    assert_int_equal(mknodat(root, "fifo", S_IFIFO | 0600, 0), 0);
    tree_lab_settle();
}

static int
s_setup(void **state)
{
    static scene_t scene;
    scene = (scene_t){.lab = tree_lab_new()};
    s_fill(tree_lab_source(scene.lab));
    scene.root = tree_lab_capture(scene.lab, 2, NULL);
    *state = &scene;
    return 0;
}

static int
s_teardown(void **state)
{
    scene_t *scene = *state;
    tree_lab_destroy(&scene->lab);
    return 0;
}

static void
s_try(const row_t *row, int (*act)(void *, rmt_error_t *), scene_t *scene)
{
    rmt_error_t error = {0};
    const int rc = refuse_in_child(&row->refusal, 1, act, scene, &error);
    if (rc == 0 || !strstr(error.text, row->text))
        fail_msg("call %ld: '%s' is not said, but %d '%s'", row->refusal.call, row->text,
                 rc, error.text);
}

// ---- Captures

// Fails with the first file that was not read.
static int
s_capture(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    const rmt_capture_options_t options = {.root_fd = tree_lab_source(scene->lab),
                                           .threads = 2};
    const rmt_capture_sink_t sink = {.context = scene->lab, .chunk_fn = tree_lab_put};
    rmt_capture_report_t report = {0};
    rmt_id_t root;
    int rc = rmt_capture_run(&options, &sink, &root, &report, error);
    if (rc == 0 && report.unreadable_count > 0) {
        const rmt_record_t *first = rmt_records_at(report.unreadable, 0);
        rc = rmt_fail(error, RMT_E_IO, "%s: %s", rmt_record_text(first, "path", ""),
                      rmt_record_text(first, "reason", ""));
    }
    rmt_capture_report_clear(&report);
    return rc;
}

static const row_t s_capture_rows[] = {
    EACH(SYS_flistxattr, EIO, "list attributes: Input/output error"),
    EACH(SYS_fgetxattr, EIO, "read attribute user.a: Input/output error"),
    EACH(SYS_readlinkat, EIO, "read symlink: Input/output error"),
    EACH(SYS_pread64, EIO, "Input/output error"),
    EACH(SYS_getdents64, EIO, "Input/output error"),
    FROM(EIO, SEEK_DATA, "look for data: Input/output error"),
    FROM(EIO, SEEK_HOLE, "look for a hole: Input/output error"),
    CODE(EIO, FS_IOC_GETFLAGS, "read inode flags: Input/output error"),
    CODE(EIO, FS_IOC_FSGETXATTR, "Input/output error"),
    CODE(EIO, FS_IOC_FIEMAP, "ask where it is allocated: Input/output error"),
};

static void
test_a_capture_names_what_it_could_not_read(void **state)
{
    for (size_t i = 0; i < sizeof s_capture_rows / sizeof *s_capture_rows; i++)
        s_try(&s_capture_rows[i], s_capture, *state);
}

// What a file system does not have is no error: NFS, FAT and FUSE have no such calls.
static void
test_a_file_system_without_attributes_is_captured_without_them(void **state)
{
    static const row_t rows[] = {
        EACH(SYS_flistxattr, ENOTSUP, ""),   CODE(ENOTTY, FS_IOC_GETFLAGS, ""),
        CODE(ENOTTY, FS_IOC_FSGETXATTR, ""), CODE(EOPNOTSUPP, FS_IOC_FIEMAP, ""),
        FROM(EINVAL, SEEK_DATA, ""),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        RMT_OK(refuse_in_child(&rows[i].refusal, 1, s_capture, *state, &error));
    }
}

// ---- Writing

static int
s_write(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    rmt_writer_report_t report = {0};
    return tree_lab_try_write(scene->lab, &scene->root, &report, error);
}

// The copy is empty before each row.
static void
s_clear_copy(const scene_t *scene)
{
    rmt_auto_str path = rmt_text("%s/copy", tree_lab_folder(scene->lab));
    tree_lab_run("rm", "-rf", path);
    assert_int_equal(mkdir(path, 0755), 0);
    rmt_auto_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree_lab_set_copy(scene->lab, fd);
}

static const row_t s_write_rows[] = {
    EACH(SYS_mkdirat, ENOSPC, "folder: "),
    EACH(SYS_symlinkat, ENOSPC, "symlink: "),
    EACH(SYS_mknodat, EPERM, "fifo: "),
    EACH(SYS_linkat, EMLINK, "name: "),
    EACH(SYS_openat2, ENOSPC, "No space left on device"),
    EACH(SYS_pwrite64, ENOSPC, "No space left on device"),
    EACH(SYS_ftruncate, EFBIG, "File too large"),
    EACH(SYS_fchownat, EPERM, "give to 12:34: Operation not permitted"),
    EACH(SYS_fsetxattr, ENOSPC, "set attribute user.a: No space left on device"),
    EACH(SYS_utimensat, EPERM, "set time "),
    EACH(SYS_fallocate, ENOSPC, "No space left on device"),
};

static void
test_a_writer_names_the_entry_and_the_step_that_was_refused(void **state)
{
    for (size_t i = 0; i < sizeof s_write_rows / sizeof *s_write_rows; i++) {
        s_clear_copy(*state);
        s_try(&s_write_rows[i], s_write, *state);
    }
    rmt_error_t error = {0};
    s_clear_copy(*state);
    RMT_OK(s_write(*state, &error));
}

// The root is there already, and is made the same: what it has beside goes.
static const row_t s_root_rows[] = {
    EACH(SYS_fremovexattr, EPERM, "remove attribute user.more: Operation not permitted"),
    EACH(SYS_flistxattr, EIO, "list attributes: Input/output error"),
    CODE(EIO, FS_IOC_FSGETXATTR, "read "),
    CODE(EIO, FS_IOC_GETFLAGS, "read inode flags: Input/output error"),
};

static void
s_add_attribute(const scene_t *scene)
{
    rmt_auto_str path = rmt_text("%s/copy", tree_lab_folder(scene->lab));
    assert_int_equal(setxattr(path, "user.more", "v", 1, 0), 0);
}

static void
test_a_root_that_is_there_is_made_the_same_or_the_refusal_is_told(void **state)
{
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof s_root_rows / sizeof *s_root_rows; i++) {
        s_clear_copy(*state);
        s_add_attribute(*state);
        s_try(&s_root_rows[i], s_write, *state);
    }
    scene_t *scene = *state;
    s_clear_copy(scene);
    s_add_attribute(scene);
    RMT_OK(s_write(scene, &error));
    rmt_auto_str found = tree_lab_compare(scene->lab, &scene->root, NULL);
    assert_string_equal(found, "");
}

// ---- Every call, one after the other

#define SILENT "nothing is said, and it is not the same"

static void
s_assert_told(void *context, const refused_t *by)
{
    (void) context;
    if (by->result == -1 &&
        (strstr(by->error.text, SILENT) || !strstr(by->error.text, strerror(EIO))))
        fail_msg("call %zu, %ld: %s", by->number, by->call, by->error.text);
}

static size_t
s_refuse_each(scene_t *scene, int (*act)(void *, rmt_error_t *),
              void (*before)(void *context))
{
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .before = before,
        .act = act,
        .after = s_assert_told,
        .context = scene,
    };
    return refuse_each(&each);
}

static int
s_capture_same(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    const rmt_capture_options_t options = {.root_fd = tree_lab_source(scene->lab),
                                           .threads = 1};
    const rmt_capture_sink_t sink = {.context = scene->lab, .chunk_fn = tree_lab_put};
    rmt_capture_report_t report = {0};
    rmt_id_t root;
    int rc = rmt_capture_run(&options, &sink, &root, &report, error);
    if (rc == 0 && report.unreadable_count == 0 && !rmt_id_equal(&root, &scene->root))
        rc = rmt_fail(error, RMT_E_INTERNAL, SILENT);
    rmt_capture_report_clear(&report);
    return rc;
}

// Whatever fails: the capture ends, or names a file, or is the same image.
static void
test_no_failed_call_of_a_capture_is_passed_over(void **state)
{
    assert_in_range(s_refuse_each(*state, s_capture_same, NULL), 30, 400);
}

static void
s_note(void *context, const rmt_compare_finding_t *finding)
{
    rmt_error_t *error = context;
    if (*error->text)
        return; // The first one is the reason
    if (finding->why == RMT_E_OK)
        rmt_fail(error, RMT_E_INTERNAL, SILENT ": %s of %s", finding->what,
                 finding->path);
    else
        rmt_fail(error, finding->why, "%s", finding->text);
}

static int
s_write_same(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    if (s_write(scene, error) == -1)
        return -1;
    const rmt_compare_input_t image = {&scene->root, tree_lab_get, scene->lab, -1};
    const rmt_compare_input_t copy = {.tree_fd = tree_lab_copy(scene->lab)};
    const rmt_compare_options_t options = {
        .threads = 1, .finding_fn = s_note, .context = error};
    rmt_compare_report_t report;
    if (rmt_compare_run(&image, &copy, &options, &report, error) == -1)
        return -1;
    return report.differences == 0 ? 0 : -1;
}

static void
s_before_write(void *context)
{
    s_clear_copy(context);
    s_add_attribute(context);
}

// Whatever fails: the writer ends, or the copy is the same.
static void
test_no_failed_call_of_a_writer_is_passed_over(void **state)
{
    assert_in_range(s_refuse_each(*state, s_write_same, s_before_write), 40, 400);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_capture_names_what_it_could_not_read),
        CASE(test_a_file_system_without_attributes_is_captured_without_them),
        CASE(test_a_writer_names_the_entry_and_the_step_that_was_refused),
        CASE(test_a_root_that_is_there_is_made_the_same_or_the_refusal_is_told),
        CASE(test_no_failed_call_of_a_capture_is_passed_over),
        CASE(test_no_failed_call_of_a_writer_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
