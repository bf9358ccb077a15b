// Each tree of the fidelity cases to a pax archive, and from there by GNU tar, by bsdtar
// and by an import: what differs is what s_rows says, case by case, and what
// docs/fidelity.md says (M17).
//
//     test_fidelity_export           all of them
//     test_fidelity_export NAME      one of them
#include "act.h"
#include "cases.h"
#include "tools/archive_lab.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_SIZE_MAX ((size_t) 1024 * 1024)
#define TIME_LIMIT_MS 120000

typedef enum { GNU_TAR, BSDTAR, IMPORT, WAY_COUNT } way_t;

// Cases of which something is lost on a way: the kinds of difference, as image diff names
// them. docs/fidelity.md has the same rows, with the reasons.
static const struct {
    const char *name;
    const char *lost[WAY_COUNT];
} s_rows[] = {
    {"names_are_bytes", {"-", "missing,extra", "-"}},
    {"trees_are_deeper_than_a_path", {"missing", "mtime,missing", "-"}},
    {"reserved_room_stays_reserved", {"reserved", "reserved", "reserved"}},
    {"reserved_room_is_told_from_what_was_read_or_written_late",
     {"reserved", "reserved", "reserved"}},
    {"compression_is_carried_or_refused", {"flags", "flags,xattr", "flags"}},
    {"nocow_is_carried_or_refused", {"flags,reserved", "flags,reserved", "reserved"}},
    {"attributes_of_all_namespaces_on_all_kinds", {"xattr", "xattr", "-"}},
    {"acls_are_carried_bit_for_bit", {"-", "xattr", "-"}},
    {"inode_flags_are_carried", {"flags", "flags", "-"}},
    {"locked_inodes_lose_nothing", {"flags,reserved", "reserved", "reserved"}},
    {"dirsync_is_carried_or_refused", {"flags", "-", "-"}},
    {"flags_of_ext4_are_carried_or_refused", {"flags", "-", "-"}},
    {"projects_are_carried_or_refused", {"flags,project", "project", "project"}},
    {"hints_of_xfs_are_carried_or_refused", {"flags", "flags", "flags"}},
    {"times_before_1970_and_after_2038_keep_their_nanoseconds", {"mtime", "-", "-"}},
};
#define ROW_COUNT (sizeof s_rows / sizeof s_rows[0])

static const fidelity_cases_t *const s_lists[] = {&cases_names, &cases_contents,
                                                  &cases_attributes};
#define LIST_COUNT (sizeof s_lists / sizeof s_lists[0])

// ---- Ways

// Whatever a program cannot extract it leaves out, so its exit status says nothing.
static void
s_extract(const tree_lab_t *lab, way_t way, const char *folder)
{
    rmt_auto_str archive = archive_lab_path(lab);
    const char *const gnu[] = {"tar",
                               "-C",
                               folder,
                               "--warning=no-unknown-keyword",
                               "--warning=no-timestamp",
                               "--numeric-owner",
                               "--acls",
                               "--xattrs",
                               "--xattrs-include=*",
                               "--same-permissions",
                               "-xf",
                               archive,
                               NULL};
    const char *const bsd[] = {"bsdtar", "-C",       folder,     "--numeric-owner",
                               "--acls", "--xattrs", "--fflags", "-xpf",
                               archive,  NULL};
    const rmt_process_t process = {.arguments = way == GNU_TAR ? gnu : bsd,
                                   .timeout_ms = TIME_LIMIT_MS};
    rmt_process_end_t end = {0};
    rmt_error_t error = {0};
    if (rmt_process_try(&process, &end, &error) == -1)
        fail_msg("%s", error.text);
    free(end.output);
    free(end.tail);
}

static void
s_import(tree_lab_t *lab)
{
    rmt_id_t back;
    rmt_error_t error = {0};
    (void) archive_lab_import(lab, &back, NULL, &error);
    assert_string_equal(error.text, "");
    tree_lab_write(lab, &back);
}

// bsdtar never sets the time of the folder that it is told to fill, which would be said
// of each case.
static char *
s_kinds(const char *lines, way_t way)
{
    static const char top[] = "mtime \n";
    const bool is_top = way == BSDTAR && strncmp(lines, top, strlen(top)) == 0;
    return act_kinds(is_top ? lines + strlen(top) : lines);
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

static char *
s_lost(tree_lab_t *lab, const fidelity_case_t *what, way_t way, const rmt_id_t *root)
{
    static const char *const ways[] = {"gnu", "bsd", "import"};
    const int stage = stage_copy(s_source(what));
    rmt_auto_str name = rmt_text("%.100s-%s", what->name, ways[way]);
    act_folder(stage, name);
    rmt_auto_fd copy = act_open(stage, name);
    tree_lab_set_copy(lab, copy);
    rmt_auto_str folder = rmt_text("/proc/%d/fd/%d", getpid(), copy);
    if (way == IMPORT)
        s_import(lab);
    else
        s_extract(lab, way, folder);
    rmt_auto_str lines = tree_lab_compare(lab, root, NULL);
    return s_kinds(lines, way);
}

// What is lost on each way; what an import lacks the export must have counted.
static void
s_measure(const fidelity_case_t *what, char *lost_out[WAY_COUNT])
{
    tree_lab_t *lab = tree_lab_new();
    const int stage = stage_source(s_source(what));
    act_folder(stage, what->name);
    rmt_auto_fd source = act_open(stage, what->name);
    tree_lab_set_source(lab, source);
    what->make(source);
    tree_lab_settle();
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    rmt_archive_report_t report;
    archive_lab_export(lab, &root, "head", &report);
    for (way_t way = GNU_TAR; way < WAY_COUNT; way++)
        lost_out[way] = s_lost(lab, what, way, &root);
    const uint64_t counted =
        report.projects + report.flags + report.marks + report.reserved + report.hints;
    assert_int_equal(counted > 0, strcmp(lost_out[IMPORT], "-") != 0);
    tree_lab_destroy(&lab);
}

static void
s_run(void **state)
{
    static const char *const none[WAY_COUNT] = {"-", "-", "-"};
    const fidelity_case_t *what = *state;
    const char *const *wanted = none;
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcmp(s_rows[i].name, what->name) == 0)
            wanted = s_rows[i].lost;
    char *lost[WAY_COUNT];
    s_measure(what, lost);
    for (way_t way = GNU_TAR; way < WAY_COUNT; way++) {
        assert_string_equal(lost[way], wanted[way]);
        free(lost[way]);
    }
}

// The large ones only take long: tar walks each path from the top.
static const fidelity_case_t *
s_case(size_t index)
{
    for (size_t i = 0; i < LIST_COUNT; i++)
        for (size_t j = 0; j < s_lists[i]->count; j++)
            if (!s_lists[i]->items[j].is_large && index-- == 0)
                return &s_lists[i]->items[j];
    return NULL;
}

static size_t
s_count(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *p = text; (p = strstr(p, word)); p++)
        count++;
    return count;
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
    for (size_t i = 0; i < ROW_COUNT; i++) {
        rmt_auto_str row = rmt_text("\n| `%s` | %s | %s | %s | ", s_rows[i].name,
                                    s_rows[i].lost[GNU_TAR], s_rows[i].lost[BSDTAR],
                                    s_rows[i].lost[IMPORT]);
        if (!strstr(page, row))
            fail_msg("docs/fidelity.md lacks the row%s", row);
    }
    const char *section = strstr(page, "\n## Archives\n");
    assert_non_null(section);
    rmt_auto_str own = rmt_text("%.*s", (int) (strcspn(section + 5, "#") + 5), section);
    assert_int_equal(s_count(own, "\n| `"), ROW_COUNT);
}

int
main(int argc, char **argv)
{
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    struct CMUnitTest tests[128] = {
        {"the page lists what an archive loses", s_check_page, NULL, NULL, NULL}};
    size_t count = 1;
    const fidelity_case_t *what;
    for (; (what = s_case(count - 1)); count++) {
        assert_true(count < sizeof tests / sizeof tests[0]);
        tests[count] =
            (struct CMUnitTest){what->name, s_run, NULL, NULL, (void *) (uintptr_t) what};
    }
    return _cmocka_run_group_tests("export", tests, count, NULL, NULL);
}
