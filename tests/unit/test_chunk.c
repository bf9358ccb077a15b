#include "tools/rmt_test.h"
#include <stdlib.h>
#include <string.h>

#include "store/rmt_chunk.h"

typedef struct {
    uint8_t plain[RMT_CHUNK_PLAIN_MAX], back[RMT_CHUNK_PLAIN_MAX];
    uint8_t room[RMT_CHUNK_STORED_MAX];
} s_bytes_t;

static int
s_setup(void **state)
{
    *state = calloc(1, sizeof(s_bytes_t));
    return *state ? 0 : -1;
}

static int
s_teardown(void **state)
{
    free(*state);
    return 0;
}

static void
s_fill_random(uint8_t *data, size_t size)
{
    uint64_t x = 88172645463325252;
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t) (x >> 32);
    }
}

static void
s_fill_text(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t) "the same words again and again, "[i % 32];
}

static void
test_all_sizes_come_back_as_they_were(void **state)
{
    s_bytes_t *bytes = *state;
    static const size_t sizes[] = {1, 2, 12, 13, 100, 4096, 65536, RMT_CHUNK_PLAIN_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int kind = 0; kind < 2; kind++) {
            (kind ? s_fill_text : s_fill_random)(bytes->plain, sizes[i]);
            rmt_chunk_t chunk;
            rmt_chunk_make(&chunk, bytes->plain, sizes[i], bytes->room);
            rmt_error_t error = {0};
            memset(bytes->back, 0xee, sizes[i]);
            RMT_OK(rmt_chunk_open(&chunk, bytes->back, &error));
            assert_memory_equal(bytes->plain, bytes->back, sizes[i]);
        }
    }
}

static void
test_bytes_that_do_not_shrink_are_raw(void **state)
{
    s_bytes_t *bytes = *state;
    s_fill_random(bytes->plain, 100000);
    rmt_chunk_t chunk;
    rmt_chunk_make(&chunk, bytes->plain, 100000, bytes->room);
    assert_int_equal(chunk.codec, RMT_CODEC_RAW);
    assert_int_equal(chunk.size, 100000);
    assert_ptr_equal(chunk.data, bytes->plain);
}

// [2.5]: A gain of 2 % is left; one of 4 % is taken.
static void
test_a_gain_under_three_percent_is_not_taken(void **state)
{
    s_bytes_t *bytes = *state;
    rmt_chunk_t chunk;
    s_fill_random(bytes->plain, 100000);
    memset(bytes->plain, 0, 2000);
    rmt_chunk_make(&chunk, bytes->plain, 100000, bytes->room);
    assert_int_equal(chunk.codec, RMT_CODEC_RAW);
    memset(bytes->plain, 0, 4500);
    rmt_chunk_make(&chunk, bytes->plain, 100000, bytes->room);
    assert_int_equal(chunk.codec, RMT_CODEC_LZ4);
    assert_true(chunk.size <= 97000);
}

static void
test_the_name_is_the_sha256_of_the_plain_bytes(void **state)
{
    s_bytes_t *bytes = *state;
    rmt_chunk_t chunk;
    char text[RMT_ID_TEXT_SIZE];
    rmt_chunk_make(&chunk, "ramet", 5, bytes->room);
    assert_string_equal(
        rmt_id_text(&chunk.id, text),
        "01e8662242585293da5d60854bfb05e24677f00419e9bd9aef7845f83b6aa7ad86");
}

// P14 [2.6]: what is delivered is right, or is not delivered.
static void
test_a_flipped_bit_gives_the_right_bytes_or_none(void **state)
{
    s_bytes_t *bytes = *state;
    for (int kind = 0; kind < 2; kind++) {
        (kind ? s_fill_text : s_fill_random)(bytes->plain, 200);
        rmt_chunk_t chunk;
        rmt_chunk_make(&chunk, bytes->plain, 200, bytes->room);
        uint8_t stored[512];
        memcpy(stored, chunk.data, chunk.size);
        chunk.data = stored;
        for (size_t bit = 0; bit < (size_t) chunk.size * 8; bit++) {
            stored[bit / 8] ^= (uint8_t) (1 << bit % 8);
            rmt_error_t error = {0};
            // Another match of an LZ4 block can give the same bytes; that is right as
            // well.
            if (rmt_chunk_open(&chunk, bytes->back, &error) == 0)
                assert_true(kind == 1 && memcmp(bytes->back, bytes->plain, 200) == 0);
            else
                assert_int_equal(error.code, RMT_E_CORRUPT);
            stored[bit / 8] ^= (uint8_t) (1 << bit % 8);
        }
        chunk.id.bytes[5] ^= 1;
        rmt_error_t error = {0};
        RMT_FAILS(rmt_chunk_open(&chunk, bytes->back, &error), RMT_E_CORRUPT);
    }
}

static void
test_wrong_sizes_and_codecs_are_refused(void **state)
{
    s_bytes_t *bytes = *state;
    s_fill_text(bytes->plain, 1000);
    rmt_chunk_t good;
    rmt_chunk_make(&good, bytes->plain, 1000, bytes->room);
    rmt_chunk_t bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].plain_size = 0;
    bad[1].plain_size = (uint32_t) RMT_CHUNK_PLAIN_MAX + 1;
    bad[2].size = 0;
    bad[3].size = (uint32_t) RMT_CHUNK_STORED_MAX + 1;
    bad[4].codec = 2;
    bad[5].codec = RMT_CODEC_RAW;
    bad[6].plain_size = 999;
    bad[7].plain_size = 1001;
    for (size_t i = 0; i < 8; i++) {
        rmt_error_t error = {0};
        RMT_FAILS(rmt_chunk_open(&bad[i], bytes->back, &error), RMT_E_CORRUPT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sizes_come_back_as_they_were),
        cmocka_unit_test(test_bytes_that_do_not_shrink_are_raw),
        cmocka_unit_test(test_a_gain_under_three_percent_is_not_taken),
        cmocka_unit_test(test_the_name_is_the_sha256_of_the_plain_bytes),
        cmocka_unit_test(test_a_flipped_bit_gives_the_right_bytes_or_none),
        cmocka_unit_test(test_wrong_sizes_and_codecs_are_refused),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
