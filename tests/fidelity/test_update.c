// Each tree of the cases is made into the next one and back: nothing may differ, what is
// the same stays the same inode, and so it is after an end in the middle (M34, P9).
#include "act.h"
#include "cases.h"
#include "tools/tree_lab.h"
#include "tree/rmt_converge.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const fidelity_cases_t *const s_lists[] = {&cases_names, &cases_contents,
                                                  &cases_attributes};
#define LIST_COUNT (sizeof s_lists / sizeof s_lists[0])
#define CASES_MAX 128

typedef struct {
    tree_lab_t *lab;
    stage_fs_t fs;
    rmt_id_t roots[CASES_MAX];
    const char *names[CASES_MAX];
    size_t count;
} s_bench_t;

static int
s_update(s_bench_t *bench, const rmt_id_t *root, rmt_converge_report_t *done_out,
         rmt_error_t *error)
{
    const rmt_converge_options_t options = {.root = root,
                                            .source = tree_lab_get,
                                            .source_context = bench->lab,
                                            .tree_fd = tree_lab_copy(bench->lab)};
    rmt_auto(rmt_converge) converge = rmt_converge_new(&options, error);
    return converge
               ? rmt_converge_run(converge, tree_lab_get, bench->lab, done_out, error)
               : -1;
}

static void
s_capture_cases(s_bench_t *bench)
{
    for (size_t i = 0; i < LIST_COUNT; i++)
        for (size_t j = 0; j < s_lists[i]->count; j++) {
            const fidelity_case_t *what = &s_lists[i]->items[j];
            if ((what->sources && !(what->sources & (1u << bench->fs))) ||
                what->refused & (1u << bench->fs) || what->is_large)
                continue;
            char name[160];
            snprintf(name, sizeof name, "update-%s", what->name);
            act_folder(stage_source(bench->fs), name);
            const int source = act_open(stage_source(bench->fs), name);
            what->make(source);
            tree_lab_set_source(bench->lab, source);
            tree_lab_settle();
            assert_true(bench->count < CASES_MAX);
            bench->names[bench->count] = what->name;
            bench->roots[bench->count++] = tree_lab_capture(bench->lab, 2, NULL);
            close(source);
        }
}

static bool
s_folds(const rmt_error_t *error)
{
    return error->code == RMT_E_UNSUPPORTED && strstr(error->text, "names of any case");
}

// A second run has nothing to do. Returns false for the one change that is refused.
static bool
s_step(s_bench_t *bench, size_t to)
{
    rmt_error_t error = {0};
    rmt_converge_report_t done = {0};
    const int result = s_update(bench, &bench->roots[to], &done, &error);
    if (result == -1 && s_folds(&error))
        return false;
    if (result == -1)
        fail_msg("to %s: %s", bench->names[to], error.text);
    rmt_auto_str lines = tree_lab_compare(bench->lab, &bench->roots[to], NULL);
    if (*lines)
        fail_msg("to %s: %s", bench->names[to], lines);
    if (s_update(bench, &bench->roots[to], &done, &error) == -1)
        fail_msg("to %s again: %s", bench->names[to], error.text);
    if (done.made || done.changed || done.removed || done.size)
        fail_msg("to %s again: %llu made, %llu changed, %llu removed", bench->names[to],
                 (unsigned long long) done.made, (unsigned long long) done.changed,
                 (unsigned long long) done.removed);
    return true;
}

static void
s_run(void **state)
{
    const stage_fs_t *fs = *state;
    s_bench_t bench = {.lab = tree_lab_new(), .fs = *fs};
    s_capture_cases(&bench);
    act_folder(stage_copy(*fs), "update");
    const int copy = act_open(stage_copy(*fs), "update");
    tree_lab_set_copy(bench.lab, copy);
    size_t refused = 0;
    for (size_t i = 0; i + 1 < bench.count; i++) {
        refused += !s_step(&bench, i);
        refused += !s_step(&bench, i + 1);
        refused += !s_step(&bench, i);
    }
    assert_int_equal(refused, 0);
    tree_lab_destroy(&bench.lab);
    close(copy);
}

int
main(void)
{
    static stage_fs_t kinds[STAGE_COUNT];
    struct CMUnitTest tests[STAGE_COUNT];
    for (stage_fs_t fs = 0; fs < STAGE_COUNT; fs++) {
        kinds[fs] = fs;
        tests[fs] = (struct CMUnitTest){stage_name(fs), s_run, NULL, NULL, &kinds[fs]};
    }
    return _cmocka_run_group_tests("update", tests, STAGE_COUNT, NULL, NULL);
}
