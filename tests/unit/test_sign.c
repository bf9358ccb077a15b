// lib/crypto: detached signatures.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_sign.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    char folder[32];
    char path[64];
    rmt_sign_key_t key;
} fixture_t;

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    strcpy(self->folder, "/tmp/ramet-sign-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    snprintf(self->path, sizeof self->path, "%s/k.key", self->folder);
    rmt_sign_key_new(&self->key);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    RMT_OK(rmt_io_remove_tree(self->folder, &error));
    free(self);
    return 0;
}

static void
test_any_changed_bit_is_noticed(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    uint8_t signature[RMT_SIGN_SIZE];
    uint8_t data[] = "warrant";
    rmt_sign_make(&self->key, data, sizeof data, signature);
    RMT_OK(rmt_sign_check(&self->key, data, sizeof data, signature, &error));
    for (size_t i = 0; i < 8 * sizeof data; i++) {
        data[i / 8] ^= (uint8_t) (1u << i % 8);
        RMT_FAILS(rmt_sign_check(&self->key, data, sizeof data, signature, &error),
                  RMT_E_NOT_ALLOWED);
        data[i / 8] ^= (uint8_t) (1u << i % 8);
    }
    for (size_t i = 0; i < 8 * sizeof signature; i++) {
        signature[i / 8] ^= (uint8_t) (1u << i % 8);
        RMT_FAILS(rmt_sign_check(&self->key, data, sizeof data, signature, &error),
                  RMT_E_NOT_ALLOWED);
        signature[i / 8] ^= (uint8_t) (1u << i % 8);
    }
    RMT_FAILS(rmt_sign_check(&self->key, data, sizeof data - 1, signature, &error),
              RMT_E_NOT_ALLOWED);
}

static void
test_another_key_does_not_fit(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_sign_key_t other;
    rmt_sign_key_new(&other);
    uint8_t signature[RMT_SIGN_SIZE];
    rmt_sign_make(&other, "", 0, signature);
    RMT_FAILS(rmt_sign_check(&self->key, "", 0, signature, &error), RMT_E_NOT_ALLOWED);
}

static void
test_a_signing_key_comes_back_from_its_file(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_sign_key_t key;
    struct stat status;
    RMT_OK(rmt_sign_key_save(&self->key, self->path, &error));
    assert_int_equal(stat(self->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    RMT_OK(rmt_sign_key_load(&key, self->path, &error));
    assert_memory_equal(&key, &self->key, sizeof key);
    RMT_OK(rmt_sign_key_save_public(&self->key, self->path, &error));
    RMT_OK(rmt_sign_key_load_public(&key, self->path, &error));
    assert_memory_equal(key.public_key, self->key.public_key, sizeof key.public_key);
    RMT_FAILS(rmt_sign_key_load(&key, self->path, &error), RMT_E_CONFIG); // Mode 0644
}

// P20 P23: who can exchange it chooses whose signatures a trust root asks for.
static void
test_a_public_signing_key_that_others_can_write_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    RMT_OK(rmt_sign_key_save_public(&self->key, self->path, &error));
    static const mode_t modes[] = {0644, 0444, 0600, 0664, 0646, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        rmt_sign_key_t key;
        error = (rmt_error_t){0};
        assert_int_equal(chmod(self->path, modes[i]), 0);
        const int rc = rmt_sign_key_load_public(&key, self->path, &error);
        assert_int_equal(rc, i < 3 ? 0 : -1);
        assert_int_equal(error.code, i < 3 ? RMT_E_OK : RMT_E_CONFIG);
        assert_true(i < 3 || strstr(error.text, "run: chmod go-w "));
    }
}

static void
test_halves_of_two_pairs_are_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_sign_key_t mixed, key;
    rmt_sign_key_new(&mixed);
    memcpy(mixed.public_key, self->key.public_key, sizeof mixed.public_key);
    RMT_OK(rmt_sign_key_save(&mixed, self->path, &error));
    RMT_FAILS(rmt_sign_key_load(&key, self->path, &error), RMT_E_CONFIG);
}

// What it signed would be refused everywhere.
static void
test_a_secret_key_of_which_a_bit_changed_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_sign_key_t key;
    for (size_t bit = 0; bit < 8 * sizeof key.secret_key; bit += 37) {
        rmt_sign_key_t damaged = self->key;
        damaged.secret_key[bit / 8] ^= (uint8_t) (1u << bit % 8);
        RMT_OK(rmt_sign_key_save(&damaged, self->path, &error));
        RMT_FAILS(rmt_sign_key_load(&key, self->path, &error), RMT_E_CONFIG);
    }
}

static void
test_broken_signing_key_files_are_refused(void **state)
{
    const fixture_t *self = *state;
    static const char *const bad[] = {"", "sign-public", "sign-public = \"00\"\n",
                                      "x\nsign-public = \n", "\n\n\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rmt_error_t error = {0};
        rmt_sign_key_t key;
        RMT_OK(rmt_io_save(self->path, bad[i], strlen(bad[i]), 0600, &error));
        RMT_FAILS(rmt_sign_key_load(&key, self->path, &error), RMT_E_CONFIG);
        RMT_FAILS(rmt_sign_key_load_public(&key, self->path, &error), RMT_E_CONFIG);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_any_changed_bit_is_noticed),
        CASE(test_another_key_does_not_fit),
        CASE(test_a_signing_key_comes_back_from_its_file),
        CASE(test_a_public_signing_key_that_others_can_write_is_refused),
        CASE(test_halves_of_two_pairs_are_refused),
        CASE(test_a_secret_key_of_which_a_bit_changed_is_refused),
        CASE(test_broken_signing_key_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
