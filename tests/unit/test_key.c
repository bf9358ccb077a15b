// lib/crypto: key files, tokens (P18).
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    char folder[32];
    char path[64];
    rmt_key_t key;
} fixture_t;

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    rmt_error_t error = {0};
    strcpy(self->folder, "/tmp/ramet-key-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    snprintf(self->path, sizeof self->path, "%s/k.key", self->folder);
    RMT_OK(rmt_key_new(&self->key, &error));
    RMT_OK(rmt_key_save(&self->key, self->path, &error));
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    rmt_error_t error = {0};
    fixture_t *self = *state;
    RMT_OK(rmt_io_remove_tree(self->folder, &error));
    free(self);
    return 0;
}

static void
test_a_key_comes_back_from_its_file(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_key_t key;
    RMT_OK(rmt_key_load(&key, self->path, &error));
    assert_memory_equal(&key, &self->key, sizeof key);
    RMT_OK(rmt_key_load_public(&key, self->path, &error));
    assert_string_equal(key.secret_text, "");
}

static void
test_a_key_file_that_others_can_read_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_key_t key;
    assert_int_equal(chmod(self->path, 0644), 0);
    RMT_FAILS(rmt_key_load(&key, self->path, &error), RMT_E_CONFIG);
}

static void
test_a_key_file_behind_a_symlink_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_key_t key;
    char link[80];
    snprintf(link, sizeof link, "%s/link", self->folder);
    assert_int_equal(symlink(self->path, link), 0);
    RMT_FAILS(rmt_key_load(&key, link, &error), RMT_E_CONFIG);
}

static void
test_a_broken_key_file_is_named(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_key_t key;
    RMT_OK(rmt_io_save(self->path, "public-key = \"short\"\n", 21, 0600, &error));
    RMT_FAILS(rmt_key_load(&key, self->path, &error), RMT_E_CONFIG);
    assert_non_null(strstr(error.text, self->path));
}

static void
test_no_bit_for_group_or_others_is_let_through(void **state)
{
    const fixture_t *self = *state;
    for (mode_t bit = 1; bit <= 040; bit <<= 1) {
        rmt_error_t error = {0};
        rmt_key_t key;
        assert_int_equal(chmod(self->path, 0600 | bit), 0);
        RMT_FAILS(rmt_key_load(&key, self->path, &error), RMT_E_CONFIG);
    }
}

static void
test_a_pair_is_saved_for_its_owner_alone(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    struct stat status;
    const mode_t mask = umask(0);
    RMT_OK(rmt_key_save(&self->key, self->path, &error));
    umask(mask);
    assert_int_equal(stat(self->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    RMT_OK(rmt_key_save_public(&self->key, self->path, &error));
    rmt_auto_ptr text = NULL;
    size_t size;
    RMT_OK(rmt_io_load(self->path, 1000, &text, &size, &error));
    assert_null(strstr(text, self->key.secret_text));
}

static void
test_a_fifo_or_folder_in_place_of_a_key_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_key_t key;
    assert_int_equal(unlink(self->path), 0);
    assert_int_equal(mkfifo(self->path, 0600), 0);
    RMT_FAILS(rmt_key_load(&key, self->path, &error), RMT_E_CONFIG);
    RMT_FAILS(rmt_key_load(&key, self->folder, &error), RMT_E_CONFIG);
    assert_int_equal(unlink(self->path), 0);
    RMT_FAILS(rmt_key_load(&key, self->path, &error), RMT_E_NOT_FOUND);
}

static void
test_a_key_file_of_somebody_else_is_refused(void **state)
{
    const fixture_t *self = *state;
    assert_int_equal(chown(self->path, 12345, 12345), 0); // Needs root
    rmt_error_t error = {0};
    rmt_key_t key;
    RMT_FAILS(rmt_key_load(&key, self->path, &error), RMT_E_CONFIG);
}

// Who can write the file of an admin's public key is an admin.
static void
test_a_public_key_that_others_can_write_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    RMT_OK(rmt_key_save_public(&self->key, self->path, &error));
    static const mode_t modes[] = {0644, 0444, 0600, 0664, 0646, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        rmt_key_t key;
        error = (rmt_error_t){0};
        assert_int_equal(chmod(self->path, modes[i]), 0);
        const int rc = rmt_key_load_public(&key, self->path, &error);
        assert_int_equal(rc, i < 3 ? 0 : -1);
        assert_int_equal(error.code, i < 3 ? RMT_E_OK : RMT_E_CONFIG);
        assert_true(i < 3 || strstr(error.text, "run: chmod go-w "));
    }
}

// P23
static void
test_a_token_file_is_kept_like_a_key(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_auto_str word = rmt_token_find("R1.word", &error);
    assert_string_equal(word, "R1.word");
    RMT_OK(rmt_io_save(self->path, "R1.file\nmore\n", 13, 0600, &error));
    rmt_auto_str text = rmt_token_find(self->path, &error);
    assert_string_equal(text, "R1.file");
    assert_int_equal(chmod(self->path, 0644), 0);
    RMT_FAILS(rmt_token_find(self->path, &error), RMT_E_CONFIG);
    assert_non_null(strstr(error.text, "run: chmod 600 "));
}

static void
test_only_40_characters_of_z85_are_a_key(void **state)
{
    const fixture_t *self = *state;
    char text[RMT_KEY_TEXT_SIZE + 1];
    strcpy(text, self->key.public_text);
    assert_true(rmt_key_is_valid(text));
    for (size_t i = 0; i < 40; i++) {
        const char kept = text[i];
        static const char bad[] = "\"'\\ ,;~\x7f\xe4";
        for (size_t k = 0; k < sizeof bad - 1; k++) {
            text[i] = bad[k];
            assert_false(rmt_key_is_valid(text));
        }
        text[i] = kept;
    }
    strcat(text, "0");
    assert_false(rmt_key_is_valid(text));
    text[39] = '\0';
    assert_false(rmt_key_is_valid(text));
}

static void
test_a_token_is_never_twice_the_same(void **state)
{
    const fixture_t *self = *state;
    rmt_token_t a, b;
    rmt_id_t hash_a, hash_b;
    rmt_token_new(&a, self->key.public_text);
    rmt_token_new(&b, self->key.public_text);
    assert_string_not_equal(a.secret, b.secret);
    rmt_token_hash(&a, &hash_a);
    rmt_token_hash(&b, &hash_b);
    assert_false(rmt_id_equal(&hash_a, &hash_b));
}

static void
test_cut_and_lengthened_tokens_are_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_token_t token, back;
    char text[RMT_TOKEN_TEXT_SIZE + 64];
    rmt_token_new(&token, self->key.public_text);
    rmt_token_text(&token, text);
    for (size_t size = 0; size < strlen(text); size++) {
        rmt_auto_str cut = strndup(text, size);
        RMT_FAILS(rmt_token_parse(&back, cut, &error), RMT_E_USAGE);
    }
    strcat(text, "a");
    RMT_FAILS(rmt_token_parse(&back, text, &error), RMT_E_USAGE);
    char longer[2 * RMT_TOKEN_TEXT_SIZE];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memcpy(longer, text, strlen(text));
    RMT_FAILS(rmt_token_parse(&back, longer, &error), RMT_E_USAGE);
    text[1] = '2';
    RMT_FAILS(rmt_token_parse(&back, text, &error), RMT_E_USAGE);
}

static void
test_a_token_carries_the_brokers_key(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_token_t token, back;
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_token_new(&token, self->key.public_text);
    RMT_OK(rmt_token_parse(&back, rmt_token_text(&token, text), &error));
    assert_memory_equal(&token, &back, sizeof token);
    for (size_t i = 0; i < strlen(text); i++) {
        const char kept = text[i];
        text[i] = '!';
        RMT_FAILS(rmt_token_parse(&back, text, &error), RMT_E_USAGE);
        text[i] = kept;
    }
}

// P18: one token has one text.
static void
test_a_token_has_lower_case_digits_alone(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_token_t token, back;
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_token_new(&token, self->key.public_text);
    rmt_token_text(&token, text);
    for (size_t i = 3; i < 3 + 64; i++) {
        const char kept = text[i];
        text[i] = 'A';
        RMT_FAILS(rmt_token_parse(&back, text, &error), RMT_E_USAGE);
        text[i] = 'g';
        RMT_FAILS(rmt_token_parse(&back, text, &error), RMT_E_USAGE);
        text[i] = kept;
    }
    RMT_OK(rmt_token_parse(&back, text, &error));
}

// P20: the broker that made the token knows it again, whatever the console adds.
static void
test_a_token_tells_a_trust_root(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_token_t token, back;
    rmt_id_t bare, told, root;
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_token_new(&token, self->key.public_text);
    rmt_token_hash(&token, &bare);
    rmt_id_compute(&root, "root", 4);
    (void) rmt_id_text(&root, token.root);
    RMT_OK(rmt_token_parse(&back, rmt_token_text(&token, text), &error));
    assert_memory_equal(&token, &back, sizeof token);
    rmt_token_hash(&back, &told);
    assert_true(rmt_id_equal(&bare, &told));
    text[strlen(text) - 1] = '\0';
    RMT_FAILS(rmt_token_parse(&back, text, &error), RMT_E_USAGE);
}

// The words of one refusal, or the key: an agent asks no other broker than its settings
// say.
static const char *
s_broker_key(const char *key, const char *token, rmt_code_t code)
{
    static char text[RMT_KEY_TEXT_SIZE];
    static rmt_error_t error;
    *text = '\0';
    const int rc = rmt_token_broker_key(key, token, text, &error);
    assert_int_equal(rc == 0 ? RMT_E_OK : error.code, code);
    return rc == 0 ? text : error.text;
}

// P18 P19
static void
test_the_key_of_the_broker_is_told_by_a_setting_a_file_or_a_token(void **state)
{
    const fixture_t *self = *state;
    const char *own = self->key.public_text;
    rmt_token_t token;
    rmt_key_t other;
    rmt_error_t error = {0};
    char text[RMT_TOKEN_TEXT_SIZE];
    RMT_OK(rmt_key_new(&other, &error));
    rmt_token_new(&token, other.public_text);
    rmt_token_text(&token, text);
    assert_string_equal(s_broker_key(own, text, RMT_E_OK), own); // It wins
    assert_string_equal(s_broker_key(self->path, text, RMT_E_OK), own);
    assert_string_equal(s_broker_key("", text, RMT_E_OK), other.public_text);
    // A key that looks like a path is a key, unless there is such a file.
    char slashed[RMT_KEY_TEXT_SIZE];
    snprintf(slashed, sizeof slashed, "/%s", own + 1);
    assert_string_equal(s_broker_key(slashed, "", RMT_E_OK), slashed);
    char named[RMT_KEY_TEXT_SIZE];
    snprintf(named, sizeof named, "%s/%018d", self->folder, 0);
    assert_true(rmt_key_is_valid(named));
    RMT_OK(rmt_key_save_public(&self->key, named, &error));
    assert_string_equal(s_broker_key(named, "", RMT_E_OK), own);
    assert_non_null(strstr(s_broker_key("", "", RMT_E_CONFIG), "both empty"));
    assert_non_null(strstr(s_broker_key("short", text, RMT_E_CONFIG), "short"));
    assert_non_null(strstr(s_broker_key("/nowhere", text, RMT_E_NOT_FOUND), "/nowhere"));
    assert_non_null(
        strstr(s_broker_key("", "/nowhere", RMT_E_NOT_FOUND), "read the token"));
    assert_non_null(strstr(s_broker_key("", "R1.cut", RMT_E_USAGE), "read the token"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_key_comes_back_from_its_file),
        CASE(test_a_key_file_that_others_can_read_is_refused),
        CASE(test_a_key_file_behind_a_symlink_is_refused),
        CASE(test_a_broken_key_file_is_named),
        CASE(test_no_bit_for_group_or_others_is_let_through),
        CASE(test_a_pair_is_saved_for_its_owner_alone),
        CASE(test_a_fifo_or_folder_in_place_of_a_key_is_refused),
        CASE(test_a_key_file_of_somebody_else_is_refused),
        CASE(test_a_public_key_that_others_can_write_is_refused),
        CASE(test_a_token_file_is_kept_like_a_key),
        CASE(test_only_40_characters_of_z85_are_a_key),
        CASE(test_a_token_is_never_twice_the_same),
        CASE(test_cut_and_lengthened_tokens_are_refused),
        CASE(test_a_token_carries_the_brokers_key),
        CASE(test_a_token_has_lower_case_digits_alone),
        CASE(test_a_token_tells_a_trust_root),
        CASE(test_the_key_of_the_broker_is_told_by_a_setting_a_file_or_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
