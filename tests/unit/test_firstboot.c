// The first boot on the installed system: scripts run once, each with its time, whatever
// happens in between (M18, M25); nothing of it stays behind.
#include "tools/rmt_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/firstboot/leave.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_personal.h"
#include "agent/firstboot/scripts.h"

static char s_root[64];

static void
s_put(const char *path, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_str full = rmt_text("%s/%s", s_root, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    RMT_OK(rmt_io_save(full, text, strlen(text), 0700, &error));
}

static bool
s_is_there(const char *path)
{
    rmt_auto_str full = rmt_text("%s/%s", s_root, path);
    struct stat info;
    return lstat(full, &info) == 0;
}

static void
s_expect(const char *path, const char *wanted)
{
    rmt_error_t error = {0};
    rmt_auto_str full = rmt_text("%s/%s", s_root, path);
    rmt_auto_ptr data = NULL;
    size_t size;
    if (rmt_io_load(full, 100000, &data, &size, &error) == -1)
        fail_msg("%s", error.text);
    assert_string_equal(data, wanted);
}

static int
s_setup(void **state)
{
    (void) state;
    strcpy(s_root, "/tmp/ramet-firstboot-XXXXXX");
    return mkdtemp(s_root) ? 0 : -1;
}

static int
s_teardown(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    return rmt_io_remove_tree(s_root, &error);
}

static rmt_records_t *
s_run(void)
{
    rmt_error_t error = {0};
    rmt_auto_str folder = rmt_text("%s/scripts", s_root);
    rmt_auto_str table = rmt_text("%s/limits", s_root);
    rmt_auto_str state = rmt_text("%s/state", s_root);
    rmt_auto_str log = rmt_text("%s/log", s_root);
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
    rmt_auto_str order = rmt_text("#!/bin/sh\necho $0 >>%s/order\n", s_root);
    rmt_auto_str two =
        rmt_text("%secho \"$RAMET_TARGET $RAMET_IMAGE\"\necho last >&2\nexit 3\n", order);
    s_put("scripts/02-two", two);
    s_put("scripts/01-one", order);
    s_put("scripts/03-slow", "#!/bin/sh\necho begun\nsleep 30\n");
    s_put("scripts/04-none", "#!/no/such/shell\n");
    s_put("scripts/README", "no script");
    s_put("limits", "03-slow 1\n04-none junk\n");
    rmt_auto(rmt_records) outcomes = s_run();
    assert_int_equal(rmt_records_count(outcomes), 4);
    assert_string_equal(s_of(outcomes, 0, "script"), "01-one");
    assert_string_equal(s_of(outcomes, 0, "exit"), "0");
    assert_string_equal(s_of(outcomes, 1, "exit"), "3");
    assert_string_equal(s_of(outcomes, 1, "end"), "ended with status 3");
    assert_string_equal(s_of(outcomes, 1, "output"), "web-7 01aa\nlast");
    assert_string_equal(s_of(outcomes, 2, "end"), "was ended after 1 s");
    assert_string_equal(s_of(outcomes, 2, "output"), "begun");
    assert_memory_equal(s_of(outcomes, 3, "end"), "could not be run", 16);
    rmt_auto_str wanted =
        rmt_text("%s/scripts/01-one\n%s/scripts/02-two\n", s_root, s_root);
    s_expect("order", wanted);
    s_expect("log/02-two.log", "web-7 01aa\nlast\n");
}

static void
test_a_script_never_runs_twice(void **state)
{
    (void) state;
    rmt_auto_str one =
        rmt_text("#!/bin/sh\necho ran >>%s/runs\necho text\nexit 4\n", s_root);
    s_put("scripts/01-one", one);
    rmt_records_t *first = s_run();
    rmt_records_destroy(&first);
    rmt_auto(rmt_records) again = s_run(); // After a restart before the report
    assert_string_equal(s_of(again, 0, "exit"), "4");
    assert_string_equal(s_of(again, 0, "output"), "text");
    s_expect("runs", "ran\n");
}

static void
test_a_script_that_was_interrupted_is_reported_and_not_repeated(void **state)
{
    (void) state;
    rmt_auto_str one = rmt_text("#!/bin/sh\necho ran >>%s/runs\n", s_root);
    s_put("scripts/01-one", one);
    s_put("scripts/02-two", one);
    s_put("state/01-one.begun", "");
    rmt_auto(rmt_records) outcomes = s_run();
    assert_string_equal(s_of(outcomes, 0, "exit"), "-");
    assert_string_equal(s_of(outcomes, 0, "end"), "was interrupted by a restart");
    assert_string_equal(s_of(outcomes, 1, "exit"), "0");
    s_expect("runs", "ran\n");
}

static void
test_nothing_of_the_first_boot_stays_behind(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const char key[] = "/usr/lib/ramet/firstboot/key";
    s_put(key, "secret");
    s_put("usr/lib/ramet/firstboot/ramet-agent", "");
    s_put("usr/lib/ramet/firstboot/state/01-a.done", "");
    s_put("usr/lib/ramet/scripts/01-a", "");
    s_put("etc/inittab", "si::sysinit:/etc/init.d/rcS\n"
                         "::once:/etc/init.d/ramet-firstboot start\n# end\n");
    s_put("etc/init.d/rcS", "#!/bin/sh\nmount -a\n");
    for (const char *const *path = RMT_PERSONAL_STARTERS; *path; path++)
        s_put(*path, "");
    RMT_OK(rmt_leave_run(s_root, key, &error));
    assert_false(s_is_there("usr/lib/ramet"));
    for (const char *const *path = RMT_PERSONAL_STARTERS; *path; path++)
        assert_false(s_is_there(*path));
    s_expect("etc/inittab", "si::sysinit:/etc/init.d/rcS\n# end\n");
    s_expect("etc/init.d/rcS", "#!/bin/sh\nmount -a\n");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, s_setup, s_teardown)

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
