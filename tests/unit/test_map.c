// rmt_map: items of a list are found by their keys.
#include "tools/rmt_test.h"

#include "base/rmt_grow.h"
#include "base/rmt_map.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t *keys;
    size_t space;
    rmt_map_t map;
    size_t looks; // At keys, by has_key
} numbers_t;

static bool
s_has_key(const void *list, size_t number, const void *key)
{
    numbers_t *numbers = (numbers_t *) (uintptr_t) list;
    numbers->looks++;
    return numbers->keys[number] == *(const uint64_t *) key;
}

static size_t
s_find(const numbers_t *self, uint64_t key, uint32_t hash)
{
    return rmt_map_find(&self->map, hash, s_has_key, self, &key);
}

static void
s_add(numbers_t *self, uint64_t key, uint32_t hash)
{
    rmt_grow(&self->keys, &self->space, self->map.count + 1);
    self->keys[self->map.count] = key;
    rmt_map_add(&self->map, hash);
}

static void
s_end(numbers_t *self)
{
    rmt_map_clear(&self->map);
    free(self->keys);
}

static uint32_t
s_hash(uint64_t key)
{
    return (uint32_t) (key * 0x9e3779b97f4a7c15u >> 32);
}

static void
test_an_empty_map_has_nothing(void **state)
{
    (void) state;
    numbers_t numbers = {0};
    assert_true(s_find(&numbers, 7, 7) == RMT_MAP_NONE);
    rmt_map_empty(&numbers.map);
    assert_true(s_find(&numbers, 0, 0) == RMT_MAP_NONE);
    s_end(&numbers);
}

static void
test_items_are_found_by_number_while_the_map_grows(void **state)
{
    (void) state;
    numbers_t numbers = {0};
    for (uint64_t key = 0; key < 10000; key++) {
        s_add(&numbers, key, s_hash(key));
        assert_int_equal(s_find(&numbers, key / 2, s_hash(key / 2)), key / 2);
    }
    for (uint64_t key = 0; key < 10000; key++)
        assert_int_equal(s_find(&numbers, key, s_hash(key)), key);
    for (uint64_t key = 10000; key < 20000; key++)
        assert_true(s_find(&numbers, key, s_hash(key)) == RMT_MAP_NONE);
    s_end(&numbers);
}

// Cells that lie behind each other, and over the end of the table.
static void
test_keys_of_one_hash_are_told_apart(void **state)
{
    (void) state;
    static const uint32_t hashes[] = {0, UINT32_MAX, 255, 5};
    numbers_t numbers = {0};
    for (uint64_t key = 0; key < 400; key++)
        s_add(&numbers, key, hashes[key % 4]);
    for (uint64_t key = 0; key < 400; key++)
        assert_int_equal(s_find(&numbers, key, hashes[key % 4]), key);
    assert_true(s_find(&numbers, 400, 0) == RMT_MAP_NONE);
    assert_true(s_find(&numbers, 0, UINT32_MAX) == RMT_MAP_NONE);
    s_end(&numbers);
}

static void
test_items_of_other_hashes_are_not_looked_at(void **state)
{
    (void) state;
    numbers_t numbers = {0};
    for (uint64_t key = 0; key < 100; key++)
        s_add(&numbers, key, (uint32_t) key << 20); // All begin at the first cell
    numbers.looks = 0;
    assert_int_equal(s_find(&numbers, 99, 99u << 20), 99);
    assert_true(s_find(&numbers, 100, 100u << 20) == RMT_MAP_NONE);
    assert_int_equal(numbers.looks, 1);
    s_end(&numbers);
}

static void
test_an_emptied_map_begins_again(void **state)
{
    (void) state;
    numbers_t numbers = {0};
    for (uint64_t key = 0; key < 1000; key++)
        s_add(&numbers, key, s_hash(key));
    rmt_map_empty(&numbers.map);
    assert_true(s_find(&numbers, 500, s_hash(500)) == RMT_MAP_NONE);
    s_add(&numbers, 500, s_hash(500));
    assert_int_equal(s_find(&numbers, 500, s_hash(500)), 0);
    s_end(&numbers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_map_has_nothing),
        cmocka_unit_test(test_items_are_found_by_number_while_the_map_grows),
        cmocka_unit_test(test_keys_of_one_hash_are_told_apart),
        cmocka_unit_test(test_items_of_other_hashes_are_not_looked_at),
        cmocka_unit_test(test_an_emptied_map_begins_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
