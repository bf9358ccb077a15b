// What an engine makes sure of before it orders: words that would fail on an erased disk
// stop the order instead (M18).
#include "tools/rmt_test.h"

#include <string.h>
#include "installer/addressing.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "facts/rmt_facts.h"

#define ONE "class=nic name=eth0 mac=52:54:00:00:00:01"
#define TWO ONE "\nclass=nic name=eth1 mac=52:54:00:00:00:02"
#define WELL 0

static const struct {
    const char *hardware, *target, *stack;
    rmt_code_t code;
    const char *text; // The MAC that is filled in, or a part of the error
} s_rows[] = {
    {ONE, "address=10.0.0.7/24", "networkd", WELL, "52:54:00:00:00:01"},
    {ONE, "", "networkd", WELL, "52:54:00:00:00:01"},
    {ONE, "address=10.0.0.7/24 interface=eth0", "networkd", WELL, ""},
    {ONE, "address=10.0.0.7/24 mac=52:54:00:00:00:09", "", WELL, "52:54:00:00:00:09"},
    {ONE, "net.data.mac=52:54:00:00:00:01 net.data.address=10.0.0.7/24", "", WELL, ""},
    {TWO, "", "networkd", WELL, ""},
    {TWO, "address=10.0.0.7/24", "networkd", RMT_E_USAGE, "52:54:00:00:00:02"},
    {TWO, "address=10.0.0.7/24 mac=52:54:00:00:00:02", "", WELL, "52:54:00:00:00:02"},
    {ONE, "address=10.0.0.7", "networkd", RMT_E_USAGE, "write 10.0.0.7/24"},
    {ONE, "hostname=-a", "networkd", RMT_E_USAGE, "hostname"},
    {ONE, "", "wicked", RMT_E_UNSUPPORTED, "wicked"},
    {ONE, "", "none", WELL, "52:54:00:00:00:01"},
    {ONE, "address=10.0.0.7/24", "none", RMT_E_UNSUPPORTED, "no network stack"},
};

static void
test_a_record_is_completed_or_refused_before_the_order(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str line = NULL;
        assert_true(asprintf(&line, "class=target name=n1 %s", s_rows[i].target) > 0);
        rmt_auto(rmt_records) targets = rmt_facts_parse(line, &error);
        rmt_auto(rmt_records) hardware = rmt_facts_parse(s_rows[i].hardware, &error);
        assert_true(targets && hardware);
        rmt_record_t *target = rmt_records_at(targets, 0);
        rmt_auto(zchunk) packed = rmt_codec_pack_records(hardware);
        rmt_record_put(target, "hardware", zchunk_data(packed), zchunk_size(packed));
        rmt_auto(rmt_record) os = rmt_record_new();
        if (*s_rows[i].stack)
            rmt_record_set(os, "network-stack", s_rows[i].stack);
        const int rc = installer_addressing_complete(target, os, &error);
        if (error.code != s_rows[i].code)
            fail_msg("%zu: %s: %s", i, rmt_code_name(error.code), error.text);
        if (rc == 0)
            assert_string_equal(rmt_record_text(target, "mac", ""), s_rows[i].text);
        else if (!strstr(error.text, s_rows[i].text))
            fail_msg("%zu: %s", i, error.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_completed_or_refused_before_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
