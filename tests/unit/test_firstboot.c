// The first boot on the installed system: scripts run once, each with its time, whatever
// happens in between (M18, M25); nothing of it stays behind.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"

#include <string.h>
#include "agent/firstboot/leave.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_personal.h"
#include "agent/firstboot/scripts.h"

static rmt_records_t *
s_run(void)
{
    rmt_error_t error = {0};
    rmt_auto_str folder = rmt_text("%s/scripts", root_tree_path());
    rmt_auto_str table = rmt_text("%s/limits", root_tree_path());
    rmt_auto_str state = rmt_text("%s/state", root_tree_path());
    rmt_auto_str log = rmt_text("%s/log", root_tree_path());
    const rmt_scripts_t scripts = {.folder = folder,
                                   .table = table,
                                   .state = state,
                                   .log = log,
                                   .target = "web-7",
                                   .image = "01aa"};
    rmt_records_t *outcomes = rmt_scripts_run(&scripts, &error);
    RMT_OK(outcomes);
    return outcomes;
}

static const char *
s_of(const rmt_records_t *outcomes, size_t index, const char *field)
{
    return rmt_record_text(rmt_records_at(outcomes, index), field, "-");
}

static void
test_scripts_run_in_order_and_tell_how_they_ended(void **state)
{
    (void) state;
    rmt_auto_str order = rmt_text("#!/bin/sh\necho $0 >>%s/order\n", root_tree_path());
    rmt_auto_str two =
        rmt_text("%secho \"$RAMET_TARGET $RAMET_IMAGE\"\necho last >&2\nexit 3\n", order);
    root_tree_put("scripts/02-two", two);
    root_tree_put("scripts/01-one", order);
    root_tree_put("scripts/03-slow", "#!/bin/sh\necho begun\nsleep 30\n");
    root_tree_put("scripts/04-none", "#!/no/such/shell\n");
    root_tree_put("scripts/README", "no script");
    root_tree_put("limits", "03-slow 1\n04-none junk\n");
    rmt_auto(rmt_records) outcomes = s_run();
    assert_int_equal(rmt_records_count(outcomes), 4);
    assert_string_equal(s_of(outcomes, 0, "script"), "01-one");
    assert_string_equal(s_of(outcomes, 0, "exit"), "0");
    assert_string_equal(s_of(outcomes, 1, "exit"), "3");
    assert_string_equal(s_of(outcomes, 1, "end"), "ended with status 3");
    assert_string_equal(s_of(outcomes, 1, "output"), "web-7 01aa\nlast");
    assert_string_equal(s_of(outcomes, 2, "end"), "was ended after 1 s");
    assert_string_equal(s_of(outcomes, 2, "output"), "begun");
    assert_memory_equal(s_of(outcomes, 3, "end"), "could not start", 15);
    rmt_auto_str wanted = rmt_text("%s/scripts/01-one\n%s/scripts/02-two\n",
                                   root_tree_path(), root_tree_path());
    root_tree_expect("order", wanted);
    root_tree_expect("log/02-two.log", "web-7 01aa\nlast\n");
}

static void
test_a_script_never_runs_twice(void **state)
{
    (void) state;
    rmt_auto_str one =
        rmt_text("#!/bin/sh\necho ran >>%s/runs\necho text\nexit 4\n", root_tree_path());
    root_tree_put("scripts/01-one", one);
    rmt_records_t *first = s_run();
    rmt_records_destroy(&first);
    rmt_auto(rmt_records) again = s_run(); // After a restart before the report
    assert_string_equal(s_of(again, 0, "exit"), "4");
    assert_string_equal(s_of(again, 0, "output"), "text");
    root_tree_expect("runs", "ran\n");
}

static void
test_a_script_that_was_interrupted_is_reported_and_not_repeated(void **state)
{
    (void) state;
    rmt_auto_str one = rmt_text("#!/bin/sh\necho ran >>%s/runs\n", root_tree_path());
    root_tree_put("scripts/01-one", one);
    root_tree_put("scripts/02-two", one);
    root_tree_put("state/01-one.begun", "");
    rmt_auto(rmt_records) outcomes = s_run();
    assert_string_equal(s_of(outcomes, 0, "exit"), "-");
    assert_string_equal(s_of(outcomes, 0, "end"), "was interrupted by a restart");
    assert_string_equal(s_of(outcomes, 1, "exit"), "0");
    root_tree_expect("runs", "ran\n");
}

static void
test_nothing_of_the_first_boot_stays_behind(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const char key[] = "/usr/lib/ramet/firstboot/key";
    root_tree_put(key, "secret");
    root_tree_put("usr/lib/ramet/firstboot/ramet-agent", "");
    root_tree_put("usr/lib/ramet/firstboot/state/01-a.done", "");
    root_tree_put("usr/lib/ramet/scripts/01-a", "");
    root_tree_put("etc/inittab", "si::sysinit:/etc/init.d/rcS\n"
                                 "::once:/etc/init.d/ramet-firstboot start\n# end\n");
    root_tree_put("etc/init.d/rcS", "#!/bin/sh\nmount -a\n");
    for (const char *const *path = RMT_PERSONAL_STARTERS; *path; path++)
        root_tree_put(*path, "");
    RMT_OK(rmt_leave_run(root_tree_path(), key, &error));
    assert_false(root_tree_has("usr/lib/ramet"));
    for (const char *const *path = RMT_PERSONAL_STARTERS; *path; path++)
        assert_false(root_tree_has(*path));
    root_tree_expect("etc/inittab", "si::sysinit:/etc/init.d/rcS\n# end\n");
    root_tree_expect("etc/init.d/rcS", "#!/bin/sh\nmount -a\n");
}

#define CASE(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, root_tree_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_scripts_run_in_order_and_tell_how_they_ended),
        CASE(test_a_script_never_runs_twice),
        CASE(test_a_script_that_was_interrupted_is_reported_and_not_repeated),
        CASE(test_nothing_of_the_first_boot_stays_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
