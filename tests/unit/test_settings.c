// Settings of the gateway that do not go together.
#include "gateway/settings.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "tools/rmt_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Event streams leave connections for other requests. What is not refused here comes to
// the next refusal, that of an open listener.
static void
test_streams_leave_connections(void **state)
{
    (void) state;
    static const struct {
        unsigned connections, streams;
        rmt_code_t code;
        const char *words;
    } rows[] = {
        {1000, 600, RMT_E_CONFIG, "the setting listen"},
        {650, 600, RMT_E_CONFIG, "the setting listen"},
        {649, 600, RMT_E_CONFIG, "write connections = 650"},
        {8, 1, RMT_E_CONFIG, "the setting streams (1)"},
        {1000, 19000, RMT_E_CONFIG, "write connections = 19050"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[] = "/tmp/ramet-settings.XXXXXX";
        rmt_auto_fd fd = mkstemp(path);
        assert_true(fd >= 0);
        dprintf(fd,
                "listen = \"0.0.0.0:0\"\nbrokers = \"127.0.0.1:1\"\nkey = "
                "\"/tmp/none\"\nconnections = %u\nstreams = %u\n",
                rows[i].connections, rows[i].streams);
        rmt_error_t error = {0};
        rmt_auto(rmt_config) config = rmt_config_new(settings_rows, path, &error);
        RMT_OK(config);
        settings_t settings;
        RMT_FAILS(settings_read(&settings, config, &error), rows[i].code);
        if (!strstr(error.text, rows[i].words))
            fail_msg("row %zu: %s", i, error.text);
        settings_free(&settings);
        unlink(path);
    }
}

// [11.6]: the secret of readers is a file of the gateway's user alone, and no link.
static void
test_a_secret_is_guarded(void **state)
{
    (void) state;
    static const struct {
        mode_t mode;
        bool is_link;
        const char *words;
    } rows[] = {
        {0600, false, "the setting listen"},
        {0640, false, "run: chmod 600 "},
        {0602, false, "run: chmod 600 "},
        {0600, true, "symbolic link"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char folder[] = "/tmp/ramet-settings.XXXXXX";
        assert_non_null(mkdtemp(folder));
        rmt_auto_str secret = rmt_text("%s/secret", folder);
        rmt_auto_str link = rmt_text("%s/link", folder);
        rmt_auto_str path = rmt_text("%s/cfg", folder);
        rmt_auto_str text = rmt_text("listen = \"0.0.0.0:0\"\nbrokers = \"127.0.0.1:1\"\n"
                                     "key = \"/tmp/none\"\nread-token = \"%s\"\n",
                                     rows[i].is_link ? link : secret);
        rmt_error_t error = {0};
        RMT_OK(rmt_io_save(secret, "0123456789abcdef\n", 17, rows[i].mode, &error));
        assert_int_equal(chmod(secret, rows[i].mode), 0);
        assert_int_equal(symlink(secret, link), 0);
        RMT_OK(rmt_io_save(path, text, strlen(text), 0600, &error));
        rmt_auto(rmt_config) config = rmt_config_new(settings_rows, path, &error);
        RMT_OK(config);
        settings_t settings;
        RMT_FAILS(settings_read(&settings, config, &error), RMT_E_CONFIG);
        if (!strstr(error.text, rows[i].words))
            fail_msg("row %zu: %s", i, error.text);
        settings_free(&settings);
        RMT_OK(rmt_io_remove_tree(folder, &error));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_leave_connections),
        cmocka_unit_test(test_a_secret_is_guarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
