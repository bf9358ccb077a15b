// Redis functions: trust roots, as they are published and asked for.
#include "tools/rmt_test.h"

#include "integration/state_farm.h"

#define TWO "01bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void
test_versions_of_the_trust_root_follow_each_other(void **state)
{
    state_farm_t *farm = *state;
    REFUSED(RMT_E_NOT_FOUND, "trust_root", "", "", "");
    REFUSED(RMT_E_REFUSED, "trust_publish", "by=a", "version=2 id=" TWO " root=x", "");
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    OK("trust_publish", "by=a", "version=2 id=" TWO " root=two", "");
    OK("trust_root", "", "", "");
    assert_string_equal(state_farm_body(farm, "root"), "two");
    OK("trust_root", "", "version=1", "");
    assert_string_equal(state_farm_body(farm, "root"), "one");
    OK("trust_root", "", "id=" TWO, "");
    assert_string_equal(state_farm_body(farm, "version"), "2");
    REFUSED(RMT_E_NOT_FOUND, "trust_root", "", "version=3", "");
}

static void
test_a_published_version_gets_signatures_and_no_other_body(void **state)
{
    state_farm_t *farm = *state;
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one", "");
    REFUSED(RMT_E_EXISTS, "trust_publish", "by=a", "version=1 id=" TWO " root=x", "");
    OK("trust_publish", "by=a", "version=1 id=" IMAGE " root=one+", "");
    OK("trust_root", "", "", "");
    assert_string_equal(state_farm_body(farm, "root"), "one+");
    REFUSED(RMT_E_USAGE, "trust_publish", "by=a", "version=0 id=" TWO " root=x", "");
    REFUSED(RMT_E_USAGE, "trust_publish", "by=a", "version=2 id=two root=x", "");
    REFUSED(RMT_E_TOO_BIG, "trust_publish", "by=a", "version=2 id=" TWO, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_versions_of_the_trust_root_follow_each_other),
        CASE(test_a_published_version_gets_signatures_and_no_other_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
