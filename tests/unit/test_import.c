// console/records_file: lists of machines from CSV files (M1).
#include "tools/rmt_test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "console/output.h"

static const char *s_map; // Of --map

static rmt_records_t *
s_import(const char *text, size_t size, rmt_error_t *error)
{
    char folder[] = "/tmp/ramet-import-XXXXXX";
    assert_non_null(mkdtemp(folder));
    rmt_auto_str path = rmt_text("%s/list.csv", folder);
    assert_int_equal(rmt_io_save(path, text, size, 0600, error), 0);
    rmt_records_t *items = output_import(path, s_map, error);
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

// As Excel, LibreOffice and NetBox write them (U13).
static void
test_lists_of_other_programs_are_read(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "\xef\xbb\xbfName;Rack;IP Address\r\nn1;\"r;1\";10.0.0.1\r\n", // A mark,
                                                                       // semicolons
        "Name\tRack\tIP Address\nn1\tr;1\t10.0.0.1\n",
        "Name,Rack,IP Address,Tenant\nn1,r;1,10.0.0.1,acme\n",
        " name , RACK ,ip address\n\n\nn1,r;1,10.0.0.1\n\n",
    };
    s_map = "IP Address=address,Tenant=";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        print_message("%s", texts[i]);
        rmt_error_t error = {0};
        rmt_auto(rmt_records) items = s_import(texts[i], strlen(texts[i]), &error);
        RMT_OK(items);
        assert_int_equal(rmt_records_count(items), 1);
        const rmt_record_t *item = rmt_records_at(items, 0);
        assert_int_equal(rmt_record_count(item), 3);
        assert_string_equal(rmt_record_text(item, "name", ""), "n1");
        assert_string_equal(rmt_record_text(item, "rack", ""), "r;1");
        assert_string_equal(rmt_record_text(item, "address", ""), "10.0.0.1");
    }
    s_map = NULL;
}

static void
test_a_mistake_is_named_by_line_column_and_value(void **state)
{
    (void) state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"name,mac\nn1,\"a1\"b1\n", "line 2, column 2: the quotes of \"a1\""},
        {"name,place\nn1,\"two\nlines\"\nn2\n", "line 4 has 1 values, the header has 2"},
        {"name,Name\n", "line 1, column 2: the field name is there twice"},
        {"name,Größe\n", "--map 'Größe=FIELD'"},
        {"\xff\xfen\ta\n", "UTF-16"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) items =
            s_import(rows[i].text, strlen(rows[i].text), &error);
        RMT_FAILS(items, RMT_E_USAGE);
        print_message("%s\n", error.text);
        assert_non_null(strstr(error.text, rows[i].words));
    }
}

// What a list printed can be imported.
static void
test_fields_that_only_ramet_sets_are_left_out(void **state)
{
    (void) state;
    static const char text[] = "name,state,rack,since,image-name\nn1,free,r1,5,web\n";
    rmt_error_t error = {0};
    rmt_auto(rmt_records) items = s_import(text, strlen(text), &error);
    RMT_OK(items);
    assert_int_equal(rmt_record_count(rmt_records_at(items, 0)), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_in_quotes_hold_commas_quotes_and_lines),
        cmocka_unit_test(test_lists_that_could_be_read_in_two_ways_are_refused),
        cmocka_unit_test(test_lists_of_other_programs_are_read),
        cmocka_unit_test(test_a_mistake_is_named_by_line_column_and_value),
        cmocka_unit_test(test_fields_that_only_ramet_sets_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
