// What counts as one peer where keys do not tell peers apart. P17.
#include "tools/rmt_test.h"

#include "net/rmt_origin.h"

// [4.35]: the computer behind an IPv6 address has all addresses of its /64.
static void
test_an_ipv6_peer_is_its_64_bits(void **state)
{
    (void) state;
    static const struct {
        const char *address, *network;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"},
        {"2001:db8:1:3::1", "2001:db8:1:3::/64"},
        {"2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222::/64"},
        {"fe80::1%eth0", "fe80::/64"},
        {"::1", "::/64"},
        {"", ""},
        {"elsewhere", "elsewhere"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char network[RMT_ADDRESS_SIZE];
        assert_string_equal(rmt_origin_network(rows[i].address, network),
                            rows[i].network);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ipv6_peer_is_its_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
