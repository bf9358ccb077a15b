// console/records_file: lists of machines from CSV files (M1).
#include "tools/rmt_test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "console/output.h"

static rmt_records_t *
s_import(const char *text, size_t size, rmt_error_t *error)
{
    char folder[] = "/tmp/ramet-import-XXXXXX";
    assert_non_null(mkdtemp(folder));
    rmt_auto_str path = rmt_text("%s/list.csv", folder);
    assert_int_equal(rmt_io_save(path, text, size, 0600, error), 0);
    rmt_records_t *items = output_import(path, error);
    rmt_error_t second = {0};
    assert_int_equal(rmt_io_remove_tree(folder, &second), 0);
    return items;
}

static void
test_values_in_quotes_hold_commas_quotes_and_lines(void **state)
{
    (void) state;
    static const char text[] =
        "name,place\r\nn1,\"row 1, \"\"left\"\"\"\r\nn2,\"two\nlines\"\n";
    rmt_error_t error = {0};
    rmt_auto(rmt_records) items = s_import(text, strlen(text), &error);
    RMT_OK(items);
    assert_int_equal(rmt_records_count(items), 2);
    assert_string_equal(rmt_record_text(rmt_records_at(items, 0), "place", ""),
                        "row 1, \"left\"");
    assert_string_equal(rmt_record_text(rmt_records_at(items, 1), "place", ""),
                        "two\nlines");
}

// Each of these would be another list than the one that a person sees.
static void
test_lists_that_could_be_read_in_two_ways_are_refused(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t size;
    } rows[] = {
#define ROW(text) {text, sizeof text - 1}
        ROW("name\n\"n1\nn2\n"), ROW("name\n\"n1\"n2\n"), ROW("\"name\nn1\n"),
        ROW("name\nn1\n\0n2\n"), ROW("name\n\"n1\" \n"),  ROW("name,mac\nn1,\"\"\"\n"),
        ROW("name,mac\nn1\n"),   ROW("name\0"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) items = s_import(rows[i].text, rows[i].size, &error);
        RMT_FAILS(items, RMT_E_USAGE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_in_quotes_hold_commas_quotes_and_lines),
        cmocka_unit_test(test_lists_that_could_be_read_in_two_ways_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
