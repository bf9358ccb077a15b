// What an engine lets no record do, whichever broker it comes from (T1, [4.69]).
#include "tools/rmt_test.h"

#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "power/rmt_power.h"

static bool
s_go_on(void *context)
{
    (void) context;
    return true;
}

// The words of a record never become options of the engine's program, nor another path of
// a BMC.
static void
test_words_that_no_record_can_have_are_refused(void **state)
{
    (void) state;
    static const struct {
        const char *name, *way, *field, *text;
    } rows[] = {
        {"--help", "exec", "power-boot", "uefi"},
        {"x1;reboot", "exec", "power-boot", "uefi"},
        {"x1", "redfish", "power-system", "../AccountService"},
        {"x1", "redfish", "power-system", "1?only"},
        {"x1", "ipmi", "power-user", "-Nothing"},
        {"x1", "ipmi", "power-address", "-h"},
        {"x1", "ipmi", "power-address", "../10.0.0.1"},
    };
    char folder[] = "/tmp/ramet-power.XXXXXX";
    assert_non_null(mkdtemp(folder));
    rmt_error_t error = {0};
    rmt_auto_str program = rmt_text("%s/program", folder);
    static const char text[] = "#!/bin/sh\n: >\"$0.ran\"\necho on\n";
    RMT_OK(rmt_io_save(program, text, sizeof text - 1, 0700, &error));
    const rmt_power_config_t config = {.secrets = folder,
                                       .program = program,
                                       .broadcast = "",
                                       .ca = "",
                                       .timeout_ms = 5000};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_power_end_t end;
        rmt_auto(rmt_record) target = rmt_record_new();
        rmt_record_set(target, "name", rows[i].name);
        rmt_record_set(target, "power", rows[i].way);
        rmt_record_set(target, "power-address", "10.0.0.1");
        rmt_record_set(target, "power-user", "ramet");
        rmt_record_set(target, rows[i].field, rows[i].text);
        RMT_FAILS(
            rmt_power_do(&config, target, RMT_POWER_STATUS, s_go_on, NULL, &end, &error),
            RMT_E_USAGE);
    }
    rmt_auto_str ran = rmt_text("%s.ran", program);
    assert_int_equal(access(ran, F_OK), -1);
    assert_int_equal(unlink(program), 0);
    assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_that_no_record_can_have_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
