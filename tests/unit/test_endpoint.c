// lib/facts: texts of hosts and ports.
#include "tools/rmt_test.h"

#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"

#include <string.h>

static void
test_host_and_port_are_parted(void **state)
{
    (void) state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {
        {"broker1:7702", "broker1", 7702},
        {"10.0.0.7:1", "10.0.0.7", 1},
        {"[fe80::1]:65535", "[fe80::1]", 65535},
        {"@:7710", "@", 7710},
        {"*:0", "*", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        char host[RMT_ENDPOINT_HOST_SIZE];
        uint16_t port = 0;
        RMT_OK(rmt_endpoint_split(rows[i].text, host, &port, &error));
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

static void
test_bad_addresses_are_refused(void **state)
{
    (void) state;
    static const char *const rows[] = {
        "",
        ":",
        "host",
        "host:",
        ":7700",
        "host:65536",
        "host:+1",
        "host: 1",
        "host:0x1",
        "fe80::1:7700",
        "[fe80::1:7700",
        "a b:1",
        "host;x:1",
        "-x:1",
        "host:12345678",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        char host[RMT_ENDPOINT_HOST_SIZE];
        uint16_t port = 0;
        RMT_FAILS(rmt_endpoint_split(rows[i], host, &port, &error), RMT_E_USAGE);
    }
}

static void
test_ports_of_a_broker_count_from_its_base(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str bare = rmt_endpoint_broker("b1", RMT_PORT_WORKERS, &error);
    assert_string_equal(bare, "b1:7702");
    rmt_auto_str based = rmt_endpoint_broker("[::1]:8800", RMT_PORT_CONSOLE, &error);
    assert_string_equal(based, "[::1]:8803");
    assert_null(rmt_endpoint_broker("b1:65533", RMT_PORT_EVENTS, &error));
    assert_null(rmt_endpoint_broker("b1:x", RMT_PORT_EVENTS, &error));
}

static void
test_at_means_the_broker_host(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str mine = rmt_endpoint_expand("@:7710", "10.1.2.3", &error);
    assert_string_equal(mine, "10.1.2.3:7710");
    rmt_auto_str other = rmt_endpoint_expand("10.9.9.9:7710", "10.1.2.3", &error);
    assert_string_equal(other, "10.9.9.9:7710");
    assert_null(rmt_endpoint_expand("@", "10.1.2.3", &error));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_and_port_are_parted),
        cmocka_unit_test(test_bad_addresses_are_refused),
        cmocka_unit_test(test_ports_of_a_broker_count_from_its_base),
        cmocka_unit_test(test_at_means_the_broker_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
