// Which targets a user means.
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "console/bulk.h"
#include "console/confirm.h"
#include "console/select.h"

// r12-n08 to r12-n11 in two racks, and web.
static rmt_records_t *
s_known(void)
{
    rmt_records_t *known = rmt_records_new();
    for (unsigned i = 8; i <= 11; i++) {
        rmt_record_t *target = rmt_records_add(known);
        rmt_record_setf(target, "name", "r12-n%02u", i);
        rmt_record_set(target, "rack", i < 10 ? "left" : "right");
        rmt_record_set_u64(target, "pos", i);
        rmt_record_set(target, "tags", "db,old");
    }
    rmt_record_set(rmt_records_add(known), "name", "web");
    return known;
}

static char *
s_names(const rmt_records_t *chosen)
{
    char *text = rmt_text("%s", "");
    for (size_t i = 0; i < rmt_records_count(chosen); i++) {
        rmt_auto_str before = text;
        text = rmt_text("%s%s%s", before, i ? " " : "",
                        rmt_record_text(rmt_records_at(chosen, i), "target", "?"));
    }
    return text;
}

static void
test_m13_targets_are_named_one_by_one_by_range_or_by_label(void **state)
{
    (void) state;
    static const struct {
        const char *list, *names;
    } rows[] = {
        {"web", "web"},
        {"web,r12-n08", "web r12-n08"},
        {"r12-n[08-10]", "r12-n08 r12-n09 r12-n10"},
        {"rack=right", "r12-n10 r12-n11"},
        {"web rack=left r12-n[09-10]", "web r12-n08 r12-n09 r12-n10"}, // Each once
        // Within a part, conditions narrow what is named (U1).
        {"rack=right,pos=10", "r12-n10"},
        {"r12-n[08-11],rack=left", "r12-n08 r12-n09"},
        {"web rack=left,r12-n[09-10]", "web r12-n09"},
        {"rack=right, pos=10", "r12-n10"},
        {"rack=right,pos=10\nweb", "r12-n10 web"},
        {"rack!=left", "r12-n10 r12-n11 web"},
        {"rack=(left,middle),pos!=8", "r12-n09"},
        {"rack in (left, right),pos=[9-10]", "r12-n09 r12-n10"},
        {"rack not in (left,right)", "web"},
        {"tags=old", "r12-n08 r12-n09 r12-n10 r12-n11"}, // One of a list
        {"tags=(new,db),pos=8", "r12-n08"},
        {"tags!=old", "web"},
        {"pos>=10", "r12-n10 r12-n11"},
        {"pos<9,rack=left", "r12-n08"},
        {"held!=yes,pos=8", "r12-n08"}, // A field that nobody has now
    };
    rmt_auto(rmt_records) known = s_known();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) chosen = select_targets(rows[i].list, known, &error);
        print_message("%s\n", rows[i].list);
        RMT_OK(chosen);
        rmt_auto_str names = s_names(chosen);
        assert_string_equal(names, rows[i].names);
    }
}

// An empty list is never all of them, and a word with a mistake chooses nothing.
static void
test_m13_nothing_is_chosen_that_nobody_has_named(void **state)
{
    (void) state;
    static const struct {
        const char *list;
        rmt_code_t code;
    } rows[] = {
        {"", RMT_E_USAGE},
        {" , ,", RMT_E_USAGE},
        {"*", RMT_E_NOT_FOUND},
        {"all", RMT_E_NOT_FOUND},
        {"web,nobody", RMT_E_NOT_FOUND},
        {"rack=middle", RMT_E_NOT_FOUND},
        {"rack=", RMT_E_USAGE}, // The rack of web, and of all that have none
        {"shelf=", RMT_E_USAGE},
        {"rack=left,pos=10", RMT_E_NOT_FOUND}, // Each alone means two machines
        {"web,rack=left", RMT_E_NOT_FOUND},
        {"web rack=left,pos=10", RMT_E_NOT_FOUND}, // One part means nobody
        {"rack!left", RMT_E_USAGE},
        {"rack=(left", RMT_E_USAGE},
        {"rack=()", RMT_E_USAGE},
        {"rack!=", RMT_E_USAGE},
        {"=left", RMT_E_USAGE},
        {"Rack=left", RMT_E_USAGE},
        {"pos>", RMT_E_USAGE},
        // A field or a value that nobody can have would mean all by its !=.
        {"rak!=left", RMT_E_USAGE},
        {"web rakc=left", RMT_E_USAGE},
        {"position!=3", RMT_E_USAGE},
        {"rack!=(,)", RMT_E_USAGE},
        {"rack not in ( , , )", RMT_E_USAGE},
        {"pos!=[9-8]", RMT_E_USAGE},
        {"pos!=[8-", RMT_E_USAGE},
        {"pos!=(8,[x-9])", RMT_E_USAGE},
        {"pos!=[1-1000000000]", RMT_E_USAGE},
        {"rack!=left\t", RMT_E_USAGE},
        {"rack!=(left,\nright)", RMT_E_USAGE},
        {"rack!=\033[1m", RMT_E_USAGE},
        {"r12-n[10-12]", RMT_E_NOT_FOUND}, // There is no r12-n12
        {"r12-n[8-9]", RMT_E_NOT_FOUND},   // As many digits as are written
        {"r12-n[11-08]", RMT_E_USAGE},
        {"r12-n[08-]", RMT_E_USAGE},
        {"r12-n[]", RMT_E_USAGE},
        {"r12-n[08", RMT_E_USAGE},
        {"r12-n[0-999999999]", RMT_E_USAGE},
    };
    rmt_auto(rmt_records) known = s_known();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) chosen = select_targets(rows[i].list, known, &error);
        print_message("%s\n", rows[i].list);
        RMT_FAILS(chosen, rows[i].code);
    }
}

// A list of one is counted too when a number is given; what keeps machines out of jobs
// asks nothing.
static void
test_m13_a_list_is_confirmed_by_its_number(void **state)
{
    (void) state;
    static const struct {
        const char *list, *given;
        bool is_right;
    } rows[] = {
        {"web", NULL, true},         {"web", "1", true},
        {"web", "2", false},         {"rack=left", "1", false},
        {"rack=left", "2", true},    {"rack=left", "02", false},
        {"r12-n[08-11]", "4", true}, {"r12-n[08-11]", "40", false},
    };
    static const command_t set = {.noun = "target", .verb = "set"};
    rmt_auto(rmt_records) known = s_known();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        call_t call = {.command = &set, .options = rmt_record_new()};
        if (rows[i].given)
            rmt_record_set(call.options, "count", rows[i].given);
        rmt_auto(rmt_records) chosen = select_targets(rows[i].list, known, &error);
        print_message("%s %s\n", rows[i].list, rows[i].given ? rows[i].given : "");
        assert_int_equal(confirm_count(&call, chosen, &error), rows[i].is_right ? 0 : -1);
        assert_int_equal(error.code, rows[i].is_right ? RMT_E_OK : RMT_E_USAGE);
        rmt_record_destroy(&call.options);
    }
    static const char *const asked[] = {"set", "approve", "unhold", "remove", "break"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        assert_true(bulk_needs_count(asked[i]));
    assert_false(bulk_needs_count("hold"));
    assert_false(bulk_needs_count("protect"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m13_targets_are_named_one_by_one_by_range_or_by_label),
        cmocka_unit_test(test_m13_nothing_is_chosen_that_nobody_has_named),
        cmocka_unit_test(test_m13_a_list_is_confirmed_by_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
