// lib/base: records and lists of records.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_record.h"

#include <stdio.h>
#include <string.h>

static void
test_a_value_that_is_set_again_keeps_its_place(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "a", "1");
    rmt_record_set(record, "b", "2");
    rmt_record_setf(record, "a", "%d-%s", 3, "x");
    assert_int_equal(rmt_record_count(record), 2);
    assert_string_equal(rmt_record_name_at(record, 0), "a");
    assert_string_equal(rmt_record_text(record, "a", "-"), "3-x");
}

static void
test_a_record_may_be_set_from_its_own_value(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "a", "value");
    rmt_record_set(record, "a", rmt_record_text(record, "a", NULL));
    assert_string_equal(rmt_record_text(record, "a", NULL), "value");
}

static void
test_room_that_was_foreseen_can_be_outgrown(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new_sized(2, 4);
    rmt_record_set(record, "a", "1");
    rmt_record_set(record, "a", rmt_record_text(record, "a", NULL));
    for (unsigned i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        rmt_record_setf(record, name, "a value of some length, number %u", i);
    }
    rmt_record_remove(record, "n0");
    assert_int_equal(rmt_record_count(record), 50);
    assert_string_equal(rmt_record_text(record, "a", NULL), "1");
    assert_string_equal(rmt_record_text(record, "n49", NULL),
                        "a value of some length, number 49");
    assert_null(rmt_record_text(record, "n0", NULL));
}

static void
test_a_foreign_field_is_added_once_and_only_with_a_good_name(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new();
    char longest[65] = "";
    memset(longest, 'x', 64);
    assert_true(rmt_record_add(record, "a", "1", 1));
    assert_false(rmt_record_add(record, "a", "2", 1));
    assert_false(rmt_record_add(record, "", "2", 1));
    assert_false(rmt_record_add(record, "A", "2", 1));
    assert_false(rmt_record_add(record, "a b", "2", 1));
    assert_false(rmt_record_add(record, longest, "2", 1));
    assert_true(rmt_record_add(record, longest + 1, NULL, 0));
    assert_true(rmt_record_add(record, "aa", "3", 1));
    assert_int_equal(rmt_record_count(record), 3);
    assert_string_equal(rmt_record_text(record, "a", NULL), "1");
}

static void
test_equal_looks_at_fields_in_any_order(void **state)
{
    (void) state;
    rmt_auto(rmt_record) a = rmt_record_new();
    rmt_auto(rmt_record) b = rmt_record_new();
    rmt_record_set(a, "x", "1");
    rmt_record_put(a, "y", "\0", 1);
    rmt_record_put(b, "y", "\0", 1);
    assert_false(rmt_record_equal(a, b));
    rmt_record_set(b, "x", "1");
    assert_true(rmt_record_equal(a, b));
    rmt_record_put(b, "y", "\0", 0);
    assert_false(rmt_record_equal(a, b));
}

static void
test_a_copy_is_a_record_of_its_own(void **state)
{
    (void) state;
    rmt_auto(rmt_record) a = rmt_record_new();
    rmt_record_set(a, "x", "1");
    rmt_auto(rmt_record) b = rmt_record_dup(a);
    assert_true(rmt_record_equal(a, b));
    rmt_record_set(b, "x", "2");
    assert_string_equal(rmt_record_text(a, "x", NULL), "1");
}

static void
test_merging_sets_what_the_other_has(void **state)
{
    (void) state;
    rmt_auto(rmt_record) a = rmt_record_new();
    rmt_auto(rmt_record) b = rmt_record_new();
    rmt_record_set(a, "kept", "1");
    rmt_record_set(a, "both", "1");
    rmt_record_set(b, "both", "2");
    rmt_record_set(b, "new", "2");
    rmt_record_merge(a, b);
    assert_int_equal(rmt_record_count(a), 3);
    assert_string_equal(rmt_record_text(a, "kept", NULL), "1");
    assert_string_equal(rmt_record_text(a, "both", NULL), "2");
    assert_string_equal(rmt_record_text(a, "new", NULL), "2");
}

static void
test_text_with_a_nul_in_it_is_no_text(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_put(record, "a", "x\0y", 3);
    assert_string_equal(rmt_record_text(record, "a", "missing"), "missing");
    size_t size = 0;
    assert_memory_equal(rmt_record_get(record, "a", &size), "x\0y",
                        4); // And a NUL after it
    assert_int_equal(size, 3);
}

static void
test_a_list_owns_and_finds_its_records(void **state)
{
    (void) state;
    rmt_auto(rmt_records) list = rmt_records_new();
    for (unsigned i = 0; i < 1000; i++)
        rmt_record_setf(rmt_records_add(list), "name", "n%u", i);
    rmt_record_t *last = rmt_record_new();
    rmt_record_set(last, "name", "n7");
    rmt_records_append(list, &last);
    assert_null(last);
    assert_int_equal(rmt_records_count(list), 1001);
    assert_ptr_equal(rmt_records_find(list, "name", "n7"), rmt_records_at(list, 7));
    assert_null(rmt_records_find(list, "name", "n1000"));
    rmt_auto(rmt_records) copy = rmt_records_dup(list);
    assert_int_equal(rmt_records_count(copy), 1001);
    assert_true(rmt_record_equal(rmt_records_at(copy, 999), rmt_records_at(list, 999)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_that_is_set_again_keeps_its_place),
        cmocka_unit_test(test_a_record_may_be_set_from_its_own_value),
        cmocka_unit_test(test_room_that_was_foreseen_can_be_outgrown),
        cmocka_unit_test(test_a_foreign_field_is_added_once_and_only_with_a_good_name),
        cmocka_unit_test(test_equal_looks_at_fields_in_any_order),
        cmocka_unit_test(test_a_copy_is_a_record_of_its_own),
        cmocka_unit_test(test_merging_sets_what_the_other_has),
        cmocka_unit_test(test_text_with_a_nul_in_it_is_no_text),
        cmocka_unit_test(test_a_list_owns_and_finds_its_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
