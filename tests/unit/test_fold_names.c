// Many names in few words, and equal items as one.
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "console/fold.h"
#include "console/select.h"

#define NAMES_MAX 64

static void
test_names_become_ranges(void **state)
{
    (void) state;
    static const struct {
        const char *names, *text;
    } rows[] = {
        {"n1", "n1"},
        {"n1 n2 n3", "n[1-3]"},
        {"n3 n1 n2 web", "n[1-3],web"},
        {"n01 n02 n04", "n[01-02],n04"},
        {"n9 n10 n11", "n9,n[10-11]"}, // As many digits as are written
        {"r1-n1 r2-n1 r2-n2", "r1-n1,r2-n[1-2]"},
        {"a1b a2b a2c", "a[1-2]b,a2c"},
        {"web db", "db,web"},
        {"n1 n3 n5 n7 n9 n11 n13 n15 n17 n19", "n1,n3,n5,n7,n9,n11,n13,n15 and 2 more"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str copy = strdup(rows[i].names);
        const char *names[NAMES_MAX];
        size_t count = 0;
        char *rest = NULL;
        for (char *word = strtok_r(copy, " ", &rest); word;
             word = strtok_r(NULL, " ", &rest))
            names[count++] = word;
        rmt_auto_str text = fold_names(names, count, 28);
        assert_string_equal(text, rows[i].text);
    }
}

// What is printed can be given to --targets.
static void
test_folded_names_mean_the_same_machines(void **state)
{
    (void) state;
    rmt_auto(rmt_records) known = rmt_records_new();
    const char *names[NAMES_MAX];
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        rmt_record_t *target = rmt_records_add(known);
        rmt_record_setf(target, "name", i % 7 ? "r12-n%02u" : "web%u", i + 5);
    }
    for (size_t i = 0; i < NAMES_MAX; i++)
        names[i] = rmt_record_text(rmt_records_at(known, i), "name", "");
    rmt_auto_str text = fold_names(names, NAMES_MAX, 4096);
    rmt_error_t error = {0};
    rmt_auto(rmt_records) chosen = select_targets(text, known, &error);
    RMT_OK(chosen);
    assert_int_equal(rmt_records_count(chosen), NAMES_MAX);
}

static void
test_equal_reasons_are_told_once(void **state)
{
    (void) state;
    static const char *const columns[] = {"target", "fits", "reason", NULL};
    rmt_auto(rmt_records) items = rmt_records_new();
    for (unsigned i = 1; i <= 30; i++) {
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_setf(item, "target", "n%02u", i);
        rmt_record_set(item, "fits", i % 10 ? "no" : "yes");
        rmt_record_set(item, "reason", i % 10 ? "disk: too small" : "");
    }
    rmt_auto(rmt_records) folded = fold_items(items, "target", columns);
    assert_int_equal(rmt_records_count(folded), 4);
    assert_string_equal(rmt_record_text(rmt_records_at(folded, 0), "target", ""),
                        "27 machines: n[01-09],n[11-19],n[21-29]");
    // Three are not many.
    for (size_t i = 1; i < 4; i++) {
        rmt_auto_str name = rmt_text("n%zu", i * 10);
        assert_string_equal(rmt_record_text(rmt_records_at(folded, i), "target", ""),
                            name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_become_ranges),
        cmocka_unit_test(test_folded_names_mean_the_same_machines),
        cmocka_unit_test(test_equal_reasons_are_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
