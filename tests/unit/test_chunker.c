// Cuts are a part of the format: docs/spec/2-store.md, section 2.
#include "tools/rmt_test.h"
#include <stdlib.h>
#include <string.h>

#include "store/rmt_chunker.h"

static uint64_t
s_splitmix(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// The stream of the specification's test vectors: outputs as little-endian bytes.
static uint8_t *
s_stream(uint64_t seed, size_t size)
{
    uint8_t *data = malloc(size + 8);
    assert_non_null(data);
    for (size_t at = 0; at < size; at += 8) {
        const uint64_t word = s_splitmix(&seed);
        for (unsigned i = 0; i < 8; i++)
            data[at + i] = (uint8_t) (word >> (8 * i));
    }
    return data;
}

// The rule of the specification, written in the plainest way.
static size_t
s_cut_by_the_book(const rmt_cut_t *cut, const uint8_t *data, size_t size)
{
    uint64_t gear[256], state = 0x72616d65742d6731, hash = 0;
    for (size_t i = 0; i < 256; i++)
        gear[i] = s_splitmix(&state);
    int bits = 0;
    while (1u << bits < cut->average)
        bits++;
    for (size_t at = cut->min - 64; at < size && at < cut->max; at++) {
        hash = (hash << 1) + gear[data[at]];
        const int zeros = at < cut->average ? bits + 2 : bits - 2;
        if (at >= cut->min && hash >> (64 - zeros) == 0)
            return at + 1;
    }
    return size < cut->max ? size : cut->max;
}

// [2.4]: another program cuts the same way.
static void
test_cuts_are_those_of_the_vectors(void **state)
{
    (void) state;
    static const size_t expected[] = {194520, 223523, 176661, 168628,
                                      138810, 137544, 172944, 201610};
    uint8_t *data = s_stream(1, 4 << 20);
    size_t at = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const size_t size = rmt_chunker_cut(&RMT_CUT_FILE, data + at, (4 << 20) - at);
        assert_int_equal(size, expected[i]);
        at += size;
    }
    free(data);
}

static void
test_manifest_cuts_are_those_of_the_vectors(void **state)
{
    (void) state;
    static const size_t expected[] = {15927, 4334, 4072, 7564, 8950, 15567, 9138, 9928};
    uint8_t *data = s_stream(2, 1 << 20);
    size_t at = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const size_t size = rmt_chunker_cut(&RMT_CUT_MANIFEST, data + at, (1 << 20) - at);
        assert_int_equal(size, expected[i]);
        at += size;
    }
    free(data);
}

// [2.4]: the test has the rule a second time.
static void
test_cuts_follow_the_rule(void **state)
{
    (void) state;
    const rmt_cut_t *const cuts[] = {&RMT_CUT_FILE, &RMT_CUT_MANIFEST};
    const size_t size = 6 << 20;
    for (size_t i = 0; i < 2; i++) {
        uint8_t *data = s_stream(40 + i, size);
        for (size_t at = 0; at < size;) {
            const size_t found = rmt_chunker_cut(cuts[i], data + at, size - at);
            assert_int_equal(found, s_cut_by_the_book(cuts[i], data + at, size - at));
            at += found;
        }
        free(data);
    }
}

static void
test_sizes_stay_within_limits(void **state)
{
    (void) state;
    const size_t size = 16 << 20;
    uint8_t *data = s_stream(3, size);
    size_t count = 0;
    for (size_t at = 0; at < size; count++) {
        const size_t found = rmt_chunker_cut(&RMT_CUT_FILE, data + at, size - at);
        assert_true(found <= RMT_CUT_FILE.max);
        assert_true(found > RMT_CUT_FILE.min || at + found == size);
        at += found;
    }
    // The average is near what it is called.
    assert_in_range(size / count, 110 << 10, 180 << 10);
    free(data);
}

static void
test_zeros_are_cut_at_the_maximum(void **state)
{
    (void) state;
    uint8_t *data = calloc(1, 3 << 20);
    assert_int_equal(rmt_chunker_cut(&RMT_CUT_FILE, data, 3 << 20), RMT_CUT_FILE.max);
    free(data);
}

static void
test_short_data_is_one_chunk(void **state)
{
    (void) state;
    const uint8_t data[100] = {1};
    assert_int_equal(rmt_chunker_cut(&RMT_CUT_FILE, data, 1), 1);
    assert_int_equal(rmt_chunker_cut(&RMT_CUT_MANIFEST, data, 100), 100);
    assert_int_equal(rmt_chunker_cut(&RMT_CUT_FILE, data, 0), 0);
}

// Bytes put in at the front move all others; the cuts must move with them.
static void
test_cuts_come_back_after_an_insertion(void **state)
{
    (void) state;
    const size_t size = 8 << 20, shift = 777;
    uint8_t *data = s_stream(5, size);
    uint8_t *moved = malloc(size + shift);
    memset(moved, 0x5a, shift);
    memcpy(moved + shift, data, size);
    size_t common = 0, a = 0, b = 0, total = 0;
    while (a < size && b < size + shift) {
        if (a + shift == b) {
            common++;
        }
        if (a + shift <= b) {
            a += rmt_chunker_cut(&RMT_CUT_FILE, data + a, size - a);
            total++;
        } else {
            b += rmt_chunker_cut(&RMT_CUT_FILE, moved + b, size + shift - b);
        }
    }
    assert_true(common + 8 >= total);
    free(data);
    free(moved);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_are_those_of_the_vectors),
        cmocka_unit_test(test_manifest_cuts_are_those_of_the_vectors),
        cmocka_unit_test(test_cuts_follow_the_rule),
        cmocka_unit_test(test_sizes_stay_within_limits),
        cmocka_unit_test(test_zeros_are_cut_at_the_maximum),
        cmocka_unit_test(test_short_data_is_one_chunk),
        cmocka_unit_test(test_cuts_come_back_after_an_insertion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
