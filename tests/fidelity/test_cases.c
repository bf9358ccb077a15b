// Each tree of the cases is imaged on each file system that can hold it and written to
// each other: nothing may differ, or the refusal must name what and where (M3, P9).
//
//     test_fidelity_cases                       all of them
//     test_fidelity_cases --list                their numbers and names
//     test_fidelity_cases NAME                  one of them
//     test_fidelity_cases --corpus FOLDER FROM TO    make below FOLDER, which is on a
//     FROM,
//                                               those of moderate size that a TO can hold
#include "act.h"
#include "cases.h"
#include "tools/tree_lab.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const fidelity_cases_t *const s_lists[] = {&cases_names, &cases_contents,
                                                  &cases_attributes};
#define LIST_COUNT (sizeof s_lists / sizeof s_lists[0])

typedef struct {
    const fidelity_case_t *what;
    stage_fs_t from, to;
    char name[160];
} s_run_t;

static int
s_folder(int root, const s_run_t *run)
{
    char name[160];
    snprintf(name, sizeof name, "%s-%s-%s", run->what->name, stage_name(run->from),
             stage_name(run->to));
    act_folder(root, name);
    return act_open(root, name);
}

static void
s_expect_refusal(tree_lab_t *lab, const rmt_id_t *root, const s_run_t *run)
{
    rmt_error_t error = {0};
    rmt_writer_report_t report;
    const int result = tree_lab_try_write(lab, root, &report, &error);
    if (result == 0)
        fail_msg("%s was taken by %s", run->what->name, stage_name(run->to));
    if (!strstr(error.text, run->what->words) ||
        !strstr(error.text, stage_name(run->to)) || !strchr(error.text, '/'))
        fail_msg("the refusal says: %s", error.text);
}

static void
s_run(void **state)
{
    const s_run_t *run = *state;
    tree_lab_t *lab = tree_lab_new();
    const int source = s_folder(stage_source(run->from), run);
    const int copy = s_folder(stage_copy(run->to), run);
    tree_lab_set_source(lab, source);
    tree_lab_set_copy(lab, copy);
    run->what->make(source);
    tree_lab_settle();
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    assert_int_equal(tree_lab_report(lab)->unreadable_count, 0);
    assert_int_equal(tree_lab_report(lab)->fuzzy_count, 0);
    if (run->what->refused & (1u << run->to)) {
        s_expect_refusal(lab, &root, run);
    } else {
        tree_lab_write(lab, &root);
        rmt_auto_str trees = tree_lab_compare(lab, NULL, NULL);
        rmt_auto_str manifest = tree_lab_compare(lab, &root, NULL);
        assert_string_equal(trees, "");
        assert_string_equal(manifest, "");
        if (run->what->check)
            run->what->check(copy);
    }
    tree_lab_destroy(&lab);
    close(source);
    close(copy);
}

static int
s_test(const char *only)
{
    size_t room = 0, count = 0;
    for (size_t i = 0; i < LIST_COUNT; i++)
        room += s_lists[i]->count * STAGE_COUNT * STAGE_COUNT;
    s_run_t *runs = calloc(room, sizeof *runs);
    struct CMUnitTest *tests = calloc(room, sizeof *tests);
    assert_true(runs && tests);
    for (size_t i = 0; i < LIST_COUNT; i++)
        for (size_t j = 0; j < s_lists[i]->count; j++)
            for (unsigned pair = 0; pair < STAGE_COUNT * STAGE_COUNT; pair++) {
                const fidelity_case_t *what = &s_lists[i]->items[j];
                s_run_t *run = &runs[count];
                *run = (s_run_t){what, pair / STAGE_COUNT, pair % STAGE_COUNT, ""};
                const bool is_next = (run->from + 1) % STAGE_COUNT == run->to;
                if ((what->is_large && !is_next) ||
                    (what->sources && !(what->sources & (1u << run->from))) ||
                    (only && strcmp(only, what->name) != 0))
                    continue;
                snprintf(run->name, sizeof run->name, "%s, %s to %s", what->name,
                         stage_name(run->from), stage_name(run->to));
                tests[count++] = (struct CMUnitTest){run->name, s_run, NULL, NULL, run};
            }
    const int failed = _cmocka_run_group_tests("fidelity", tests, count, NULL, NULL);
    free(runs);
    free(tests);
    return failed;
}

static int
s_list(void)
{
    for (size_t i = 0; i < LIST_COUNT; i++)
        for (size_t j = 0; j < s_lists[i]->count; j++)
            printf("%u %s\n", s_lists[i]->items[j].number, s_lists[i]->items[j].name);
    return 0;
}

static stage_fs_t
s_find_fs(const char *name)
{
    stage_fs_t fs = 0;
    while (fs < STAGE_COUNT && strcmp(stage_name(fs), name) != 0)
        fs++;
    return fs;
}

static int
s_corpus(const char *folder, const char *from_name, const char *to_name)
{
    const int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const stage_fs_t from = s_find_fs(from_name), to = s_find_fs(to_name);
    if (root == -1 || from == STAGE_COUNT || to == STAGE_COUNT)
        return EXIT_FAILURE;
    for (size_t i = 0; i < LIST_COUNT; i++)
        for (size_t j = 0; j < s_lists[i]->count; j++) {
            const fidelity_case_t *what = &s_lists[i]->items[j];
            if ((what->sources && !(what->sources & (1u << from))) || what->is_large ||
                what->refused & (1u << to))
                continue;
            act_folder(root, what->name);
            const int at = act_open(root, what->name);
            what->make(at);
            close(at);
        }
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return s_list();
    if (argc == 5 && strcmp(argv[1], "--corpus") == 0)
        return s_corpus(argv[2], argv[3], argv[4]);
    return s_test(argc == 2 ? argv[1] : NULL);
}
