// Each tree of the fidelity cases as an image that is mounted: what differs from its
// source is what s_rows says, case by case, and what docs/fidelity.md says.
//
//     test_fidelity_mount            all of them
//     test_fidelity_mount NAME       one of them
#include "act.h"
#include "cases.h"
#include "tools/rmt_child.h"
#include "tools/tree_lab.h"
#include "base/rmt_io.h"
#include "mount/rmt_image_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_SIZE_MAX ((size_t) 1024 * 1024)
#define CACHE_SIZE ((size_t) 4 * 1024 * 1024)

// Cases of which a mount does not show all: the kinds of difference, as ramet-compare
// names them. docs/fidelity.md has the same rows, with the reasons.
static const struct {
    const char *name, *lost;
} s_rows[] = {
    {"reserved_room_stays_reserved", "reserved"},
    {"reserved_room_is_told_from_what_was_read_or_written_late", "reserved"},
    {"nocow_is_carried_or_refused", "reserved"},
    {"locked_inodes_lose_nothing", "reserved"},
};
#define ROW_COUNT (sizeof s_rows / sizeof s_rows[0])

static const fidelity_cases_t *const s_lists[] = {&cases_names, &cases_contents,
                                                  &cases_attributes};
#define LIST_COUNT (sizeof s_lists / sizeof s_lists[0])

// ---- The process that shows the image

typedef struct {
    tree_lab_t *lab;
    rmt_image_mount_t *mount;
    rmt_id_t *wanted;
    size_t wanted_count, all_count;
} server_t;

static void
s_want(void *context, const rmt_id_t *ids, size_t count)
{
    server_t *self = context;
    self->wanted =
        realloc(self->wanted, (self->wanted_count + count) * sizeof *self->wanted);
    memcpy(self->wanted + self->wanted_count, ids, count * sizeof *ids);
    self->wanted_count += count;
    self->all_count += count;
}

static void
s_give(server_t *self)
{
    static uint8_t plain[RMT_CHUNK_PLAIN_MAX];
    rmt_error_t error = {0};
    while (self->wanted_count) {
        const rmt_id_t id = self->wanted[--self->wanted_count];
        size_t size;
        if (self->lab && tree_lab_get(self->lab, &id, plain, &size, &error) == 0)
            rmt_image_mount_give(self->mount, &id, plain, size);
        else
            rmt_image_mount_fail(self->mount, &id, 1, true);
    }
}

static rmt_image_tree_t *
s_tree(tree_lab_t *lab, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    rmt_image_tree_t *tree = rmt_image_tree_new();
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, tree_lab_get, lab, &error);
    rmt_entry_t entry;
    int more = reader && rmt_image_tree_begin(tree, "/", &error) == 0 ? 1 : -1;
    while (more == 1 && (more = rmt_manifest_reader_next(reader, &entry, &error)) == 1)
        if (rmt_image_tree_add(tree, &entry, &error) == -1)
            more = -1;
    if (more == -1) {
        fprintf(stderr, "%s\n", error.text);
        rmt_child_end(1);
    }
    rmt_image_tree_finish(tree);
    return tree;
}

// Takes tree. The end is 3 when a chunk was wanted.
__attribute__((noreturn)) static void
s_serve(tree_lab_t *lab, rmt_image_tree_t *tree, const char *folder, int told)
{
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    server_t self = {.lab = lab};
    const rmt_image_mount_setup_t setup = {.name = folder,
                                           .folder = folder,
                                           .tree = tree,
                                           .cache_size = CACHE_SIZE,
                                           .want = s_want,
                                           .context = &self};
    rmt_error_t error = {0};
    self.mount = rmt_image_mount_new(&setup, &error);
    if (!self.mount) {
        fprintf(stderr, "%s\n", error.text);
        rmt_child_end(1);
    }
    if (write(told, "m", 1) != 1)
        rmt_child_end(1);
    do {
        struct pollfd item = {.fd = rmt_image_mount_fd(self.mount), .events = POLLIN};
        (void) poll(&item, 1, -1);
        s_give(&self);
    } while (rmt_image_mount_serve(self.mount) && (s_give(&self), true));
    rmt_image_mount_destroy(&self.mount);
    rmt_image_tree_destroy(&tree);
    free(self.wanted);
    rmt_child_end(lab || self.all_count == 0 ? 0 : 3);
}

// ---- A file of foreign hands

#define BYTES ((size_t) 131072) // And as many chunks
#define OPENED 50
#define GROWTH_MAX ((size_t) 32 * 1024 * 1024)

// "bytes" is cut into chunks of a byte.
static rmt_image_tree_t *
s_odd_tree(void)
{
    static rmt_id_t ids[BYTES];
    static uint32_t sizes[BYTES];
    rmt_error_t error = {0};
    for (uint32_t i = 0; i < BYTES; i++) {
        rmt_id_compute(&ids[i], &i, sizeof i);
        sizes[i] = 1;
    }
    const rmt_entry_t root = {.path = "", .mode = S_IFDIR | 0755};
    const rmt_entry_t file = {.path = "bytes",
                              .path_size = 5,
                              .mode = S_IFREG | 0644,
                              .size = BYTES,
                              .chunks = ids,
                              .chunk_sizes = sizes,
                              .chunk_count = BYTES};
    rmt_image_tree_t *tree = rmt_image_tree_new();
    if (rmt_image_tree_begin(tree, "/", &error) == -1 ||
        rmt_image_tree_add(tree, &root, &error) == -1 ||
        rmt_image_tree_add(tree, &file, &error) == -1)
        rmt_child_end(1);
    rmt_image_tree_finish(tree);
    return tree;
}

// ---- Cases

static stage_fs_t
s_source(const fidelity_case_t *what)
{
    stage_fs_t fs = STAGE_EXT4;
    while (what->sources && !(what->sources & (1u << fs)))
        fs++;
    return fs;
}

// Of the image with this root, or of the odd one. The process that shows it.
static pid_t
s_mount(tree_lab_t *lab, const rmt_id_t *root, const char *folder)
{
    int told[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    const pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0 && root)
        s_serve(lab, s_tree(lab, root), folder, told[1]);
    if (child == 0)
        s_serve(NULL, s_odd_tree(), folder, told[1]);
    close(told[1]);
    char word;
    assert_int_equal(read(told[0], &word, 1), 1);
    close(told[0]);
    return child;
}

static void
s_unmount(const char *folder, pid_t child)
{
    int status;
    assert_int_equal(umount2(folder, 0), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// What differs between the source and the mounted image.
static char *
s_look(tree_lab_t *lab, const rmt_id_t *root)
{
    rmt_auto_str folder = rmt_text("%s/copy", tree_lab_folder(lab));
    const pid_t child = s_mount(lab, root, folder);
    const int mounted = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_not_equal(mounted, -1);
    tree_lab_set_copy(lab, mounted);
    rmt_auto_str lines = tree_lab_compare(lab, NULL, NULL);
    close(mounted);
    tree_lab_set_copy(lab, tree_lab_source(lab)); // It holds the mount no longer
    s_unmount(folder, child);
    return act_kinds(lines);
}

static void
s_run(void **state)
{
    const fidelity_case_t *what = *state;
    const char *wanted = "-";
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcmp(s_rows[i].name, what->name) == 0)
            wanted = s_rows[i].lost;
    tree_lab_t *lab = tree_lab_new();
    const int stage = stage_source(s_source(what));
    act_folder(stage, what->name);
    rmt_auto_fd source = act_open(stage, what->name);
    tree_lab_set_source(lab, source);
    what->make(source);
    tree_lab_settle();
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    rmt_auto_str lost = s_look(lab, &root);
    assert_string_equal(lost, wanted);
    tree_lab_destroy(&lab);
}

// It fails at once, and asks for nothing.
static void
s_read_bytes(void **state)
{
    (void) state;
    tree_lab_t *lab = tree_lab_new();
    rmt_auto_str folder = rmt_text("%s/copy", tree_lab_folder(lab));
    rmt_auto_str path = rmt_text("%s/bytes", folder);
    const pid_t child = s_mount(lab, NULL, folder);
    rmt_auto_ptr bytes = malloc(BYTES);
    assert_non_null(bytes);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_not_equal(file, -1);
    assert_int_equal(read(file, bytes, BYTES), -1);
    assert_int_equal(errno, EIO);
    close(file);
    s_unmount(folder, child);
    tree_lab_destroy(&lab);
}

// Resident memory of a process, in bytes.
static size_t
s_memory(pid_t process)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("/proc/%d/statm", (int) process);
    rmt_auto_ptr text = NULL;
    size_t size;
    unsigned long all = 0, resident = 0;
    RMT_OK(rmt_io_load(path, 4096, &text, &size, &error));
    assert_int_equal(sscanf(text, "%lu %lu", &all, &resident), 2);
    return resident * (size_t) sysconf(_SC_PAGESIZE);
}

// Each time it is open is not a list of its chunks more, of 5 MiB here.
static void
s_open_often(void **state)
{
    (void) state;
    int files[OPENED];
    tree_lab_t *lab = tree_lab_new();
    rmt_auto_str folder = rmt_text("%s/copy", tree_lab_folder(lab));
    rmt_auto_str path = rmt_text("%s/bytes", folder);
    const pid_t child = s_mount(lab, NULL, folder);
    size_t once = 0;
    for (size_t i = 0; i < OPENED; i++) {
        files[i] = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_not_equal(files[i], -1);
        once = once ? once : s_memory(child);
    }
    const size_t often = s_memory(child);
    for (size_t i = 0; i < OPENED; i++)
        close(files[i]);
    s_unmount(folder, child);
    tree_lab_destroy(&lab);
    assert_in_range(often, 0, once + GROWTH_MAX);
}

static const fidelity_case_t *
s_case(size_t index)
{
    for (size_t i = 0; i < LIST_COUNT; i++)
        for (size_t j = 0; j < s_lists[i]->count; j++)
            if (index-- == 0)
                return &s_lists[i]->items[j];
    return NULL;
}

static void
s_check_page(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_ptr page = NULL;
    size_t size = 0;
    rmt_auto_str path = rmt_text("%s/docs/fidelity.md", getenv("RAMET_SOURCE"));
    RMT_OK(rmt_io_load(path, PAGE_SIZE_MAX, &page, &size, &error));
    const char *section = strstr(page, "\n## Mounted images\n");
    assert_non_null(section);
    rmt_auto_str own = rmt_text("%.*s", (int) (strcspn(section + 5, "#") + 5), section);
    size_t count = 0;
    for (const char *row = own; (row = strstr(row, "\n| `")); row++)
        count++;
    assert_int_equal(count, ROW_COUNT);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        rmt_auto_str row = rmt_text("\n| `%s` | %s | ", s_rows[i].name, s_rows[i].lost);
        if (!strstr(own, row))
            fail_msg("docs/fidelity.md lacks the row%s", row);
    }
}

int
main(int argc, char **argv)
{
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    struct CMUnitTest tests[128] = {
        {"the page lists what a mount does not show", s_check_page, NULL, NULL, NULL},
        {"a file of chunks of a byte is not read", s_read_bytes, NULL, NULL, NULL},
        {"a file that is open often is kept once", s_open_often, NULL, NULL, NULL}};
    const size_t own = 3;
    size_t count = own;
    const fidelity_case_t *what;
    for (; (what = s_case(count - own)); count++) {
        assert_true(count < sizeof tests / sizeof tests[0]);
        tests[count] =
            (struct CMUnitTest){what->name, s_run, NULL, NULL, (void *) (uintptr_t) what};
    }
    return _cmocka_run_group_tests("mount", tests, count, NULL, NULL);
}
