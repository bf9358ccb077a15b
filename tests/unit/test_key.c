// lib/crypto: ids, key files, tokens (P18, C10.15).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_key.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void
test_an_id_is_the_sha256_of_its_bytes(void **state)
{
    (void) state;
    rmt_id_t id, streamed, parsed;
    char text[RMT_ID_TEXT_SIZE];
    rmt_error_t error = { 0 };
    rmt_id_compute(&id, "abc", 3); // Vector of FIPS 180-2
    assert_string_equal(rmt_id_text(&id, text),
                        "01ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    rmt_auto(rmt_digest) digest = rmt_digest_new();
    rmt_digest_update(digest, "a", 1);
    rmt_digest_update(digest, "bc", 2);
    rmt_digest_finish(digest, &streamed);
    assert_true(rmt_id_equal(&id, &streamed));
    assert_int_equal(rmt_id_parse(&parsed, text, &error), 0);
    assert_true(rmt_id_equal(&id, &parsed));
    text[1] = '2';
    assert_int_equal(rmt_id_parse(&parsed, text, &error), -1);
    text[5] = 'X';
    assert_int_equal(rmt_id_parse(&parsed, text, &error), -1);
}

typedef struct {
    char folder[32];
    char path[64];
    rmt_key_t key;
} fixture_t;

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    rmt_error_t error = { 0 };
    strcpy(self->folder, "/tmp/ramet-key-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    snprintf(self->path, sizeof self->path, "%s/k.key", self->folder);
    assert_int_equal(rmt_key_new(&self->key, &error), 0);
    assert_int_equal(rmt_key_save(&self->key, self->path, &error), 0);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    rmt_error_t error = { 0 };
    fixture_t *self = *state;
    assert_int_equal(rmt_io_remove_tree(self->folder, &error), 0);
    free(self);
    return 0;
}

static void
test_a_key_comes_back_from_its_file(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = { 0 };
    rmt_key_t key;
    assert_int_equal(rmt_key_load(&key, self->path, &error), 0);
    assert_memory_equal(&key, &self->key, sizeof key);
    assert_int_equal(rmt_key_load_public(&key, self->path, &error), 0);
    assert_string_equal(key.secret_text, "");
}

static void
test_a_key_file_that_others_can_read_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = { 0 };
    rmt_key_t key;
    assert_int_equal(chmod(self->path, 0644), 0);
    assert_int_equal(rmt_key_load(&key, self->path, &error), -1);
    assert_int_equal(error.code, RMT_E_CONFIG);
}

static void
test_a_key_file_behind_a_symlink_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = { 0 };
    rmt_key_t key;
    char link[80];
    snprintf(link, sizeof link, "%s/link", self->folder);
    assert_int_equal(symlink(self->path, link), 0);
    assert_int_equal(rmt_key_load(&key, link, &error), -1);
    assert_int_equal(error.code, RMT_E_CONFIG);
}

static void
test_a_broken_key_file_is_named(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = { 0 };
    rmt_key_t key;
    assert_int_equal(rmt_io_save(self->path, "public-key = \"short\"\n", 21, 0600, &error), 0);
    assert_int_equal(rmt_key_load(&key, self->path, &error), -1);
    assert_int_equal(error.code, RMT_E_CONFIG);
    assert_non_null(strstr(error.text, self->path));
}

static void
test_a_token_carries_the_brokers_key(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = { 0 };
    rmt_token_t token, back;
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_token_new(&token, self->key.public_text);
    assert_int_equal(rmt_token_parse(&back, rmt_token_text(&token, text), &error), 0);
    assert_memory_equal(&token, &back, sizeof token);
    for (size_t i = 0; i < strlen(text); i++) {
        const char kept = text[i];
        text[i] = '!';
        assert_int_equal(rmt_token_parse(&back, text, &error), -1);
        text[i] = kept;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_is_the_sha256_of_its_bytes),
        cmocka_unit_test_setup_teardown(test_a_key_comes_back_from_its_file, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_a_key_file_that_others_can_read_is_refused, s_setup,
                                        s_teardown),
        cmocka_unit_test_setup_teardown(test_a_key_file_behind_a_symlink_is_refused, s_setup,
                                        s_teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_key_file_is_named, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_a_token_carries_the_brokers_key, s_setup, s_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
