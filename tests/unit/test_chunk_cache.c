// Chunks that a mounted image keeps: what leaves, and that the bound holds.
#include "tools/rmt_test.h"
#include "base/rmt_auto.h"
#include "mount/rmt_chunk_cache.h"

#define SIZE 1000
#define KEPT 150 // What one takes beside its bytes, at the most

static rmt_id_t
s_put(rmt_chunk_cache_t *cache, uint32_t seed, size_t size)
{
    uint8_t plain[SIZE * 3] = {0};
    memcpy(plain, &seed, sizeof seed);
    rmt_id_t id;
    rmt_id_compute(&id, plain, size);
    rmt_chunk_cache_put(cache, &id, plain, size);
    return id;
}

static void
test_what_was_put_is_given(void **state)
{
    (void) state;
    rmt_auto(rmt_chunk_cache) cache = rmt_chunk_cache_new((SIZE + KEPT) * 3);
    const rmt_id_t id = s_put(cache, 7, SIZE), other = s_put(cache, 8, SIZE - 1);
    size_t size = 0;
    uint32_t seed;
    const void *plain = rmt_chunk_cache_get(cache, &id, &size);
    assert_non_null(plain);
    memcpy(&seed, plain, sizeof seed);
    assert_int_equal(seed, 7);
    assert_int_equal(size, SIZE);
    assert_non_null(rmt_chunk_cache_get(cache, &other, &size));
    assert_int_equal(size, SIZE - 1);
}

static void
test_a_chunk_is_kept_once(void **state)
{
    (void) state;
    rmt_auto(rmt_chunk_cache) cache = rmt_chunk_cache_new((SIZE + KEPT) * 3);
    (void) s_put(cache, 7, SIZE);
    (void) s_put(cache, 7, SIZE);
    assert_in_range(rmt_chunk_cache_size(cache), SIZE, SIZE + KEPT);
}

static void
test_what_was_not_asked_for_longest_leaves(void **state)
{
    (void) state;
    rmt_auto(rmt_chunk_cache) cache = rmt_chunk_cache_new((SIZE + KEPT) * 3);
    const rmt_id_t a = s_put(cache, 1, SIZE), b = s_put(cache, 2, SIZE),
                   c = s_put(cache, 3, SIZE);
    size_t size;
    assert_non_null(rmt_chunk_cache_get(cache, &a, &size));
    assert_true(rmt_chunk_cache_has(cache, &b)); // Which keeps it no longer
    (void) s_put(cache, 4, SIZE);
    assert_true(rmt_chunk_cache_has(cache, &a));
    assert_false(rmt_chunk_cache_has(cache, &b));
    assert_true(rmt_chunk_cache_has(cache, &c));
    (void) s_put(cache, 5, SIZE * 2);
    assert_true(rmt_chunk_cache_size(cache) <= (SIZE + KEPT) * 3);
    assert_false(rmt_chunk_cache_has(cache, &c));
}

static void
test_the_bound_holds_whatever_comes(void **state)
{
    (void) state;
    rmt_auto(rmt_chunk_cache) cache = rmt_chunk_cache_new(SIZE * 100);
    for (uint32_t i = 0; i < 20000; i++) {
        const rmt_id_t id = s_put(cache, i, 4 + i * 7919 % (SIZE * 3 - 4));
        assert_true(rmt_chunk_cache_has(cache, &id));
        assert_true(rmt_chunk_cache_size(cache) <= SIZE * 100);
    }
    assert_true(rmt_chunk_cache_size(cache) > SIZE * 90);
}

// Chunks of a few bytes take more beside their bytes than in them.
static void
test_the_bound_holds_for_the_smallest(void **state)
{
    (void) state;
    rmt_auto(rmt_chunk_cache) cache = rmt_chunk_cache_new(SIZE * 100);
    size_t count = 0;
    rmt_id_t ids[20000];
    for (uint32_t i = 0; i < 20000; i++)
        ids[i] = s_put(cache, i, 4);
    for (uint32_t i = 0; i < 20000; i++)
        count += rmt_chunk_cache_has(cache, &ids[i]);
    assert_in_range(count, SIZE * 100 / (KEPT + 4), SIZE * 100 / 64);
}

static void
test_a_chunk_over_the_bound_is_not_kept(void **state)
{
    (void) state;
    rmt_auto(rmt_chunk_cache) cache = rmt_chunk_cache_new(SIZE + KEPT);
    const rmt_id_t small = s_put(cache, 1, SIZE), large = s_put(cache, 2, SIZE + KEPT);
    assert_true(rmt_chunk_cache_has(cache, &small));
    assert_false(rmt_chunk_cache_has(cache, &large));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_is_given),
        cmocka_unit_test(test_a_chunk_is_kept_once),
        cmocka_unit_test(test_what_was_not_asked_for_longest_leaves),
        cmocka_unit_test(test_the_bound_holds_whatever_comes),
        cmocka_unit_test(test_the_bound_holds_for_the_smallest),
        cmocka_unit_test(test_a_chunk_over_the_bound_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
