// Times as people write and read them.
#include "tools/rmt_test.h"

#include <time.h>
#include "base/rmt_clock.h"
#include "console/moment.h"

#define MOMENT_MS INT64_C(1796119200000) // 2026-12-01 10:00:00 UTC

static void
test_a_time_that_is_shown_can_be_read_back(void **state)
{
    (void) state;
    char text[MOMENT_TEXT_SIZE];
    static const char *const zones[] = {"UTC", "Asia/Tokyo", "America/New_York"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        setenv("TZ", zones[i], 1);
        tzset();
        for (int utc = 0; utc < 2; utc++) {
            rmt_error_t error = {0};
            int64_t read = 0;
            RMT_OK(moment_parse(moment_text(MOMENT_MS, utc, text), utc, &read, &error));
            assert_int_equal(read, MOMENT_MS);
        }
        assert_string_equal(text, "2026-12-01 10:00:00Z");
    }
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    assert_string_equal(moment_text(MOMENT_MS, false, text), "2026-12-01 19:00:00");
}

static void
test_a_span_has_two_of_its_unit_at_least(void **state)
{
    (void) state;
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {{-5, "0s"},      {0, "0s"},        {119, "119s"},   {120, "2m"},
                {7199, "119m"},  {7200, "2h"},     {172799, "47h"}, {172800, "2d"},
                {864000, "10d"}, {8640000, "100d"}};
    char text[MOMENT_TEXT_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(moment_span(rows[i].seconds * 1000, text), rows[i].text);
}

static void
test_times_are_dates_or_so_long_ago(void **state)
{
    (void) state;
    setenv("TZ", "UTC", 1);
    tzset();
    static const char *const right[] = {"2026-12-01T10:00:00Z", "2026-12-01 10:00",
                                        "2026-12-01T10:00"};
    static const char *const wrong[] = {
        "",   "yesterday",        "2026-13-01", "2026-12-01x",
        "2x", "2026-12-01 25:00", "-3h",        "3hh"};
    int64_t read = 0;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        rmt_error_t error = {0};
        RMT_OK(moment_parse(right[i], false, &read, &error));
        assert_int_equal(read, MOMENT_MS);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rmt_error_t error = {0};
        print_message("\"%s\"\n", wrong[i]);
        RMT_FAILS(moment_parse(wrong[i], false, &read, &error), RMT_E_USAGE);
    }
    rmt_error_t error = {0};
    RMT_OK(moment_parse("3d", false, &read, &error));
    const int64_t ago = rmt_clock_wall_ms() - read;
    assert_in_range(ago, INT64_C(3) * 86400000, INT64_C(3) * 86400000 + 60000);
}

static void
test_a_time_to_come_is_a_date_or_so_long_ahead(void **state)
{
    (void) state;
    static const char *const wrong[] = {"",     "2h",   "+",  "+2x",  "2020-01-01 10:00",
                                        "+-3h", "soon", "3d", "+1h 2"};
    unsigned seconds = 0;
    char text[MOMENT_TEXT_SIZE];
    setenv("TZ", "EAST-2", 1);
    tzset();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rmt_error_t error = {0};
        print_message("\"%s\"\n", wrong[i]);
        RMT_FAILS(moment_parse_ahead(wrong[i], false, &seconds, &error), RMT_E_USAGE);
    }
    rmt_error_t error = {0};
    RMT_OK(moment_parse_ahead("+90m", false, &seconds, &error));
    assert_int_equal(seconds, 5400);
    const int64_t then = rmt_clock_wall_ms() + INT64_C(7200000);
    for (int utc = 0; utc < 2; utc++) {
        moment_text(then, utc, text);
        RMT_OK(moment_parse_ahead(text, utc, &seconds, &error));
        assert_in_range(seconds, 7100, 7201);
    }
}

// A window is told in the zone that it was given in, and kept in UTC.
static void
test_a_window_is_a_part_of_each_day(void **state)
{
    (void) state;
    static const char *const wrong[] = {
        "", "22:00", "22:00-22:00", "22-04", "25:00-1:00", "22:00-04:00x", "22:00 04:00"};
    moment_window_t window;
    setenv("TZ", "EAST-2", 1);
    tzset();
    rmt_error_t error = {0};
    RMT_OK(moment_parse_window("22:00-04:30", false, &window, &error));
    assert_int_equal(window.from_s, 20 * 3600);
    assert_int_equal(window.length_s, 6 * 3600 + 1800);
    assert_string_equal(window.text, "22:00-04:30 EAST");
    RMT_OK(moment_parse_window("01:00-02:00", false, &window, &error));
    assert_int_equal(window.from_s, 23 * 3600);
    RMT_OK(moment_parse_window("22:00-04:00Z", false, &window, &error));
    assert_int_equal(window.from_s, 22 * 3600);
    assert_string_equal(window.text, "22:00-04:00 UTC");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        print_message("\"%s\"\n", wrong[i]);
        RMT_FAILS(moment_parse_window(wrong[i], false, &window, &error), RMT_E_USAGE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_time_that_is_shown_can_be_read_back),
        cmocka_unit_test(test_a_span_has_two_of_its_unit_at_least),
        cmocka_unit_test(test_times_are_dates_or_so_long_ago),
        cmocka_unit_test(test_a_time_to_come_is_a_date_or_so_long_ahead),
        cmocka_unit_test(test_a_window_is_a_part_of_each_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
