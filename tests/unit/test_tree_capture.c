// Capture, and the round trip of a tree that is hard to copy.
#include "tools/rmt_wait.h"
#include "tools/tree_lab.h"
#include "store/rmt_chunker.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"
#include "store/rmt_manifest.h"
#include "tree/rmt_stable_read.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

// What the manifest says, as lines "path type links chunks marks".
static char *
s_list(tree_lab_t *lab, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, tree_lab_get, lab, &error);
    RMT_OK(reader);
    char *lines = strdup("");
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1) {
        char *longer =
            rmt_text("%s%s %o%s%s%s%s\n", lines, entry.path, entry.mode >> 12,
                     entry.link_group ? (entry.link_first ? " first" : " link") : "",
                     entry.chunk_count ? " data" : "", entry.fuzzy ? " fuzzy" : "",
                     entry.unreadable ? " unreadable" : "");
        free(lines);
        lines = longer;
    }
    return lines;
}

// P9: nothing that a file system keeps is lost on the way.
static void
test_round_trip_of_a_hard_tree_has_no_differences(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_fill(tree_lab_source(lab));
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    const rmt_capture_report_t *captured = tree_lab_report(lab);
    assert_int_equal(captured->unreadable_count, 0);
    assert_int_equal(captured->fuzzy_count, 0);
    assert_int_equal(captured->capabilities, 1);
    assert_int_equal(captured->acls, 3);
    assert_int_equal(captured->setuid, 1);
    const rmt_writer_report_t written = tree_lab_write(lab, &root);
    assert_int_equal(written.files, captured->files);
    assert_int_equal(written.folders, captured->folders);
    assert_int_equal(written.hard_links, captured->hard_links);
    assert_int_equal(written.size, captured->size);

    rmt_auto_str trees = tree_lab_compare(lab, NULL, NULL);
    assert_string_equal(trees, "");
    rmt_auto_str manifest = tree_lab_compare(lab, &root, NULL);
    assert_string_equal(manifest, "");
}

// The same on a fresh file system, whose root has lost+found.
static void
test_round_trip_to_a_fresh_ext4_merges_lost_and_found(void **state)
{
    tree_lab_t *lab = *state;
    rmt_auto_str image = rmt_text("%s/disk", tree_lab_folder(lab));
    rmt_auto_str mount_point = rmt_text("%s/mnt", tree_lab_folder(lab));
    tree_lab_run("truncate", "-s", "64M", image);
    tree_lab_run("mkfs.ext4", "-q", "-F", "-b", "4096", "-N", "4000", image);
    assert_int_equal(mkdir(mount_point, 0755), 0);
    tree_lab_run("mount", "-o", "loop", image, mount_point);
    tree_lab_fill(tree_lab_source(lab));
    assert_int_equal(mkdirat(tree_lab_source(lab), "lost+found", 0700), 0);
    const rmt_id_t root = tree_lab_capture(lab, 0, NULL);
    const int fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree_lab_set_copy(lab, fd);
    tree_lab_write(lab, &root);
    rmt_auto_str trees = tree_lab_compare(lab, NULL, NULL);
    rmt_auto_str manifest = tree_lab_compare(lab, &root, NULL);
    close(fd);
    tree_lab_set_copy(lab, tree_lab_source(lab));
    tree_lab_run("umount", mount_point);
    assert_string_equal(trees, "");
    assert_string_equal(manifest, "");
}

static void
test_number_of_threads_does_not_change_the_manifest(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_fill(tree_lab_source(lab));
    const rmt_id_t one = tree_lab_capture(lab, 1, NULL);
    const rmt_id_t many = tree_lab_capture(lab, 7, NULL);
    assert_true(rmt_id_equal(&one, &many));
}

// A file is read in pieces, whose ends must show nowhere: the same cuts everywhere are
// what chunks are shared by. Zeros are cut at the maximum only.
static void
test_cuts_of_a_large_file_are_those_of_its_whole_contents(void **state)
{
    tree_lab_t *lab = *state;
    const size_t size = ((size_t) 11 << 20) + 12345, zeros = (size_t) 3 << 20;
    tree_lab_file(tree_lab_source(lab), "large", size, 7);
    rmt_auto_fd fd = openat(tree_lab_source(lab), "large", O_RDWR | O_CLOEXEC);
    rmt_auto_ptr data = calloc(1, size);
    rmt_error_t error = {0};
    RMT_OK(rmt_io_pwrite(fd, data, zeros, 4 << 20, &error));
    RMT_OK(rmt_io_pread(fd, data, size, 0, &error));
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, tree_lab_get, lab, &error);
    rmt_entry_t entry = {0};
    while (strcmp(entry.path ? entry.path : "", "large") != 0)
        assert_int_equal(rmt_manifest_reader_next(reader, &entry, &error), 1);
    size_t at = 0;
    for (size_t i = 0; i < entry.chunk_count; i++) {
        const uint8_t *rest = (const uint8_t *) data + at;
        const size_t cut = rmt_chunker_cut(&RMT_CUT_FILE, rest, size - at);
        rmt_id_t id;
        rmt_id_compute(&id, rest, cut);
        assert_int_equal(entry.chunk_sizes[i], cut);
        assert_true(rmt_id_equal(&entry.chunks[i], &id));
        at += cut;
    }
    assert_int_equal(at, size);
}

static void
test_excluded_names_and_sockets_are_left_out_and_counted(void **state)
{
    tree_lab_t *lab = *state;
    const int source = tree_lab_source(lab);
    mkdirat(source, "tmp", 01777);
    tree_lab_file(source, "tmp/x", 10, 1);
    mkdirat(source, "keep", 0755);
    tree_lab_file(source, "keep/x.bak", 10, 1);
    tree_lab_file(source, "keep/y", 10, 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/source/socket",
             tree_lab_folder(lab));
    assert_int_equal(bind(fd, (void *) &address, sizeof address), 0);
    close(fd);

    const char *const excludes[] = {"/tmp/*", "*.bak", NULL};
    const rmt_id_t root = tree_lab_capture(lab, 2, excludes);
    rmt_auto_str list = s_list(lab, &root);
    assert_string_equal(list, " 4\nkeep 4\nkeep/y 10 data\ntmp 4\n");
    assert_int_equal(tree_lab_report(lab)->sockets, 1);
    assert_int_equal(tree_lab_report(lab)->excluded, 2);
}

static void
test_mount_points_stay_and_are_not_entered(void **state)
{
    tree_lab_t *lab = *state;
    const int source = tree_lab_source(lab);
    mkdirat(source, "mnt", 0755);
    mkdirat(source, "own", 0755);
    tree_lab_file(source, "own/file", 10, 1);
    rmt_auto_str other = rmt_text("%s/source/mnt", tree_lab_folder(lab));
    assert_int_equal(mount("none", other, "tmpfs", 0, "size=1m"), 0);
    const int fd = open(other, O_RDONLY | O_DIRECTORY);
    tree_lab_file(fd, "foreign", 10, 1);
    close(fd);
    mkdirat(source, "self", 0755);
    rmt_auto_str own = rmt_text("%s/source/own", tree_lab_folder(lab));
    rmt_auto_str self = rmt_text("%s/source/self", tree_lab_folder(lab));
    assert_int_equal(mount(own, self, NULL, MS_BIND, NULL), 0);
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    assert_int_equal(umount(other), 0);
    assert_int_equal(umount(self), 0);
    rmt_auto_str list = s_list(lab, &root);
    assert_string_equal(list, " 4\nmnt 4\nown 4\nown/file 10 data\nself 4\n");
    assert_int_equal(tree_lab_report(lab)->mounts, 2);
}

typedef struct {
    tree_lab_t *lab;
    unsigned calls;
    void (*act)(tree_lab_t *lab);
    bool once;
} meddler_t;

static int
s_meddle(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    meddler_t *meddler = context;
    if (meddler->calls++ == 0 || !meddler->once)
        meddler->act(meddler->lab);
    return tree_lab_put(meddler->lab, chunk, error);
}

static rmt_id_t
s_capture_meddled(meddler_t *meddler, rmt_capture_report_t *report)
{
    // With such a window nothing is read before all that comes before it was handed out.
    const rmt_capture_options_t options = {.root_fd = tree_lab_source(meddler->lab),
                                           .window_size = 1};
    const rmt_capture_sink_t sink = {.context = meddler, .chunk_fn = s_meddle};
    rmt_error_t error = {0};
    rmt_id_t root;
    RMT_OK(rmt_capture_run(&options, &sink, &root, report, &error));
    return root;
}

static void
s_append(tree_lab_t *lab)
{
    const int fd = openat(tree_lab_source(lab), "log", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "more\n", 5), 5);
    close(fd);
}

// P9: files of an overlay have other devices than its folders, and are no mount points.
static void
test_files_of_an_overlay_are_carried_with_their_contents(void **state)
{
    tree_lab_t *lab = *state;
    rmt_auto_str base = rmt_text("%s/layers", tree_lab_folder(lab));
    tree_lab_run("mkdir", base);
    tree_lab_run("mount", "-t", "tmpfs", "-o", "size=4m", "layers", base);
    rmt_auto_str layers = rmt_text(
        "mkdir %1$s/low %1$s/high %1$s/work %1$s/tree && mount -t tmpfs low %1$s/low && "
        "mkdir %1$s/low/d && echo below >%1$s/low/d/old && ln %1$s/low/d/old "
        "%1$s/low/d/z && "
        "mount -t overlay -o lowerdir=%1$s/low,upperdir=%1$s/high,workdir=%1$s/work over "
        "%1$s/tree && echo above >%1$s/tree/d/new",
        base);
    tree_lab_run("sh", "-c", layers);
    rmt_auto_str tree = rmt_text("%s/tree", base);
    const int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const rmt_capture_options_t options = {.root_fd = fd};
    const rmt_capture_sink_t sink = {.context = lab, .chunk_fn = tree_lab_put};
    rmt_error_t error = {0};
    rmt_id_t root;
    rmt_capture_report_t report = {0};
    RMT_OK(rmt_capture_run(&options, &sink, &root, &report, &error));
    close(fd);
    rmt_capture_report_clear(&report);
    tree_lab_run("umount", "-R", base);
    rmt_auto_str list = s_list(lab, &root);
    assert_non_null(strstr(list, "d/new 10 data\n"));
    assert_non_null(strstr(list, "d/old 10 first data\n"));
    assert_non_null(strstr(list, "d/z 10 link"));
}

static void
test_file_that_always_changes_is_fuzzy_and_whole_in_itself(void **state)
{
    meddler_t meddler = {.lab = *state, .act = s_append};
    tree_lab_file(tree_lab_source(*state), "log", 9000000, 1);
    rmt_capture_report_t report;
    const rmt_id_t root = s_capture_meddled(&meddler, &report);
    assert_int_equal(report.fuzzy_count, 1);
    assert_string_equal(rmt_record_text(rmt_records_at(report.fuzzy, 0), "path", ""),
                        "log");
    rmt_auto_str list = s_list(*state, &root);
    assert_string_equal(list, " 4\nlog 10 data fuzzy\n");
    rmt_capture_report_clear(&report);
    tree_lab_write(*state, &root); // Sizes and chunks add up
}

// M8: in a snapshot nothing is under way, whatever the clock says of a file's last
// change.
static void
test_what_stands_still_is_believed_however_young_it_is(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_file(tree_lab_source(lab), "log", 10, 1);
    rmt_auto_fd fd = openat(tree_lab_source(lab), "log", O_RDONLY | O_CLOEXEC);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    status.st_ctim.tv_sec += 60;
    for (int is_still = 0; is_still < 2; is_still++) {
        rmt_stable_read_t steady = {.is_still = is_still};
        rmt_stable_read_begin(&steady, fd, &status);
        assert_int_equal(rmt_stable_read_is_one(&steady, &status, &status), is_still);
        struct stat longer = status;
        longer.st_size++;
        assert_false(rmt_stable_read_is_one(&steady, &status, &longer));
    }
}

static void
test_file_that_changes_once_is_read_again(void **state)
{
    meddler_t meddler = {.lab = *state, .act = s_append, .once = true};
    tree_lab_file(tree_lab_source(*state), "log", 9000000, 1);
    rmt_capture_report_t report;
    const rmt_id_t root = s_capture_meddled(&meddler, &report);
    assert_int_equal(report.fuzzy_count, 0);
    rmt_capture_report_clear(&report);
    tree_lab_write(*state, &root);
    rmt_auto_str differences = tree_lab_compare(*state, NULL, NULL);
    assert_string_equal(differences, "");
}

// ---- Files that are filled with one version number over and over

#define HOT_FILES 8
#define HOT_SIZE ((size_t) 3 * 1024 * 1024)

typedef struct {
    int source;
    atomic_bool stop;
    atomic_uint versions; // Written so far
    bool keeps_open;
    size_t size;
} filler_t;

static void
s_fill(int fd, uint32_t version, size_t size)
{
    static const size_t piece = 64 * 1024;
    uint32_t *words = malloc(piece);
    for (size_t i = 0; i < piece / sizeof *words; i++)
        words[i] = version;
    for (size_t at = 0; at < size; at += piece)
        (void) !pwrite(fd, words, piece, (off_t) at);
    free(words);
}

static void *
s_keep_filling(void *argument)
{
    filler_t *self = argument;
    int fds[HOT_FILES];
    for (int i = 0; i < HOT_FILES; i++)
        fds[i] = openat(self->source, (char[]){'h', (char) ('0' + i), 0}, O_WRONLY);
    for (uint32_t version = 1; !atomic_load(&self->stop); version++) {
        // Some are always hot, some now and then; h0 never.
        for (uint32_t i = 1; i < HOT_FILES; i++) {
            if (i > 3 && version % (i * 5) != 0)
                continue;
            const char name[] = {'h', (char) ('0' + i), 0};
            const int fd =
                self->keeps_open ? fds[i] : openat(self->source, name, O_WRONLY);
            s_fill(fd, version, self->size);
            if (!self->keeps_open)
                close(fd);
        }
        atomic_store(&self->versions, version);
        if (version % 3 == 0)
            rmt_pause(1, "the reader gets its turn");
    }
    for (int i = 0; i < HOT_FILES; i++)
        close(fds[i]);
    return NULL;
}

// What is not said to be fuzzy holds one version, wherever the writer was.
static void
s_check_versions(tree_lab_t *lab, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, tree_lab_get, lab, &error);
    rmt_entry_t entry;
    uint8_t *plain = malloc(RMT_CHUNK_PLAIN_MAX);
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1) {
        uint32_t version = 0;
        for (size_t i = 0; !entry.fuzzy && i < entry.chunk_count; i++) {
            size_t size = 0;
            RMT_OK(tree_lab_get(lab, &entry.chunks[i], plain, &size, &error));
            uint32_t word;
            if (i == 0)
                memcpy(&version, plain, sizeof version);
            for (size_t at = 0; at + sizeof word <= size; at += sizeof word) {
                memcpy(&word, plain + at, sizeof word);
                if (word != version)
                    fail_msg("%s holds versions %u and %u", entry.path, version, word);
            }
        }
    }
    free(plain);
}

static void
s_stress(tree_lab_t *lab, bool keeps_open, size_t size)
{
    filler_t filler = {
        .source = tree_lab_source(lab), .keeps_open = keeps_open, .size = size};
    for (int i = 0; i < HOT_FILES; i++) {
        const int fd = openat(filler.source, (char[]){'h', (char) ('0' + i), 0},
                              O_WRONLY | O_CREAT, 0600);
        s_fill(fd, 1, size);
        close(fd);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_keep_filling, &filler), 0);
    RMT_WAIT_UNTIL(atomic_load(&filler.versions) >= 10, 20000);
    for (int run = 0; run < 2; run++) {
        const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
        const rmt_capture_report_t *report = tree_lab_report(lab);
        assert_int_equal(report->unreadable_count, 0);
        assert_int_equal(report->files, HOT_FILES);
        // The hottest ones cannot be had; the one that rests must be.
        assert_in_range(report->fuzzy_count, 1, HOT_FILES - 1);
        assert_int_equal(rmt_records_count(report->fuzzy), report->fuzzy_count);
        s_check_versions(lab, &root);
    }
    atomic_store(&filler.stop, true);
    pthread_join(thread, NULL);
}

// M8: the reader cannot choose the moment.
static void
test_files_under_a_writer_hold_one_version_or_are_fuzzy(void **state)
{
    s_stress(*state, true, HOT_SIZE);
}

static void
test_files_under_a_writer_that_opens_anew_hold_one_version_or_are_fuzzy(void **state)
{
    s_stress(*state, false, HOT_SIZE);
}

static void
test_small_files_under_a_writer_hold_one_version_or_are_fuzzy(void **state)
{
    s_stress(*state, true, 64 * 1024);
}

static void
s_truncate(tree_lab_t *lab)
{
    rmt_auto_str path = rmt_text("%s/source/log", tree_lab_folder(lab));
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 10000), 0);
}

static void
test_file_that_shrinks_is_never_padded(void **state)
{
    meddler_t meddler = {.lab = *state, .act = s_truncate};
    tree_lab_file(tree_lab_source(*state), "log", 9000000, 1);
    rmt_capture_report_t report;
    const rmt_id_t root = s_capture_meddled(&meddler, &report);
    assert_int_equal(report.fuzzy_count, 1);
    rmt_capture_report_clear(&report);
    tree_lab_write(*state, &root);
}

static void
s_remove_first(tree_lab_t *lab)
{
    // Nothing but "a" is open.
    rmt_pause(200, "the walk passes the names, and nothing shows it");
    assert_int_equal(unlinkat(tree_lab_source(lab), "b", 0), 0);
    assert_int_equal(unlinkat(tree_lab_source(lab), "e", 0), 0);
}

static void
test_next_link_carries_the_contents_when_the_first_vanished(void **state)
{
    meddler_t meddler = {.lab = *state, .act = s_remove_first, .once = true};
    const int source = tree_lab_source(*state);
    tree_lab_file(source, "a", 5000000, 1);
    tree_lab_file(source, "b", 3000000, 2);
    linkat(source, "b", source, "c", 0);
    linkat(source, "b", source, "d", 0);
    tree_lab_file(source, "e", 10, 3);
    rmt_capture_report_t report;
    const rmt_id_t root = s_capture_meddled(&meddler, &report);
    assert_int_equal(report.vanished, 2);
    rmt_capture_report_clear(&report);
    rmt_auto_str list = s_list(*state, &root);
    assert_string_equal(list, " 4\na 10 data\nc 10 first data\nd 10 link\n");
    tree_lab_write(*state, &root);
    rmt_auto_str differences = tree_lab_compare(*state, NULL, NULL);
    // The root changed when its names were removed.
    assert_true(strcmp(differences, "") == 0 || strcmp(differences, "mtime \n") == 0);
}

// M8: the list has its path.
static void
test_unreadable_file_is_listed_and_the_rest_is_captured(void **state)
{
    tree_lab_t *lab = *state;
    const int source = tree_lab_source(lab);
    tree_lab_file(source, "open", 10, 1);
    tree_lab_file(source, "shut", 10, 2);
    mkdirat(source, "shut-dir", 0);
    assert_int_equal(fchmodat(source, "shut", 0, 0), 0);
    assert_int_equal(seteuid(65534), 0);
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    assert_int_equal(seteuid(0), 0);
    const rmt_capture_report_t *report = tree_lab_report(lab);
    assert_int_equal(report->unreadable_count, 2);
    const rmt_record_t *record = rmt_records_at(report->unreadable, 0);
    assert_string_equal(rmt_record_text(record, "path", ""), "shut");
    assert_string_equal(rmt_record_text(record, "reason", ""), "Permission denied");
    rmt_auto_str list = s_list(lab, &root);
    assert_string_equal(list, " 4\nopen 10 data\nshut 10 unreadable\n"
                              "shut-dir 4 unreadable\n");
}

static bool
s_yes(void *context)
{
    (void) context;
    return true;
}

static int
s_refuse(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    (void) context;
    (void) chunk;
    return rmt_fail(error, RMT_E_NO_SPACE, "sink is full");
}

static void
test_cancel_and_a_failing_sink_end_the_capture(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_fill(tree_lab_source(lab));
    rmt_capture_options_t options = {.root_fd = tree_lab_source(lab),
                                     .cancelled_fn = s_yes};
    rmt_capture_sink_t sink = {.context = lab, .chunk_fn = tree_lab_put};
    rmt_error_t error = {0};
    rmt_id_t root;
    rmt_capture_report_t report;
    RMT_FAILS(rmt_capture_run(&options, &sink, &root, &report, &error), RMT_E_CANCELLED);
    options.cancelled_fn = NULL;
    sink.chunk_fn = s_refuse;
    RMT_FAILS(rmt_capture_run(&options, &sink, &root, &report, &error), RMT_E_NO_SPACE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_round_trip_of_a_hard_tree_has_no_differences),
        CASE(test_round_trip_to_a_fresh_ext4_merges_lost_and_found),
        CASE(test_number_of_threads_does_not_change_the_manifest),
        CASE(test_cuts_of_a_large_file_are_those_of_its_whole_contents),
        CASE(test_excluded_names_and_sockets_are_left_out_and_counted),
        CASE(test_mount_points_stay_and_are_not_entered),
        CASE(test_files_of_an_overlay_are_carried_with_their_contents),
        CASE(test_file_that_always_changes_is_fuzzy_and_whole_in_itself),
        CASE(test_what_stands_still_is_believed_however_young_it_is),
        CASE(test_file_that_changes_once_is_read_again),
        CASE(test_files_under_a_writer_hold_one_version_or_are_fuzzy),
        CASE(test_files_under_a_writer_that_opens_anew_hold_one_version_or_are_fuzzy),
        CASE(test_small_files_under_a_writer_hold_one_version_or_are_fuzzy),
        CASE(test_file_that_shrinks_is_never_padded),
        CASE(test_next_link_carries_the_contents_when_the_first_vanished),
        CASE(test_unreadable_file_is_listed_and_the_rest_is_captured),
        CASE(test_cancel_and_a_failing_sink_end_the_capture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
