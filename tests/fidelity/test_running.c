// Sources that are in use: what is captured is whole, what is not is named, and nothing
// outside the root is read (P9, P22).
#include "act.h"
#include "stage.h"
#include "tools/rmt_wait.h"
#include "tools/tree_lab.h"
#include "base/rmt_io.h"
#include "tree/rmt_walk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int
s_setup(void **state)
{
    *state = tree_lab_new();
    return 0;
}

static int
s_teardown(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_destroy(&lab);
    return 0;
}

// Capture of what is older than the clock's tick, and so not waited for.
static rmt_id_t
s_capture(tree_lab_t *lab)
{
    tree_lab_settle();
    return tree_lab_capture(lab, 2, NULL);
}

// ---- 12, 14, 15: mounts

static void
test_what_lies_beneath_mount_points_is_carried(void **state)
{
    tree_lab_t *lab = *state;
    const int source = tree_lab_source(lab);
    act_folder(source, "dev");
    ACT(mknodat(source, "dev/console", S_IFCHR | 0600, makedev(5, 1)) == 0);
    ACT(fchmodat(source, "dev", 0711, 0) == 0);
    act_folder(source, "home");
    act_file(source, "home/hidden", "beneath\n");
    act_file(source, "resolv.conf", "own\n");
    rmt_auto_str root = rmt_text("%s/source", tree_lab_folder(lab));
    rmt_auto_str dev = rmt_text("%s/dev", root);
    rmt_auto_str home = rmt_text("%s/home", root);
    rmt_auto_str file = rmt_text("%s/resolv.conf", root);
    ACT(mount("none", dev, "tmpfs", 0, "size=1m,mode=0777") == 0);
    ACT(mount("none", home, "tmpfs", 0, "size=1m") == 0);
    ACT(mount("/etc/passwd", file, NULL, MS_BIND, NULL) == 0);
    const int bare = rmt_walk_open_bare(root);
    ACT(bare != -1);
    tree_lab_set_source(lab, bare);
    close(bare);
    const rmt_id_t id = s_capture(lab);
    assert_int_equal(tree_lab_find(lab, &id, "dev").mode, S_IFDIR | 0711);
    assert_int_equal(tree_lab_find(lab, &id, "dev/console").mode, S_IFCHR | 0600);
    assert_int_equal(tree_lab_find(lab, &id, "home/hidden").size, 8);
    assert_int_equal(tree_lab_find(lab, &id, "resolv.conf").size, 4);
    ACT(umount(dev) == 0 && umount(home) == 0 && umount(file) == 0);
}

// Whatever the kind, and however late it came.
static void
test_what_is_mounted_is_left_out_and_counted(void **state)
{
    tree_lab_t *lab = *state;
    const int source = tree_lab_source(lab);
    static const struct {
        const char *name, *type;
    } rows[] = {{"proc", "proc"}, {"sys", "sysfs"}, {"run", "tmpfs"}, {"mnt", "ramfs"}};
    rmt_auto_str root = rmt_text("%s/source", tree_lab_folder(lab));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        act_folder(source, rows[i].name);
        rmt_auto_str at = rmt_text("%s/%s", root, rows[i].name);
        ACT(mount("none", at, rows[i].type, 0, NULL) == 0);
    }
    const rmt_id_t id = s_capture(lab);
    assert_int_equal(tree_lab_report(lab)->mounts, 4);
    assert_int_equal(tree_lab_report(lab)->folders, 5);
    assert_true(S_ISDIR(tree_lab_find(lab, &id, "proc").mode));
    assert_int_equal(tree_lab_find(lab, &id, "proc/version").mode, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rmt_auto_str at = rmt_text("%s/%s", root, rows[i].name);
        ACT(umount(at) == 0);
    }
}

// ---- 1: numbers of inodes

static void
test_inode_numbers_beyond_32_bits_are_not_mixed_up(void **state)
{
    tree_lab_t *lab = *state;
    // Few and large allocation groups, so that the last ones have such numbers.
    static const char *const mkfs[] = {"mkfs.xfs", "-q",       "-d", "agcount=10",
                                       "-l",       "size=64m", NULL};
    const int root = stage_mount(mkfs, "xfs", "9T", NULL);
    ino_t largest = 0;
    for (int i = 0; i < 40; i++) {
        char name[64];
        snprintf(name, sizeof name, "%d", i);
        act_folder(root, name);
        snprintf(name, sizeof name, "%d/first", i);
        act_file(root, name, name);
        char other[64];
        snprintf(other, sizeof other, "%d/second", i);
        ACT(linkat(root, name, root, other, 0) == 0);
        const ino_t inode = act_stat(root, name).st_ino;
        largest = inode > largest ? inode : largest;
    }
    assert_true(largest > UINT32_MAX);
    tree_lab_set_source(lab, root);
    const rmt_id_t id = s_capture(lab);
    tree_lab_write(lab, &id);
    rmt_auto_str trees = tree_lab_compare(lab, NULL, NULL);
    assert_string_equal(trees, "");
    for (int i = 0; i < 40; i++) {
        char name[64];
        snprintf(name, sizeof name, "%d/second", i);
        rmt_auto_ptr text = act_text(tree_lab_copy(lab), name);
        snprintf(name, sizeof name, "%d/first", i);
        assert_string_equal(text, name);
    }
    close(root);
}

// ---- 22, 23: a tree that changes under the reader

#define MEDDLED 40
#define MEDDLED_SIZE 200000

typedef struct {
    int root, outside;
    atomic_bool stop;
    atomic_uint rounds;
} s_meddler_t;

static void
s_fill(int root, const char *name, char version)
{
    static const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    const int fd = openat(root, name, flags, 0644);
    if (fd == -1)
        return; // Is a folder or a symlink just now
    char *data = malloc(MEDDLED_SIZE);
    memset(data, version, MEDDLED_SIZE);
    // As databases do: in place and piece by piece.
    for (int i = 0; i < 4; i++)
        (void) !pwrite(fd, data, MEDDLED_SIZE / 4, i * (MEDDLED_SIZE / 4));
    free(data);
    close(fd);
}

static void
s_replace(int root, const char *name, unsigned kind)
{
    char link[64];
    switch (kind) {
    case 0:
        unlinkat(root, name, 0);
        break;
    case 1:
        unlinkat(root, name, 0);
        (void) !symlinkat("../../canary/file-1", root, name);
        break;
    case 2:
        unlinkat(root, name, 0);
        mkfifoat(root, name, 0600);
        break;
    case 3:
        s_fill(root, "new", 'N');
        (void) !renameat(root, "new", root, name);
        break;
    case 4:
        snprintf(link, sizeof link, "%s-link", name);
        if (linkat(root, name, root, link, 0) == -1)
            unlinkat(root, link, 0);
        break;
    default: {
        const int fd = openat(root, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd != -1) {
            (void) !ftruncate(fd, 777);
            close(fd);
        }
    }
    }
}

// Folders become symlinks that lead outside, and come back.
static void
s_swap_folder(int root, unsigned i)
{
    char name[32], away[32];
    snprintf(name, sizeof name, "folder-%u", i % 8);
    snprintf(away, sizeof away, "away-%u", i % 8);
    if (renameat(root, name, root, away) == 0) {
        (void) !symlinkat("../canary", root, name);
    } else {
        unlinkat(root, name, 0);
        (void) !renameat(root, away, root, name);
    }
}

static void *
s_meddle(void *argument)
{
    s_meddler_t *self = argument;
    unsigned random = 12345;
    while (!atomic_load(&self->stop)) {
        random = random * 1103515245u + 12345u;
        const unsigned i = (random >> 16) % MEDDLED;
        char name[64];
        snprintf(name, sizeof name, "folder-%u/file-%u", i % 8, i);
        const unsigned what = (random >> 8) % 12;
        if (what < 6)
            s_replace(self->root, name, what);
        else if (what == 6)
            s_swap_folder(self->root, i);
        else
            s_fill(self->root, name, (char) ('A' + (random >> 24) % 26));
        atomic_fetch_add(&self->rounds, 1);
    }
    return NULL;
}

// The report has a list for people; a mark without its line there would go unseen.
static void
s_check_listed(tree_lab_t *lab, const rmt_entry_t *entry)
{
    const rmt_capture_report_t *report = tree_lab_report(lab);
    if ((entry->fuzzy && !rmt_records_find(report->fuzzy, "path", entry->path)) ||
        (entry->unreadable && !rmt_records_find(report->unreadable, "path", entry->path)))
        fail_msg("%s is marked and not listed", entry->path);
}

// Every file that is not fuzzy has one version only; nothing of the canary came along.
static unsigned
s_check_versions(tree_lab_t *lab, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, tree_lab_get, lab, &error);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    rmt_entry_t entry;
    unsigned checked = 0;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1) {
        int version = -1;
        s_check_listed(lab, &entry);
        for (size_t i = 0; i < entry.chunk_count; i++) {
            size_t size = 0;
            RMT_OK(tree_lab_get(lab, &entry.chunks[i], plain, &size, &error));
            assert_null(memmem(plain, size, "top secret", 10));
            const char *bytes = plain;
            if (version == -1)
                version = bytes[0];
            for (size_t at = 0; !entry.fuzzy && at < size; at++)
                if (bytes[at] != version)
                    fail_msg("%s has %c and %c", entry.path, version, bytes[at]);
        }
        checked += entry.chunk_count > 0 && !entry.fuzzy;
    }
    return checked;
}

static void
test_a_tree_that_changes_under_the_reader_is_whole_or_named(void **state)
{
    tree_lab_t *lab = *state;
    rmt_auto_str path = rmt_text("%s/canary", tree_lab_folder(lab));
    ACT(mkdir(path, 0755) == 0);
    s_meddler_t meddler = {.root = tree_lab_source(lab),
                           .outside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    // Immutable, as the meddler itself goes through its symlinks.
    for (unsigned i = 0; i < MEDDLED; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%u", i);
        act_file(meddler.outside, name, "top secret");
        act_flags(meddler.outside, name, FS_IMMUTABLE_FL);
    }
    for (unsigned i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "folder-%u", i);
        act_folder(meddler.root, name);
    }
    pthread_t thread;
    ACT(pthread_create(&thread, NULL, s_meddle, &meddler) == 0);
    RMT_WAIT_UNTIL(atomic_load(&meddler.rounds) >= 1000, 60000);
    unsigned checked = 0;
    uint64_t fuzzy = 0;
    for (int i = 0; i < 12; i++) {
        rmt_auto_str name = rmt_text("%s/copy-%d", tree_lab_folder(lab), i);
        ACT(mkdir(name, 0755) == 0);
        const int copy = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        tree_lab_set_copy(lab, copy);
        close(copy);
        const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
        const rmt_capture_report_t *report = tree_lab_report(lab);
        checked += s_check_versions(lab, &root);
        fuzzy += report->fuzzy_count;
        assert_int_equal(rmt_records_count(report->fuzzy), report->fuzzy_count);
        assert_int_equal(rmt_records_count(report->unreadable), report->unreadable_count);
        // What was taken is a tree that restores, whatever its source was meanwhile.
        tree_lab_write(lab, &root);
        rmt_auto_str restored = tree_lab_compare(lab, &root, NULL);
        assert_string_equal(restored, "");
    }
    atomic_store(&meddler.stop, true);
    pthread_join(thread, NULL);
    assert_true(checked > 0);
    print_message("%u rounds, %u files whole, %llu fuzzy\n", meddler.rounds, checked,
                  (unsigned long long) fuzzy);
    close(meddler.outside);
}

// The first name of a group is replaced by another file while it is opened: the group
// keeps its own contents.
static int
s_swap_first(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    tree_lab_t *lab = context;
    const int source = tree_lab_source(lab);
    if (faccessat(source, "swap", F_OK, 0) == 0) {
        rmt_pause(200, "the walk passes the name, and nothing shows it");
        ACT(renameat(source, "swap", source, "b-first") == 0);
    }
    return tree_lab_put(lab, chunk, error);
}

static void
test_a_replaced_first_link_does_not_lend_its_contents(void **state)
{
    tree_lab_t *lab = *state;
    const int source = tree_lab_source(lab);
    tree_lab_file(source, "a", 5000000, 1);
    act_file(source, "b-first", "of the group\n");
    ACT(linkat(source, "b-first", source, "c-second", 0) == 0);
    act_file(source, "swap", "of another!!\n");
    const char *const excludes[] = {"swap", NULL};
    const rmt_capture_options_t options = {
        .root_fd = source, .excludes = excludes, .window_size = 1};
    const rmt_capture_sink_t sink = {.context = lab, .chunk_fn = s_swap_first};
    rmt_error_t error = {0};
    rmt_id_t root;
    rmt_capture_report_t report;
    RMT_OK(rmt_capture_run(&options, &sink, &root, &report, &error));
    rmt_capture_report_clear(&report);
    tree_lab_write(lab, &root);
    rmt_auto_ptr first = act_text(tree_lab_copy(lab), "b-first");
    rmt_auto_ptr second = act_text(tree_lab_copy(lab), "c-second");
    assert_string_equal(first, "of another!!\n");
    assert_string_equal(second, "of the group\n");
}

static const struct CMUnitTest s_tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    CASE(test_what_lies_beneath_mount_points_is_carried),
    CASE(test_what_is_mounted_is_left_out_and_counted),
    CASE(test_inode_numbers_beyond_32_bits_are_not_mixed_up),
    CASE(test_a_tree_that_changes_under_the_reader_is_whole_or_named),
    CASE(test_a_replaced_first_link_does_not_lend_its_contents),
};

int
main(int argc, char **argv)
{
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("running", s_tests, NULL, NULL);
}
