// Trees that numbers make up, each made into another: whatever stands where, the result
// is the image's, and what is kept is as it was (M34, P9). The numbers are fixed; more of
// them: test_unit_tree_converge_random COUNT FIRST.
#include "tools/tree_lab.h"
#include "base/rmt_io.h"
#include "tree/rmt_converge.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAMES 48

static unsigned s_count = 40, s_first = 90;

static unsigned
s_draw(unsigned *seed, unsigned below)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % below;
}

static void
s_path(unsigned *seed, char *path)
{
    size_t size = 0;
    const unsigned depth = 1 + s_draw(seed, 3);
    for (unsigned i = 0; i < depth; i++)
        size += (size_t) sprintf(path + size, "%s%c", i ? "/" : "",
                                 (char) ('a' + s_draw(seed, 4)));
}

// What fails, as a name whose folder is a file, is left out.
static void
s_add(int root, unsigned *seed)
{
    char path[16], other[16];
    s_path(seed, path);
    s_path(seed, other);
    static const size_t sizes[] = {0, 10, 5000, 70000, 300000};
    const unsigned kind = s_draw(seed, 12), which = s_draw(seed, 5);
    const unsigned contents = s_draw(seed, 3);
    struct stat status;
    if (kind < 4)
        (void) mkdirat(root, path, 0755);
    else if (kind < 7 && fstatat(root, path, &status, AT_SYMLINK_NOFOLLOW) == -1) {
        const int fd = openat(root, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd == -1)
            return;
        close(fd);
        tree_lab_file(root, path, sizes[which], contents);
    } else if (kind == 7)
        (void) symlinkat(contents ? "a" : "b/c", root, path);
    else if (kind == 8)
        (void) mknodat(root, path, S_IFIFO | 0600, 0);
    else
        (void) linkat(root, other, root, path, 0);
}

static bool
s_open_plain(int root, const char *path, int *fd_out)
{
    struct stat status;
    if (fstatat(root, path, &status, AT_SYMLINK_NOFOLLOW) == -1 ||
        (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
        return false;
    *fd_out = openat(root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *fd_out != -1;
}

static void
s_grow(int root, unsigned seed)
{
    char path[16];
    for (unsigned i = 0; i < NAMES; i++)
        s_add(root, &seed);
    int fd;
    for (unsigned i = 0; i < NAMES / 2; i++) {
        s_path(&seed, path);
        const unsigned what = s_draw(&seed, 3);
        if (!s_open_plain(root, path, &fd))
            continue;
        if (what == 0)
            assert_int_equal(fchmod(fd, 0700), 0);
        else if (what == 1)
            assert_int_equal(fchown(fd, 7, 8), 0);
        else
            assert_int_equal(fsetxattr(fd, "user.x", "v", 1, 0), 0);
        close(fd);
    }
    // Times that many share, so that more is the same.
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {1000000000, 0}};
    for (unsigned i = 0; i < 84; i++) {
        const unsigned a = i % 4, b = i / 4 % 4, c = i / 16;
        const int depth = i < 4 ? 1 : i < 20 ? 2 : 3;
        snprintf(path, sizeof path,
                 depth == 1   ? "%c"
                 : depth == 2 ? "%c/%c"
                              : "%c/%c/%c",
                 (char) ('a' + a), (char) ('a' + b), (char) ('a' + (c + 3) % 4));
        (void) utimensat(root, path, times, AT_SYMLINK_NOFOLLOW);
    }
    for (unsigned i = 0; i < 4; i++) {
        s_path(&seed, path);
        const unsigned lock = s_draw(&seed, 2) ? FS_IMMUTABLE_FL : FS_APPEND_FL;
        if (!s_open_plain(root, path, &fd))
            continue;
        unsigned flags = 0;
        assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
        if (!(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
            flags |= lock;
            assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
        }
        close(fd);
    }
}

static char *
s_names(const tree_lab_t *lab, const char *path)
{
    rmt_auto_str full = rmt_text("%s/copy/%s", tree_lab_folder(lab), path);
    rmt_auto_str command = rmt_text(
        "find '%s' -printf '%%P %%i %%y %%m %%s %%U %%T@ %%l\\n' 2>&1 | sort", full);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    (void) fread(text, 1, (1 << 16) - 1, output);
    pclose(output);
    return text;
}

// Differences that are none: folders that stay for what is kept in them.
static bool
s_are_holders(const char *lines)
{
    for (const char *line = lines; *line; line = strchr(line, '\n') + 1)
        if (strncmp(line, "extra ", 6) != 0)
            return false;
    return true;
}

static void
s_try(unsigned number)
{
    static const char *const keeps[] = {"/a/b", NULL};
    const bool keeps_some = number % 3 == 0;
    tree_lab_t *lab = tree_lab_new();
    s_grow(tree_lab_source(lab), number);
    s_grow(tree_lab_copy(lab), number % 4 ? number * 7919 : number);
    tree_lab_settle();
    const rmt_id_t root = tree_lab_capture(lab, 1, NULL);
    rmt_auto_str before = s_names(lab, "a/b");
    const rmt_converge_options_t options = {.root = &root,
                                            .source = tree_lab_get,
                                            .source_context = lab,
                                            .tree_fd = tree_lab_copy(lab),
                                            .keeps = keeps_some ? keeps : NULL};
    bool refused = false;
    for (int turn = 0; turn < 2 && !refused; turn++) {
        rmt_error_t error = {0};
        rmt_converge_report_t done = {0};
        rmt_auto(rmt_converge) converge = rmt_converge_new(&options, &error);
        if (!converge ||
            rmt_converge_run(converge, tree_lab_get, lab, &done, &error) == -1)
            refused = keeps_some &&
                      (error.code == RMT_E_UNSUPPORTED || error.code == RMT_E_EXISTS);
        if (error.code && !refused)
            fail_msg("tree %u: %s", number, error.text);
        if (turn && done.made + done.changed + done.removed)
            fail_msg("tree %u: the second time %llu are made", number,
                     (unsigned long long) done.made);
    }
    rmt_auto_str lines = tree_lab_compare(lab, &root, options.keeps);
    if (!refused && *lines && !(keeps_some && s_are_holders(lines)))
        fail_msg("tree %u: %s", number, lines);
    rmt_auto_str after = s_names(lab, "a/b");
    if (keeps_some && !strstr(before, "find:") && strcmp(before, after) != 0)
        fail_msg("tree %u: kept\n%sand found\n%s", number, before, after);
    tree_lab_destroy(&lab);
}

static void
test_any_tree_becomes_any_other(void **state)
{
    (void) state;
    for (unsigned i = 0; i < s_count; i++)
        s_try(s_first + i);
}

int
main(int argc, char **argv)
{
    if (argc == 3) {
        s_count = (unsigned) strtoul(argv[1], NULL, 10);
        s_first = (unsigned) strtoul(argv[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_tree_becomes_any_other)};
    return cmocka_run_group_tests_name("tree_converge_random", tests, NULL, NULL);
}
