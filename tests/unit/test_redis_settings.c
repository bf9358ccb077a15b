// By which settings a broker finds a Redis of others, and what it refuses (P1).
#include "tools/rmt_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "broker/settings.h"

typedef struct {
    const char *settings, *password; // %s: the file of the password
    mode_t mode;
    const char *words; // Of the refusal; NULL: there is none
} row_t;

static int
s_read(const row_t *row, const char *folder, rmt_settings_t *settings,
       rmt_config_t **config_out, rmt_error_t *error_out)
{
    rmt_error_t error = {0};
    rmt_auto_str secret = rmt_text("%s/secret", folder);
    rmt_auto_str path = rmt_text("%s/cfg", folder);
    rmt_auto_str key = rmt_text("%s/key", folder);
    rmt_auto_str text = rmt_text("key = \"%s\"\nadmins = \"/a\"\nstate = \"/s\"\n"
                                 "redis-password = \"%s\"\n%s\n",
                                 key, secret, row->settings);
    rmt_key_t own;
    RMT_OK(rmt_key_new(&own, &error));
    RMT_OK(rmt_key_save(&own, key, &error));
    RMT_OK(rmt_io_save(secret, row->password, strlen(row->password), row->mode, &error));
    assert_int_equal(chmod(secret, row->mode), 0);
    RMT_OK(rmt_io_save(path, text, strlen(text), 0600, &error));
    *config_out = rmt_config_new(rmt_settings_rows, path, &error);
    RMT_OK(*config_out);
    return rmt_settings_read(settings, *config_out, error_out);
}

static void
test_a_password_is_guarded_and_one_line(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"redis-user = \"ramet\"", "of the broker\nmore\n", 0600, NULL},
        {"", "\n", 0600, "the redis-password, has 0 octets"},
        {"", "secret\n", 0644, "run: chmod 600 "},
        {"", "secret\n", 0602, "run: chmod 600 "},
        {"sentinel-user = \"ramet\"", "secret\n", 0600,
         "sentinel-user is given without sentinel-password"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char folder[] = "/tmp/ramet-settings.XXXXXX";
        assert_non_null(mkdtemp(folder));
        rmt_settings_t settings;
        rmt_auto(rmt_config) config = NULL;
        rmt_error_t error = {0};
        const int rc = s_read(&rows[i], folder, &settings, &config, &error);
        if (rc != (rows[i].words ? -1 : 0) ||
            (rc == -1 && !strstr(error.text, rows[i].words)))
            fail_msg("row %zu: %s", i, error.text);
        if (rc == 0)
            assert_string_equal(settings.redis.password, "of the broker");
        RMT_OK(rmt_io_remove_tree(folder, &error));
    }
}

// A place that cannot be one is refused before anything is started.
static void
test_a_wrong_place_is_refused(void **state)
{
    (void) state;
    static const char *const sentinels[][4] = {{"10.0.0.1:26379", "10.0.0.2"},
                                               {"*:26379"},
                                               {"10.0.0.1:0"},
                                               {"a b:1"},
                                               {"s1:26379", "s2:26379", "s1:26379"}};
    static const char *const addresses[] = {"", "redis", "10.0.0.1:99999", "@:6379",
                                            "::1:6379"};
    for (size_t i = 0; i < sizeof sentinels / sizeof *sentinels; i++) {
        rmt_error_t error = {0};
        const rmt_state_server_t server = {.address = "/run/redis.sock",
                                           .sentinels = sentinels[i],
                                           .primary = "ramet",
                                           .timeout_ms = 1000};
        assert_null(rmt_state_new(&server, NULL, &error));
        assert_non_null(strstr(error.text, "redis-sentinels"));
    }
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        rmt_error_t error = {0};
        const rmt_state_server_t server = {.address = addresses[i], .timeout_ms = 1000};
        assert_null(rmt_state_new(&server, NULL, &error));
        assert_int_equal(error.code, RMT_E_USAGE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_password_is_guarded_and_one_line),
        cmocka_unit_test(test_a_wrong_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
