// Locations of scripts: what gets through, and what does not (M18 c).
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>
#include "facts/rmt_location.h"

static void
test_the_parts_of_a_location_are_told(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool is_ssh;
        const char *user, *host;
        unsigned port;
        const char *path;
    } rows[] = {
        {"https://host/a", false, "", "host", 0, "/a"},
        {"https://host.lan:8443/a/b.sh?x=1&y=%20", false, "", "host.lan", 8443,
         "/a/b.sh?x=1&y=%20"},
        {"https://10.0.0.1/a", false, "", "10.0.0.1", 0, "/a"},
        {"https://[fd00::1]:443/a", false, "", "fd00::1", 443, "/a"},
        {"ssh://host/srv/a.sh", true, "", "host", 0, "/srv/a.sh"},
        {"ssh://deploy@[fd00::1]/srv/a", true, "deploy", "fd00::1", 0, "/srv/a"},
        {"ssh://deploy@host:2222/srv/a", true, "deploy", "host", 2222, "/srv/a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_location_t location;
        rmt_error_t error = {0};
        if (rmt_location_parse(rows[i].text, &location, &error) == -1)
            fail_msg("%s", error.text);
        assert_int_equal(location.is_ssh, rows[i].is_ssh);
        assert_string_equal(location.user, rows[i].user);
        assert_string_equal(location.host, rows[i].host);
        assert_int_equal(location.port, rows[i].port);
        assert_string_equal(location.path, rows[i].path);
    }
}

static void
test_what_could_mean_something_else_is_refused(void **state)
{
    (void) state;
    char big[1200] = "https://host/";
    memset(big + 13, 'a', 1100);
    const char *const bad[] = {
        "",
        "http://host/a",
        "file:///etc/passwd",
        "HTTPS://host/a",
        "https://host",
        "https://host/",
        "https:///a",
        "https://-o/a",
        "https://user:secret@host/a",
        "https://host:0/a",
        "https://host:65536/a",
        "https://host:1x/a",
        "https://ho st/a",
        "https://host/a b",
        "https://host/a\nb",
        "https://host/a\"",
        "https://host/a\\b",
        "https://[::1/a",
        "https://[10.0.0.1]/a",
        "ssh://-oProxyCommand=x@host/a",
        "ssh://@host/a",
        "ssh://-oProxyCommand=x/a",
        "ssh://host/a*",
        "ssh://host/a;b",
        "ssh://host/$(a)",
        "ssh://host:x/a",
        big,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rmt_location_t location;
        rmt_error_t error = {0};
        if (rmt_location_parse(bad[i], &location, &error) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(error.code, RMT_E_USAGE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parts_of_a_location_are_told),
        cmocka_unit_test(test_what_could_mean_something_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
