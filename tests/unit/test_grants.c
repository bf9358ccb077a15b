// Grants of a data port live by the time that is left of them.
#include "tools/rmt_test.h"

#include <czmq.h>
#include "base/rmt_auto.h"
#include "crypto/rmt_key.h"
#include "exchange/rmt_grants.h"

#define NOW_MS ((int64_t) 5000) // Of a holder that started 5 s ago

typedef struct {
    rmt_zap_t *zap;
    rmt_grants_t *grants;
    rmt_key_t key;
} farm_t;

static int
s_setup(void **state)
{
    farm_t *farm = zmalloc(sizeof *farm);
    rmt_error_t error = {0};
    farm->zap = rmt_zap_new(&error);
    RMT_OK(farm->zap);
    farm->grants = rmt_grants_new(farm->zap);
    RMT_OK(rmt_key_new(&farm->key, &error));
    *state = farm;
    return 0;
}

static int
s_teardown(void **state)
{
    farm_t *farm = *state;
    rmt_grants_destroy(&farm->grants);
    rmt_zap_destroy(&farm->zap);
    free(farm);
    return 0;
}

static void
s_add(farm_t *farm, const char *left_ms, int64_t now_ms)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) item = rmt_record_new();
    rmt_record_set(item, "op", "add");
    rmt_record_set(item, "key", farm->key.public_text);
    rmt_record_set(item, "left-ms", left_ms);
    RMT_OK(rmt_grants_apply(farm->grants, item, now_ms, &error));
}

// [1.60] P25: what travels is a length, so the holder's time of day does not matter.
static void
test_a_grant_lives_as_long_as_is_left_of_it(void **state)
{
    farm_t *farm = *state;
    const char *key = farm->key.public_text;
    s_add(farm, "1000", NOW_MS);
    assert_true(rmt_grants_knows(farm->grants, key, NOW_MS + 999));
    assert_false(rmt_grants_knows(farm->grants, key, NOW_MS + 1000));
    assert_false(rmt_grants_may_offer(farm->grants, key, NOW_MS + 1000));
}

static void
test_a_grant_in_use_goes_on(void **state)
{
    farm_t *farm = *state;
    const char *key = farm->key.public_text;
    s_add(farm, "1000", NOW_MS);
    assert_true(rmt_grants_may_offer(farm->grants, key, NOW_MS + 999));
    rmt_grants_expire(farm->grants, NOW_MS + 500000);
    assert_true(rmt_grants_may_offer(farm->grants, key, NOW_MS + 500000));
}

static void
test_a_grant_without_an_end_lives_until_it_is_dropped(void **state)
{
    farm_t *farm = *state;
    s_add(farm, "0", NOW_MS);
    assert_true(rmt_grants_knows(farm->grants, farm->key.public_text, INT64_MAX));
}

// A number that no clock can hold is cut, and does not end the grant at once.
static void
test_a_length_beyond_every_clock_is_cut(void **state)
{
    farm_t *farm = *state;
    s_add(farm, "18446744073709551615", NOW_MS);
    assert_true(rmt_grants_knows(farm->grants, farm->key.public_text, NOW_MS + 1));
    assert_false(rmt_grants_knows(farm->grants, farm->key.public_text, INT64_MAX));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_grant_lives_as_long_as_is_left_of_it),
        CASE(test_a_grant_in_use_goes_on),
        CASE(test_a_grant_without_an_end_lives_until_it_is_dropped),
        CASE(test_a_length_beyond_every_clock_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
