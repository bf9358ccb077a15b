// A tree that is made into another with what it has: what is the same stays, what differs
// is made new, what is too much goes, and nothing else is touched (M34, P9, P22).
#include "tools/refuse_each.h"
#include "tools/tree_lab.h"
#include "base/rmt_io.h"
#include "tree/rmt_converge.h"
#include "tree/rmt_glob.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    tree_lab_t *lab;
    rmt_id_t root; // Of the first tree, which the copy has
    rmt_id_t other;
    rmt_converge_report_t plan, done;
    size_t kept; // By the first glob
    rmt_error_t error;
} stage_t;

static int
s_converge(stage_t *stage, const rmt_id_t *root, const char *const *keeps)
{
    const rmt_converge_options_t options = {.root = root,
                                            .source = tree_lab_get,
                                            .source_context = stage->lab,
                                            .tree_fd = tree_lab_copy(stage->lab),
                                            .keeps = keeps};
    rmt_auto(rmt_converge) converge = rmt_converge_new(&options, &stage->error);
    if (!converge)
        return -1;
    stage->plan = *rmt_converge_plan(converge);
    if (keeps)
        stage->kept = rmt_converge_kept(converge, 0);
    size_t count;
    free(rmt_converge_missing(converge, &count));
    assert_int_equal(count > 0, stage->plan.fetched > 0);
    return rmt_converge_run(converge, tree_lab_get, stage->lab, &stage->done,
                            &stage->error);
}

static void
s_assert_same(stage_t *stage, const rmt_id_t *root, const char *const *keeps)
{
    rmt_auto_str lines = tree_lab_compare(stage->lab, root, keeps);
    assert_string_equal(lines, "");
}

static void
s_make(stage_t *stage, const rmt_id_t *root, const char *const *keeps)
{
    if (s_converge(stage, root, keeps) == -1)
        fail_msg("%s", stage->error.text);
    s_assert_same(stage, root, keeps);
    assert_int_equal(stage->done.made, stage->plan.made);
    assert_int_equal(stage->done.same, stage->plan.same);
    assert_int_equal(stage->done.changed, stage->plan.changed);
    assert_int_equal(stage->done.size, stage->plan.size);
}

static rmt_id_t
s_capture(stage_t *stage)
{
    tree_lab_settle();
    return tree_lab_capture(stage->lab, 2, NULL);
}

static ino_t
s_inode(const stage_t *stage, const char *path)
{
    struct stat status;
    if (fstatat(tree_lab_copy(stage->lab), path, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return 0;
    return status.st_ino;
}

static void
s_flags(int root, const char *path, unsigned flags)
{
    const int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
    close(fd);
}

static int
s_setup(void **state)
{
    stage_t *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    stage->lab = tree_lab_new();
    *state = stage;
    return 0;
}

static int
s_teardown(void **state)
{
    stage_t *stage = *state;
    tree_lab_destroy(&stage->lab);
    free(stage);
    return 0;
}

// ---- Whole trees

static void
test_a_hard_tree_is_made_of_nothing_and_then_there_is_nothing_to_do(void **state)
{
    stage_t *stage = *state;
    tree_lab_fill(tree_lab_source(stage->lab));
    stage->root = s_capture(stage);
    s_make(stage, &stage->root, NULL);
    const ino_t inode = s_inode(stage, "a/shared");
    s_make(stage, &stage->root, NULL);
    assert_int_equal(stage->done.made + stage->done.changed + stage->done.removed, 0);
    assert_int_equal(s_inode(stage, "a/shared"), inode);
}

static void
test_all_of_a_hard_tree_goes_for_an_empty_one(void **state)
{
    stage_t *stage = *state;
    stage->root = s_capture(stage);
    tree_lab_fill(tree_lab_copy(stage->lab));
    s_make(stage, &stage->root, NULL);
    assert_int_equal(stage->done.same + stage->done.changed, 1);
    assert_int_equal(stage->done.removed, stage->plan.removed);
}

// ---- What changed

static void
s_fill(int root)
{
    assert_int_equal(mkdirat(root, "usr", 0755), 0);
    tree_lab_file(root, "usr/same", 300000, 1);
    tree_lab_file(root, "usr/other", 3000000, 2);
    tree_lab_file(root, "usr/mode", 1000, 3);
    tree_lab_file(root, "usr/pair", 1000, 4);
    assert_int_equal(linkat(root, "usr/pair", root, "usr/pair-too", 0), 0);
    assert_int_equal(linkat(root, "usr/pair", root, "usr/pair-three", 0), 0);
    tree_lab_file(root, "usr/moved", 500000, 5);
    assert_int_equal(symlinkat("same", root, "usr/link"), 0);
    assert_int_equal(mkdirat(root, "kind", 0755), 0);
    tree_lab_file(root, "kind/file", 10, 6);
    tree_lab_file(root, "was-file", 10, 7);
    assert_int_equal(mkdirat(root, "srv", 0700), 0);
    tree_lab_file(root, "srv/data", 1000, 8);
    tree_lab_file(root, "locked", 100, 9);
    assert_int_equal(mkdirat(root, "locked-in", 0755), 0);
    tree_lab_file(root, "locked-in/file", 100, 10);
    s_flags(root, "locked", FS_IMMUTABLE_FL);
    s_flags(root, "locked-in/file", FS_IMMUTABLE_FL);
    s_flags(root, "locked-in", FS_IMMUTABLE_FL);
}

// Another release of the same: everything named above has become what its name says.
static void
s_change(int root)
{
    const int fd = openat(root, "usr/other", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "changed", 7, 1500000), 7);
    close(fd);
    assert_int_equal(fchmodat(root, "usr/mode", 04711, 0), 0);
    assert_int_equal(unlinkat(root, "usr/pair-too", 0), 0);
    tree_lab_file(root, "usr/pair-too", 1000, 4); // Equal, and an inode of its own
    assert_int_equal(mkdirat(root, "usr/below", 0755), 0);
    assert_int_equal(renameat(root, "usr/moved", root, "usr/below/a-moved"), 0);
    assert_int_equal(unlinkat(root, "usr/link", 0), 0);
    assert_int_equal(symlinkat("other", root, "usr/link"), 0);
    assert_int_equal(unlinkat(root, "kind/file", 0), 0);
    assert_int_equal(unlinkat(root, "kind", AT_REMOVEDIR), 0);
    tree_lab_file(root, "kind", 20, 11);
    assert_int_equal(unlinkat(root, "was-file", 0), 0);
    assert_int_equal(mkdirat(root, "was-file", 0755), 0);
    tree_lab_file(root, "was-file/inside", 20, 12);
    tree_lab_file(root, "srv/data", 1000, 13);
    s_flags(root, "locked", 0);
    s_flags(root, "locked-in", 0);
    s_flags(root, "locked-in/file", 0);
    tree_lab_file(root, "locked", 100, 14);
    s_flags(root, "locked", FS_IMMUTABLE_FL);
    assert_int_equal(unlinkat(root, "locked-in/file", 0), 0);
    s_flags(root, "locked-in", FS_IMMUTABLE_FL);
}

// The copy has the first release; the other one is captured.
static void
s_two_releases(stage_t *stage)
{
    s_fill(tree_lab_source(stage->lab));
    stage->root = s_capture(stage);
    s_make(stage, &stage->root, NULL);
    s_change(tree_lab_source(stage->lab));
    stage->other = s_capture(stage);
}

static void
test_what_is_the_same_stays_and_old_files_give_their_chunks(void **state)
{
    stage_t *stage = *state;
    s_two_releases(stage);
    const ino_t same = s_inode(stage, "usr/same"), mode = s_inode(stage, "usr/mode");
    const ino_t other = s_inode(stage, "usr/other"), folder = s_inode(stage, "usr");
    s_make(stage, &stage->other, NULL);
    assert_int_equal(s_inode(stage, "usr/same"), same);
    assert_int_equal(s_inode(stage, "usr/mode"), mode);
    assert_int_equal(s_inode(stage, "usr"), folder);
    assert_int_not_equal(s_inode(stage, "usr/other"), other);
    // Of 3 MB and of what was moved, one or two chunks are new.
    assert_true(stage->done.size > 3500000);
    assert_in_range(stage->done.fetched, 1, 1100000);
    assert_int_equal(stage->done.fetched, stage->plan.fetched);
    s_make(stage, &stage->root, NULL);
}

static void
test_what_the_image_lacks_goes_whatever_it_is(void **state)
{
    stage_t *stage = *state;
    s_two_releases(stage);
    const int copy = tree_lab_copy(stage->lab);
    s_flags(copy, "locked", 0);
    tree_lab_fill(copy);
    rmt_auto_str path = rmt_text("%s/copy/socket", tree_lab_folder(stage->lab));
    const int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(socket_fd, (void *) &address, sizeof address), 0);
    close(socket_fd);
    s_make(stage, &stage->root, NULL);
    assert_int_equal(s_inode(stage, "socket"), 0);
    assert_int_equal(s_inode(stage, "deep-"), 0);
}

static void
s_time(int root, const char *name)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {1000000000, 5}};
    assert_int_equal(utimensat(root, name, times, 0), 0);
}

// Names that are one inode here, and equal files in the image.
static void
test_an_inode_is_shared_as_the_image_shares_it(void **state)
{
    stage_t *stage = *state;
    const int source = tree_lab_source(stage->lab), copy = tree_lab_copy(stage->lab);
    tree_lab_file(source, "one", 1000, 1);
    tree_lab_file(source, "two", 1000, 1);
    s_time(source, "one");
    s_time(source, "two");
    tree_lab_file(copy, "one", 1000, 1);
    s_time(copy, "one");
    assert_int_equal(linkat(copy, "one", copy, "two", 0), 0);
    stage->root = s_capture(stage);
    s_make(stage, &stage->root, NULL);
    assert_int_not_equal(s_inode(stage, "one"), s_inode(stage, "two"));
    assert_int_equal(stage->done.fetched, 0);
}

// The old file of the second is written over before it is needed.
static void
test_contents_that_changed_places_are_right(void **state)
{
    stage_t *stage = *state;
    const int source = tree_lab_source(stage->lab), copy = tree_lab_copy(stage->lab);
    tree_lab_file(source, "one", 1000, 1);
    tree_lab_file(source, "two", 1000, 2);
    tree_lab_file(copy, "one", 1000, 2);
    tree_lab_file(copy, "two", 1000, 1);
    stage->root = s_capture(stage);
    s_make(stage, &stage->root, NULL);
    assert_int_equal(stage->plan.fetched, 0);
    assert_int_equal(stage->done.fetched, 1000);
}

// Equal size and time say nothing.
static void
test_contents_with_the_same_size_and_time_are_found_out(void **state)
{
    stage_t *stage = *state;
    s_fill(tree_lab_source(stage->lab));
    stage->root = s_capture(stage);
    s_make(stage, &stage->root, NULL);
    const int copy = tree_lab_copy(stage->lab);
    struct stat status;
    assert_int_equal(fstatat(copy, "usr/same", &status, 0), 0);
    const int fd = openat(copy, "usr/same", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "?", 1, 299999), 1);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, status.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    s_make(stage, &stage->root, NULL);
    assert_int_equal(stage->done.made, 1);
}

// ---- Kept

static void
test_what_is_kept_stays_with_all_below_it(void **state)
{
    static const char *const keeps[] = {"/srv", "/opt/app/*.db", NULL};
    stage_t *stage = *state;
    s_two_releases(stage);
    const int copy = tree_lab_copy(stage->lab);
    tree_lab_file(copy, "srv/own", 10, 20);
    assert_int_equal(mkdirat(copy, "opt", 0755), 0);
    assert_int_equal(mkdirat(copy, "opt/app", 0755), 0);
    tree_lab_file(copy, "opt/app/a.db", 10, 21);
    tree_lab_file(copy, "opt/app/b.txt", 10, 22);
    const ino_t folder = s_inode(stage, "srv"), data = s_inode(stage, "srv/data"),
                own = s_inode(stage, "srv/own"), db = s_inode(stage, "opt/app/a.db");
    if (s_converge(stage, &stage->other, keeps) == -1)
        fail_msg("%s", stage->error.text);
    rmt_auto_str lines = tree_lab_compare(stage->lab, &stage->other, keeps);
    assert_string_equal(lines, "extra opt\nextra opt/app\n"); // They hold what is kept
    assert_int_equal(s_inode(stage, "srv"), folder);
    assert_int_equal(s_inode(stage, "srv/data"), data);
    assert_int_equal(s_inode(stage, "srv/own"), own);
    assert_int_equal(s_inode(stage, "opt/app/a.db"), db);
    assert_int_equal(s_inode(stage, "opt/app/b.txt"), 0);
    assert_int_equal(stage->kept, 1);
    assert_int_equal(stage->done.kept, 2);
    // What is kept and not there is made.
    rmt_auto_str srv = rmt_text("%s/copy/srv", tree_lab_folder(stage->lab));
    tree_lab_run("rm", "-r", srv);
    s_make(stage, &stage->other, (const char *const[]){"/srv", "/opt", NULL});
    assert_int_not_equal(s_inode(stage, "srv/data"), 0);
    assert_int_equal(stage->kept, 0);
}

// ---- Refused, before anything is changed

static void
s_refused(stage_t *stage, const char *const *keeps, rmt_code_t code, const char *text)
{
    rmt_auto_str before = tree_lab_compare(stage->lab, &stage->other, NULL);
    assert_int_equal(s_converge(stage, &stage->other, keeps), -1);
    if (stage->error.code != code || !strstr(stage->error.text, text))
        fail_msg("%s", stage->error.text);
    rmt_auto_str after = tree_lab_compare(stage->lab, &stage->other, NULL);
    assert_string_equal(after, before);
}

static void
test_a_mount_in_the_tree_is_refused_unless_it_is_kept(void **state)
{
    stage_t *stage = *state;
    s_two_releases(stage);
    rmt_auto_str path = rmt_text("%s/copy/mnt", tree_lab_folder(stage->lab));
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mount("none", path, "tmpfs", 0, "size=64k"), 0);
    tree_lab_file(tree_lab_copy(stage->lab), "mnt/file", 10, 1);
    s_refused(stage, NULL, RMT_E_EXISTS, "something is mounted at /mnt");
    s_make(stage, &stage->other, (const char *const[]){"/mnt", NULL});
    assert_int_not_equal(s_inode(stage, "mnt/file"), 0);
    assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void
test_a_hard_link_from_a_kept_name_is_refused(void **state)
{
    stage_t *stage = *state;
    s_two_releases(stage);
    static const char *const keeps[] = {"pair", NULL};
    s_refused(stage, keeps, RMT_E_UNSUPPORTED, "links it to /usr/pair, which is kept");
}

static void
test_a_kept_file_in_the_place_of_another_kind_stays(void **state)
{
    stage_t *stage = *state;
    s_two_releases(stage);
    static const char *const keeps[] = {"/kind/file", NULL};
    assert_int_equal(s_converge(stage, &stage->other, keeps), -1);
    assert_int_equal(stage->error.code, RMT_E_EXISTS);
    assert_non_null(strstr(stage->error.text, "/kind: is a folder with files that are"));
    assert_int_not_equal(s_inode(stage, "kind/file"), 0);
}

// A symlink where the image has a folder leads nowhere.
static void
test_nothing_outside_is_touched(void **state)
{
    stage_t *stage = *state;
    s_two_releases(stage);
    rmt_auto_str outside = rmt_text("%s/outside", tree_lab_folder(stage->lab));
    rmt_auto_str usr = rmt_text("%s/copy/usr", tree_lab_folder(stage->lab));
    assert_int_equal(mkdir(outside, 0755), 0);
    tree_lab_run("cp", "-a", usr, outside);
    tree_lab_run("rm", "-r", usr);
    rmt_auto_str target = rmt_text("%s/usr", outside);
    assert_int_equal(symlink(target, usr), 0);
    const int copy = tree_lab_copy(stage->lab);
    assert_int_equal(symlinkat("../../outside", copy, "srv/extra"), 0);
    s_make(stage, &stage->other, NULL);
    rmt_auto_str file = rmt_text("%s/moved", target);
    assert_int_equal(access(file, F_OK), 0);
}

// ---- Globs of volumes

static void
s_below(const char *glob, const char *folder, const char *expected)
{
    rmt_auto_str found = rmt_glob_below(glob, folder);
    if (!expected)
        assert_null(found);
    else if (!found || strcmp(found, expected) != 0)
        fail_msg("%s in %s: %s", glob, folder, found ? found : "nothing");
}

static void
test_a_glob_is_told_for_the_tree_of_a_volume(void **state)
{
    (void) state;
    s_below("/srv/db", "", "/srv/db");
    s_below("/srv/db", "/srv", "/db");
    s_below("srv/*/x", "/srv/www", "/x");
    s_below("/s*/www/x/y", "/srv/www", "/x/y");
    s_below("/srv", "/srv", "");
    s_below("/srv", "/srv/www", "");
    s_below("/srv/other", "/srv/www", NULL);
    s_below("/var", "/srv", NULL);
    s_below("*.db", "/srv", "*.db");
    s_below("www", "/srv/www/x", "");
    rmt_auto_str quoted = rmt_glob_quote("/a*b[c]?\\");
    assert_string_equal(quoted, "/a\\*b\\[c\\]\\?\\\\");
    assert_true(rmt_glob_match((const char *const[]){quoted, NULL}, "a*b[c]?\\"));
    assert_false(rmt_glob_match((const char *const[]){quoted, NULL}, "aXb[c]?\\"));
}

// ---- Cut off

static int
s_update(void *context, rmt_error_t *error)
{
    stage_t *stage = context;
    const int result = s_converge(stage, &stage->other, NULL);
    if (result == -1)
        *error = stage->error;
    return result;
}

static void
s_first_again(void *context)
{
    stage_t *stage = context;
    s_make(stage, &stage->root, NULL);
}

// Whatever call fails: it is told, and the next run ends in the image's tree.
static void
s_other_after_all(void *context, const refused_t *by)
{
    refuse_each_assert_told(context, by);
    s_make(context, &((stage_t *) context)->other, NULL);
}

static void
test_an_update_that_was_cut_off_at_any_call_goes_on(void **state)
{
    static const long calls[] = {
        SYS_openat2,  SYS_mkdirat,   SYS_unlinkat, SYS_renameat,  SYS_renameat2,
        SYS_linkat,   SYS_symlinkat, SYS_pwrite64, SYS_ftruncate, SYS_fchmod,
        SYS_fchownat, SYS_utimensat, SYS_ioctl,    SYS_fsetxattr, SYS_fremovexattr};
    stage_t *stage = *state;
    s_two_releases(stage);
    const refuse_each_t each = {.calls = calls,
                                .count = sizeof calls / sizeof *calls,
                                .code = EIO,
                                .step = 11,
                                .before = s_first_again,
                                .act = s_update,
                                .after = s_other_after_all,
                                .context = stage};
    assert_in_range(refuse_each(&each), 60, 600);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_hard_tree_is_made_of_nothing_and_then_there_is_nothing_to_do),
        CASE(test_all_of_a_hard_tree_goes_for_an_empty_one),
        CASE(test_what_is_the_same_stays_and_old_files_give_their_chunks),
        CASE(test_what_the_image_lacks_goes_whatever_it_is),
        CASE(test_an_inode_is_shared_as_the_image_shares_it),
        CASE(test_contents_that_changed_places_are_right),
        CASE(test_contents_with_the_same_size_and_time_are_found_out),
        CASE(test_what_is_kept_stays_with_all_below_it),
        CASE(test_a_mount_in_the_tree_is_refused_unless_it_is_kept),
        CASE(test_a_hard_link_from_a_kept_name_is_refused),
        CASE(test_a_kept_file_in_the_place_of_another_kind_stays),
        CASE(test_nothing_outside_is_touched),
        cmocka_unit_test(test_a_glob_is_told_for_the_tree_of_a_volume),
        CASE(test_an_update_that_was_cut_off_at_any_call_goes_on),
    };
    return cmocka_run_group_tests_name("tree_converge", tests, NULL, NULL);
}
