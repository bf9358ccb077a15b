// lib/trust: trust roots, their signatures and the step to the next version.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "trust/rmt_root.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    rmt_sign_key_t ada, bo, cy;
} keys_t;

static int
s_setup(void **state)
{
    keys_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    rmt_sign_key_new(&self->ada);
    rmt_sign_key_new(&self->bo);
    rmt_sign_key_new(&self->cy);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    free(*state);
    return 0;
}

static rmt_root_t *
s_read(char *text_taken)
{
    rmt_auto_str text = text_taken;
    rmt_error_t error = {0};
    rmt_root_t *root = NULL;
    RMT_OK(text);
    RMT_OK(root = rmt_root_read(text, strlen(text), &error));
    return root;
}

// Replace *root_p by what add, remove or sign made of it.
static void
s_become(rmt_root_t **root_p, char *text_taken)
{
    rmt_root_t *next = s_read(text_taken);
    rmt_root_destroy(root_p);
    *root_p = next;
}

static void
s_add(rmt_root_t **root_p, rmt_root_role_t role, const rmt_sign_key_t *key,
      const char *person)
{
    rmt_error_t error = {0};
    char text[RMT_SIGN_PUBLIC_TEXT_SIZE];
    s_become(root_p, rmt_root_draft_add(*root_p, role, rmt_sign_key_text(key, text),
                                        person, &error));
}

static void
s_sign(rmt_root_t **root_p, const rmt_sign_key_t *key)
{
    s_become(root_p, rmt_root_sign(*root_p, key));
}

// Version 1 of a farm in which two of Ada, Bo and Cy must sign, signed by the first two.
static rmt_root_t *
s_first(const keys_t *keys)
{
    rmt_error_t error = {0};
    rmt_root_t *root = s_read(rmt_root_draft("mill", 2, false, &error));
    s_add(&root, RMT_ROOT_ROLE_ROOT, &keys->ada, "Ada");
    s_add(&root, RMT_ROOT_ROLE_ROOT, &keys->bo, "Bo");
    s_add(&root, RMT_ROOT_ROLE_ROOT, &keys->cy, "Cy");
    s_add(&root, RMT_ROOT_ROLE_ORDER, &keys->cy, "Cy");
    s_sign(&root, &keys->ada);
    s_sign(&root, &keys->bo);
    return root;
}

// [7.1] [7.4]
static void
test_a_root_needs_its_threshold_of_different_keys(void **state)
{
    const keys_t *keys = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_root) root = s_read(rmt_root_draft("mill", 2, true, &error));
    s_add(&root, RMT_ROOT_ROLE_ROOT, &keys->ada, "Ada");
    s_add(&root, RMT_ROOT_ROLE_ROOT, &keys->bo, "Bo");
    s_add(&root, RMT_ROOT_ROLE_ORDER, &keys->cy, "Cy");
    RMT_FAILS(rmt_root_check(root, &error), RMT_E_NOT_ALLOWED);
    s_sign(&root, &keys->ada);
    s_sign(&root, &keys->ada);
    s_sign(&root, &keys->cy); // No root key
    RMT_FAILS(rmt_root_check(root, &error), RMT_E_NOT_ALLOWED);
    s_sign(&root, &keys->bo);
    RMT_OK(rmt_root_check(root, &error));
    assert_true(rmt_root_allows_unsigned(root));
    assert_int_equal(rmt_root_version(root), 1);
}

// [7.4]
static void
test_a_key_that_has_signed_twice_is_refused(void **state)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_root) root = s_first(*state);
    const char *text = rmt_root_text(root)->text;
    const char *last = strstr(text, "class=signature");
    rmt_auto_str twice = rmt_text("%s%s", text, last);
    RMT_FAILS(rmt_root_read(twice, strlen(twice), &error), RMT_E_USAGE);
}

// [7.1]: what is signed is every byte of the body.
static void
test_any_changed_byte_voids_the_signatures(void **state)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_root) root = s_first(*state);
    const rmt_signed_t *signed_text = rmt_root_text(root);
    RMT_OK(rmt_root_check(root, &error));
    size_t readable = 0;
    for (size_t i = 0; i < signed_text->body_size; i++) {
        rmt_auto_str changed = strdup(signed_text->text);
        changed[i] ^= 1;
        rmt_auto(rmt_root) other = rmt_root_read(changed, strlen(changed), &error);
        if (!other)
            continue;
        readable++;
        RMT_FAILS(rmt_root_check(other, &error), RMT_E_NOT_ALLOWED);
    }
    assert_true(readable > 100);
}

// [7.3]
static void
test_the_next_version_is_signed_by_the_old_and_the_new_keys(void **state)
{
    const keys_t *keys = *state;
    rmt_error_t error = {0};
    rmt_sign_key_t dan;
    rmt_sign_key_new(&dan);
    rmt_auto(rmt_root) first = s_first(keys);
    rmt_auto(rmt_root) next = s_first(keys);
    s_add(&next, RMT_ROOT_ROLE_ROOT, &dan, "Dan");
    assert_int_equal(rmt_root_version(next), 2);
    assert_int_equal(rmt_records_count(rmt_root_text(next)->signatures), 0);
    s_sign(&next, &dan);
    s_sign(&next, &keys->cy);
    RMT_OK(rmt_root_check(next, &error)); // Two of its own
    RMT_FAILS(rmt_root_check_next(first, next, &error), RMT_E_NOT_ALLOWED); // One of old
    s_sign(&next, &keys->ada);
    RMT_OK(rmt_root_check_next(first, next, &error));
    RMT_FAILS(rmt_root_check_next(next, first, &error), RMT_E_NOT_ALLOWED);
    RMT_FAILS(rmt_root_check_next(first, first, &error), RMT_E_NOT_ALLOWED);
}

// [7.3] P20: a key that the next version revokes cannot make it true.
static void
test_old_keys_alone_sign_no_next_version(void **state)
{
    const keys_t *keys = *state;
    rmt_error_t error = {0};
    char bo[RMT_SIGN_PUBLIC_TEXT_SIZE];
    (void) rmt_sign_key_text(&keys->bo, bo);
    rmt_auto(rmt_root) first = s_first(keys);
    rmt_auto(rmt_root) next = s_first(keys);
    s_become(&next, rmt_root_draft_remove(next, bo, &error));
    s_sign(&next, &keys->ada);
    s_sign(&next, &keys->bo);
    RMT_FAILS(rmt_root_check_next(first, next, &error), RMT_E_NOT_ALLOWED);
    s_sign(&next, &keys->cy);
    RMT_OK(rmt_root_check_next(first, next, &error));
}

// [7.5]
static void
test_a_revoked_key_counts_for_nothing(void **state)
{
    const keys_t *keys = *state;
    rmt_error_t error = {0};
    char cy[RMT_SIGN_PUBLIC_TEXT_SIZE];
    (void) rmt_sign_key_text(&keys->cy, cy);
    rmt_auto(rmt_root) root = s_first(keys);
    assert_string_equal(rmt_root_person(root, RMT_ROOT_ROLE_ORDER, cy), "Cy");
    assert_null(rmt_root_person(root, RMT_ROOT_ROLE_IMAGE, cy));
    s_become(&root, rmt_root_draft_remove(root, cy, &error));
    assert_null(rmt_root_person(root, RMT_ROOT_ROLE_ORDER, cy));
    assert_null(rmt_root_person(root, RMT_ROOT_ROLE_ROOT, cy));
    s_sign(&root, &keys->ada);
    s_sign(&root, &keys->cy);
    RMT_FAILS(rmt_root_check(root, &error), RMT_E_NOT_ALLOWED);
    RMT_FAILS(rmt_root_draft_add(root, RMT_ROOT_ROLE_IMAGE, cy, "Cy", &error),
              RMT_E_REFUSED);
    RMT_FAILS(rmt_root_draft_remove(root, cy, &error), RMT_E_NOT_FOUND);
}

// [7.5]: a text that was not made by ramet may keep the row of a key that it revokes.
static void
test_a_revoked_key_with_a_row_counts_for_nothing(void **state)
{
    const keys_t *keys = *state;
    rmt_error_t error = {0};
    char cy[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_auto(rmt_root) root = s_first(keys);
    const rmt_signed_t *first = rmt_root_text(root);
    rmt_auto_str text = rmt_text("%.*sclass=revoked key=%s\n", (int) first->body_size,
                                 first->text, rmt_sign_key_text(&keys->cy, cy));
    rmt_auto(rmt_root) both = rmt_root_read(text, strlen(text), &error);
    assert_non_null(both);
    assert_null(rmt_root_person(both, RMT_ROOT_ROLE_ORDER, cy));
}

// [7.2]
static void
test_what_is_not_known_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "class=root farm=mill version=1 threshold=1 unsigned-images=no",
        "class=root farm=mill version=0 threshold=1 unsigned-images=no\n",
        "class=root farm=mill version=1 threshold=0 unsigned-images=no\n",
        "class=root farm=mill version=1 threshold=65 unsigned-images=no\n",
        "class=root farm=mill version=1 threshold=1 unsigned-images=maybe\n",
        "class=root farm=\"a b\" version=1 threshold=1 unsigned-images=no\n",
        "class=root farm=mill version=1 threshold=1 unsigned-images=no until=9\n",
        "class=root farm=mill version=1 threshold=1\n",
        "class=root farm=mill version=1 threshold=1 unsigned-images=no\nclass=moon\n",
        "class=root farm=mill version=1 threshold=1 unsigned-images=no\n"
        "class=root farm=mill version=2 threshold=1 unsigned-images=yes\n",
        "class=root farm=mill version=1 threshold=1 unsigned-images=no\n"
        "class=key role=root key=00 name=Ada\n",
        "class=revoked key="
        "0000000000000000000000000000000000000000000000000000000000000000\n",
        "class=root farm=mill version=1 threshold=1 unsigned-images=no\n"
        "key=00 class=signature signature=00\n",
    };
    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rmt_error_t error = {0};
        RMT_FAILS(rmt_root_read(texts[i], strlen(texts[i]), &error), RMT_E_USAGE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_root_needs_its_threshold_of_different_keys),
        cmocka_unit_test(test_a_key_that_has_signed_twice_is_refused),
        cmocka_unit_test(test_any_changed_byte_voids_the_signatures),
        cmocka_unit_test(test_the_next_version_is_signed_by_the_old_and_the_new_keys),
        cmocka_unit_test(test_old_keys_alone_sign_no_next_version),
        cmocka_unit_test(test_a_revoked_key_counts_for_nothing),
        cmocka_unit_test(test_a_revoked_key_with_a_row_counts_for_nothing),
        cmocka_unit_test(test_what_is_not_known_is_refused),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
