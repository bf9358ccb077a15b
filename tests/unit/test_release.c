// lib/trust: signatures of images and their release counters.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "trust/rmt_release.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    rmt_sign_key_t ada, bo, stranger;
    rmt_root_t *root; // Image keys: Ada, and Bo who is revoked
    rmt_id_t image;
} fixture_t;

static void
s_become(rmt_root_t **root_p, char *text_taken)
{
    rmt_auto_str text = text_taken;
    rmt_error_t error = {0};
    RMT_OK(text);
    rmt_root_destroy(root_p);
    RMT_OK(*root_p = rmt_root_read(text, strlen(text), &error));
}

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    rmt_error_t error = {0};
    char ada[RMT_SIGN_PUBLIC_TEXT_SIZE], bo[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_sign_key_new(&self->ada);
    rmt_sign_key_new(&self->bo);
    rmt_sign_key_new(&self->stranger);
    (void) rmt_sign_key_text(&self->ada, ada);
    (void) rmt_sign_key_text(&self->bo, bo);
    const rmt_root_role_t role = RMT_ROOT_ROLE_IMAGE;
    s_become(&self->root, rmt_root_draft("mill", 1, false, &error));
    s_become(&self->root, rmt_root_draft_add(self->root, role, ada, "Ada", &error));
    s_become(&self->root, rmt_root_draft_add(self->root, role, bo, "Bo", &error));
    s_become(&self->root, rmt_root_draft_remove(self->root, bo, &error));
    rmt_id_compute(&self->image, "image", 5);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    rmt_root_destroy(&self->root);
    free(self);
    return 0;
}

// The best release of a text for the fixture's image; 0 for none.
static uint64_t
s_best(const fixture_t *self, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) releases = rmt_releases_read(text, &error);
    RMT_OK(releases);
    rmt_release_t best = {.counter = 0};
    if (rmt_releases_best(releases, &self->image, self->root, &best))
        assert_string_equal(best.person, "Ada");
    return best.counter;
}

// [7.6]: the octets are fixed, so a signature that was made elsewhere is known.
static void
test_the_octets_that_are_signed_are_those_of_the_page(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    uint8_t octets[15 + 32 + 8] = "ramet-image-v1";
    memcpy(octets + 15, self->image.bytes + 1, 32);
    octets[53] = 0x12;
    octets[54] = 0x34;
    rmt_auto_str line = rmt_release_sign(&self->image, 0x1234, &self->ada);
    rmt_auto(rmt_records) releases = rmt_releases_read(line, &error);
    RMT_OK(releases);
    uint8_t signature[RMT_SIGN_SIZE];
    assert_true(rmt_sign_parse(
        signature, rmt_record_text(rmt_records_at(releases, 0), "signature", "")));
    RMT_OK(rmt_sign_check(&self->ada, octets, sizeof octets, signature, &error));
}

// [7.7]
static void
test_the_highest_true_counter_of_an_image_key_counts(void **state)
{
    const fixture_t *self = *state;
    rmt_auto_str first = rmt_release_sign(&self->image, 5, &self->ada);
    rmt_auto_str second = rmt_release_sign(&self->image, 7, &self->ada);
    rmt_auto_str revoked = rmt_release_sign(&self->image, 8, &self->bo);
    rmt_auto_str foreign = rmt_release_sign(&self->image, 9, &self->stranger);
    rmt_auto_str all = rmt_text("%s%s%s%s", first, foreign, second, revoked);
    assert_int_equal(s_best(self, all), 7);
    assert_int_equal(s_best(self, first), 5);
    assert_int_equal(s_best(self, foreign), 0);
    assert_int_equal(s_best(self, revoked), 0);
    assert_int_equal(s_best(self, ""), 0);
}

static void
test_a_signature_is_of_one_image_and_one_counter(void **state)
{
    const fixture_t *self = *state;
    rmt_id_t other;
    rmt_id_compute(&other, "another", 7);
    rmt_auto_str of_other = rmt_release_sign(&other, 5, &self->ada);
    assert_int_equal(s_best(self, of_other), 0);
    rmt_auto_str raised = rmt_release_sign(&self->image, 5, &self->ada);
    strstr(raised, "counter=")[8] = '9';
    assert_int_equal(s_best(self, raised), 0);
}

static void
test_another_form_of_a_signature_is_refused(void **state)
{
    const fixture_t *self = *state;
    static const char *const mended[] = {" counter=x ", " counter= ", " count=7 ",
                                         " counter=7 more=1 "};
    rmt_auto_str line = rmt_release_sign(&self->image, 7, &self->ada);
    char *at = strstr(line, " counter=7 ");
    for (size_t i = 0; i < sizeof mended / sizeof *mended; i++) {
        rmt_error_t error = {0};
        rmt_auto_str text = rmt_text("%.*s%s%s", (int) (at - line), line, mended[i],
                                     at + strlen(" counter=7 "));
        RMT_FAILS(rmt_releases_read(text, &error), RMT_E_USAGE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_octets_that_are_signed_are_those_of_the_page),
        cmocka_unit_test(test_the_highest_true_counter_of_an_image_key_counts),
        cmocka_unit_test(test_a_signature_is_of_one_image_and_one_counter),
        cmocka_unit_test(test_another_form_of_a_signature_is_refused),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
