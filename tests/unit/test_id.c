// lib/crypto: names of contents (P14).
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "crypto/rmt_id.h"

#include <stdlib.h>
#include <string.h>

static void
test_ids_are_those_of_fips_180(void **state)
{
    (void) state;
    static const struct {
        const char *data, *text;
    } rows[] = {
        {"", "01e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "01ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "01248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_id_t id;
        char text[RMT_ID_TEXT_SIZE];
        rmt_id_compute(&id, rows[i].data, strlen(rows[i].data));
        assert_string_equal(rmt_id_text(&id, text), rows[i].text);
    }
}

static void
test_a_digest_does_not_depend_on_the_pieces(void **state)
{
    (void) state;
    uint8_t data[300];
    rmt_random_bytes(data, sizeof data);
    rmt_id_t whole, pieces;
    rmt_id_compute(&whole, data, sizeof data);
    rmt_auto(rmt_digest) digest = rmt_digest_new();
    for (size_t step = 0; step < sizeof data; step += 7) {
        for (size_t at = 0; at < sizeof data; at += step + 1) {
            const size_t left = sizeof data - at;
            rmt_digest_update(digest, data + at, step + 1 < left ? step + 1 : left);
        }
        rmt_digest_finish(digest, &pieces); // And begins anew
        assert_true(rmt_id_equal(&whole, &pieces));
    }
}

static void
test_only_66_lower_case_digits_are_an_ids_text(void **state)
{
    (void) state;
    rmt_id_t id, back;
    char text[RMT_ID_TEXT_SIZE + 2] = "";
    rmt_id_compute(&id, "x", 1);
    rmt_error_t error = {0};
    RMT_OK(rmt_id_parse(&back, rmt_id_text(&id, text), &error));
    assert_int_equal(rmt_id_compare(&id, &back), 0);
    for (size_t i = 0; i < 66; i++) {
        const char kept = text[i];
        text[i] = 'G';
        RMT_FAILS(rmt_id_parse(&back, text, &error), RMT_E_USAGE);
        text[i] = kept;
    }
    strcat(text, "0");
    RMT_FAILS(rmt_id_parse(&back, text, &error), RMT_E_USAGE);
    text[65] = '\0';
    RMT_FAILS(rmt_id_parse(&back, text, &error), RMT_E_USAGE);
}

static void
test_ids_are_ordered_by_their_bytes(void **state)
{
    (void) state;
    const rmt_id_t low = {{1, 0x7f}}, high = {{1, 0x80}};
    assert_true(rmt_id_compare(&low, &high) < 0);
    assert_true(rmt_id_compare(&high, &low) > 0);
    assert_false(rmt_id_equal(&low, &high));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_those_of_fips_180),
        cmocka_unit_test(test_a_digest_does_not_depend_on_the_pieces),
        cmocka_unit_test(test_only_66_lower_case_digits_are_an_ids_text),
        cmocka_unit_test(test_ids_are_ordered_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
