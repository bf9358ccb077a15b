// One planted difference of each kind, and what the comparison says about it; against the
// other tree, against the manifest, and by the program.
#include <linux/fs.h>
#include "tools/tree_lab.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LARGE_SIZE 3000000

static void
s_keep_time(int root, const char *name, void (*act)(int root, const char *name))
{
    struct stat status;
    assert_int_equal(fstatat(root, name, &status, AT_SYMLINK_NOFOLLOW), 0);
    struct stat above;
    assert_int_equal(fstat(root, &above), 0);
    act(root, name);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, status.st_mtim};
    (void) utimensat(root, name, times, AT_SYMLINK_NOFOLLOW);
    times[1] = above.st_mtim;
    assert_int_equal(futimens(root, times), 0);
}

static void
s_plant_mode(int root, const char *name)
{
    assert_int_equal(fchmodat(root, name, 0640, 0), 0);
}

static void
s_plant_owner(int root, const char *name)
{
    assert_int_equal(fchownat(root, name, 1, 0, 0), 0);
}

static void
s_plant_group(int root, const char *name)
{
    assert_int_equal(fchownat(root, name, 0, 1, 0), 0);
}

static void
s_plant_content(int root, const char *name)
{
    const int fd = openat(root, name, O_WRONLY);
    assert_int_equal(pwrite(fd, "!", 1, 60), 1);
    close(fd);
}

static void
s_plant_late_content(int root, const char *name)
{
    const int fd = openat(root, name, O_WRONLY);
    assert_int_equal(pwrite(fd, "!", 1, LARGE_SIZE - 1), 1);
    close(fd);
}

static void
s_plant_size(int root, const char *name)
{
    const int fd = openat(root, name, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "!", 1), 1);
    close(fd);
}

static void
s_plant_missing(int root, const char *name)
{
    assert_int_equal(unlinkat(root, name, 0), 0);
}

static void
s_plant_extra(int root, const char *name)
{
    (void) name;
    tree_lab_file(root, "file.extra", 1, 1);
}

static void
s_plant_type(int root, const char *name)
{
    assert_int_equal(unlinkat(root, name, 0), 0);
    assert_int_equal(mkfifoat(root, name, 0644), 0);
}

static void
s_plant_xattr_value(int root, const char *name)
{
    const int fd = openat(root, name, O_RDONLY);
    assert_int_equal(fsetxattr(fd, "user.a", "other", 5, 0), 0);
    close(fd);
}

static void
s_plant_xattr_extra(int root, const char *name)
{
    const int fd = openat(root, name, O_RDONLY);
    assert_int_equal(fsetxattr(fd, "trusted.z", "", 0, 0), 0);
    close(fd);
}

static void
s_plant_xattr_missing(int root, const char *name)
{
    const int fd = openat(root, name, O_RDONLY);
    assert_int_equal(fremovexattr(fd, "user.a"), 0);
    close(fd);
}

static void
s_plant_target(int root, const char *name)
{
    assert_int_equal(unlinkat(root, name, 0), 0);
    assert_int_equal(symlinkat("else", root, name), 0);
}

static void
s_plant_device(int root, const char *name)
{
    assert_int_equal(unlinkat(root, name, 0), 0);
    assert_int_equal(mknodat(root, name, S_IFCHR | 0644, makedev(1, 5)), 0);
}

// The same bytes, and zeros where a hole was.
static void
s_plant_sparse(int root, const char *name)
{
    const int fd = openat(root, name, O_WRONLY);
    static const char zeros[8192];
    assert_int_equal(pwrite(fd, zeros, sizeof zeros, 16384), sizeof zeros);
    close(fd);
}

// Room for nothing, behind the end.
static void
s_plant_reserved(int root, const char *name)
{
    const int fd = openat(root, name, O_WRONLY);
    assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, 65536, 65536), 0);
    close(fd);
}

static void
s_plant_split(int root, const char *name)
{
    assert_int_equal(unlinkat(root, name, 0), 0);
    tree_lab_file(root, name, 100, 5);
}

static void
s_plant_join(int root, const char *name)
{
    assert_int_equal(unlinkat(root, name, 0), 0);
    assert_int_equal(linkat(root, "twin-1", root, name, 0), 0);
}

static void
s_plant_flags(int root, const char *name)
{
    const int fd = openat(root, name, O_RDONLY);
    unsigned flags = 0;
    assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
    flags |= FS_NODUMP_FL;
    assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
    close(fd);
}

static void
s_plant_time(int root, const char *name)
{
    struct stat status;
    assert_int_equal(fstatat(root, name, &status, 0), 0);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, status.st_mtim};
    times[1].tv_nsec ^= 1; // One nanosecond
    assert_int_equal(utimensat(root, name, times, 0), 0);
}

typedef struct {
    const char *name;
    const char *file;
    void (*plant)(int root, const char *name);
    bool sets_time;      // It is the time that is planted
    const char *finding; // All of what is found
} row_t;

static const row_t s_rows[] = {
    {"no_difference_is_reported_as_none", NULL, NULL, false, ""},
    {"mode_is_reported", "file", s_plant_mode, false, "mode file\n"},
    {"owner_is_reported", "file", s_plant_owner, false, "owner file\n"},
    {"group_is_reported", "dir", s_plant_group, false, "owner dir\n"},
    {"mtime_by_a_nanosecond_is_reported", "file", s_plant_time, true, "mtime file\n"},
    {"mtime_of_a_folder_is_reported", "dir", s_plant_time, true, "mtime dir\n"},
    {"one_byte_is_reported", "file", s_plant_content, false, "content file\n"},
    {"last_byte_of_a_large_file_is_reported", "large", s_plant_late_content, false,
     "content large\n"},
    {"byte_in_a_hole_is_reported", "sparse", s_plant_content, false,
     "sparse sparse\ncontent sparse\n"},
    {"size_is_reported", "file", s_plant_size, false, "size file\n"},
    {"missing_name_is_reported", "file", s_plant_missing, false, "missing file\n"},
    {"extra_name_is_reported", "file", s_plant_extra, false, "extra file.extra\n"},
    {"type_is_reported", "file", s_plant_type, false, "type file\n"},
    {"value_of_an_attribute_is_reported", "file", s_plant_xattr_value, false,
     "xattr file\n"},
    {"extra_attribute_is_reported", "dir", s_plant_xattr_extra, false, "xattr dir\n"},
    {"missing_attribute_is_reported", "file", s_plant_xattr_missing, false,
     "xattr file\n"},
    {"target_is_reported", "link", s_plant_target, false, "target link\n"},
    {"device_number_is_reported", "node", s_plant_device, false, "device node\n"},
    {"filled_hole_is_reported", "sparse", s_plant_sparse, false, "sparse sparse\n"},
    {"reserved_room_is_reported", "file", s_plant_reserved, false, "reserved file\n"},
    {"split_hard_link_is_reported", "linked-2", s_plant_split, false, "links linked-2\n"},
    {"joined_equal_files_are_reported", "twin-2", s_plant_join, false, "links twin-2\n"},
    {"inode_flags_are_reported", "file", s_plant_flags, false, "flags file\n"},
};

typedef struct {
    tree_lab_t *lab;
    rmt_id_t root;
} stage_t;

static void
s_fill(int root)
{
    tree_lab_file(root, "file", 100, 1);
    const int fd = openat(root, "file", O_RDONLY);
    assert_int_equal(fsetxattr(fd, "user.a", "value", 5, 0), 0);
    close(fd);
    assert_int_equal(mkdirat(root, "dir", 0755), 0);
    tree_lab_file(root, "dir/inside", 100, 2);
    tree_lab_file(root, "large", LARGE_SIZE, 3);
    assert_int_equal(symlinkat("there", root, "link"), 0);
    assert_int_equal(mknodat(root, "node", S_IFCHR | 0644, makedev(1, 3)), 0);
    const int sparse = openat(root, "sparse", O_WRONLY | O_CREAT, 0644);
    assert_int_equal(pwrite(sparse, "x", 1, 100000), 1);
    assert_int_equal(ftruncate(sparse, 200000), 0);
    close(sparse);
    tree_lab_file(root, "linked-1", 100, 5);
    assert_int_equal(linkat(root, "linked-1", root, "linked-2", 0), 0);
    tree_lab_file(root, "twin-1", 100, 6);
    tree_lab_file(root, "twin-2", 100, 6);
    // So that joining them changes nothing else.
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {1000, 1}};
    assert_int_equal(utimensat(root, "twin-1", times, 0), 0);
    assert_int_equal(utimensat(root, "twin-2", times, 0), 0);
}

// Two equal trees, which the case makes different.
static stage_t
s_stage(void)
{
    stage_t stage = {.lab = tree_lab_new()};
    s_fill(tree_lab_source(stage.lab));
    stage.root = tree_lab_capture(stage.lab, 2, NULL);
    tree_lab_write(stage.lab, &stage.root);
    return stage;
}

static void
s_check_row(void **state)
{
    const row_t *row = *state;
    stage_t stage = s_stage();
    const int copy = tree_lab_copy(stage.lab);
    if (row->plant && row->sets_time)
        row->plant(copy, row->file);
    else if (row->plant)
        s_keep_time(copy, row->file, row->plant);
    rmt_auto_str trees = tree_lab_compare(stage.lab, NULL, NULL);
    rmt_auto_str manifest = tree_lab_compare(stage.lab, &stage.root, NULL);
    tree_lab_destroy(&stage.lab);
    assert_string_equal(trees, row->finding);
    assert_string_equal(manifest, row->finding);
}

static void
test_ignored_names_are_not_reported(void **state)
{
    (void) state;
    static const char *const ignores[] = {"/dir/inside", "file", NULL};
    stage_t stage = s_stage();
    s_keep_time(tree_lab_copy(stage.lab), "file", s_plant_mode);
    s_keep_time(tree_lab_copy(stage.lab), "dir/inside", s_plant_owner);
    rmt_auto_str trees = tree_lab_compare(stage.lab, NULL, ignores);
    rmt_auto_str manifest = tree_lab_compare(stage.lab, &stage.root, ignores);
    tree_lab_destroy(&stage.lab);
    assert_string_equal(trees, "");
    assert_string_equal(manifest, "");
}

static void
s_note(void *context, const rmt_compare_finding_t *finding)
{
    char **text = context;
    free(*text);
    *text = rmt_text("%s %s", finding->what, finding->path);
}

static void
test_two_manifests_are_compared_without_contents(void **state)
{
    (void) state;
    stage_t stage = s_stage();
    s_keep_time(tree_lab_source(stage.lab), "large", s_plant_late_content);
    const rmt_id_t later = tree_lab_capture(stage.lab, 2, NULL);
    const rmt_compare_input_t a = {&stage.root, tree_lab_get, stage.lab, -1};
    const rmt_compare_input_t b = {&later, tree_lab_get, stage.lab, -1};
    rmt_compare_report_t report;
    rmt_error_t error = {0};
    rmt_auto_str found = strdup("");
    const rmt_compare_options_t options = {.finding_fn = s_note, .context = &found};
    RMT_OK(rmt_compare_run(&a, &b, &options, &report, &error));
    tree_lab_destroy(&stage.lab);
    assert_string_equal(found, "content large");
    assert_int_equal(report.differences, 1);
}

// Exit status of the program; its output is thrown away.
static int
s_run_program(const char *const *arguments)
{
    const pid_t child = fork();
    if (child == 0) {
        const int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execv(arguments[0], (char *const *) arguments);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_program_tells_by_its_exit_status(void **state)
{
    (void) state;
    stage_t stage = s_stage();
    rmt_auto_str program = rmt_text("%s/ramet-compare", getenv("RAMET_BIN"));
    rmt_auto_str a = rmt_text("%s/source", tree_lab_folder(stage.lab));
    rmt_auto_str b = rmt_text("%s/copy", tree_lab_folder(stage.lab));
    const char *const plain[] = {program, a, b, NULL};
    const char *const ignoring[] = {program, a, b, "--ignore", "/file", NULL};
    const char *const wrong[] = {program, a, NULL};
    const int same = s_run_program(plain);
    s_keep_time(tree_lab_copy(stage.lab), "file", s_plant_mode);
    const int different = s_run_program(plain);
    const int ignored = s_run_program(ignoring);
    const int usage = s_run_program(wrong);
    tree_lab_destroy(&stage.lab);
    assert_int_equal(same, 0);
    assert_int_equal(different, 1);
    assert_int_equal(ignored, 0);
    assert_int_equal(usage, 64);
}

#define ROW_COUNT (sizeof s_rows / sizeof s_rows[0])

int
main(void)
{
    struct CMUnitTest rows[ROW_COUNT] = {0};
    for (size_t i = 0; i < ROW_COUNT; i++)
        rows[i] = (struct CMUnitTest){s_rows[i].name, s_check_row, NULL, NULL,
                                      (void *) (uintptr_t) &s_rows[i]};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ignored_names_are_not_reported),
        cmocka_unit_test(test_two_manifests_are_compared_without_contents),
        cmocka_unit_test(test_program_tells_by_its_exit_status),
    };
    return cmocka_run_group_tests_name("differences", rows, NULL, NULL) +
           cmocka_run_group_tests(tests, NULL, NULL);
}
