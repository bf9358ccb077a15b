// lib/base: configuration files and the command line of daemons.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_config.h"
#include "base/rmt_io.h"
#include "base/rmt_options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const rmt_config_row_t s_rows[] = {
    {"name", RMT_CONFIG_TEXT, "w1", 1, 8, "Name for people."},
    {"brokers/list", RMT_CONFIG_LIST, "localhost", 1, 3, "Brokers."},
    {"store/path", RMT_CONFIG_PATH, "/var/lib/ramet", 0, 0, "Where the store is."},
    {"store/slots", RMT_CONFIG_NUMBER, "2", 1, 64, "Tasks at once."},
    {"store/sync", RMT_CONFIG_BOOL, "yes", 0, 0, "Whether to be safe."},
    {"store/token", RMT_CONFIG_PATH, "", 0, 0, "File of a token."},
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

static const rmt_config_row_t s_strict_rows[] = {
    {"key", RMT_CONFIG_PATH, NULL, 0, 0, "File of the key."},
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

static int
s_enter_folder(void **state)
{
    char *folder = strdup("/tmp/ramet-config-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int
s_leave_folder(void **state)
{
    rmt_error_t error = {0};
    rmt_auto_str folder = *state;
    return rmt_io_remove_tree(folder, &error);
}

static char *
s_write(void **state, const char *text)
{
    rmt_error_t error = {0};
    char *file = rmt_text("%s/test.cfg", (char *) *state);
    RMT_OK(rmt_io_save(file, text, strlen(text), 0600, &error));
    return file;
}

static void
test_presets_hold_without_a_file(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = rmt_config_new(s_rows, NULL, &error);
    RMT_OK(config);
    assert_string_equal(rmt_config_text(config, "name"), "w1");
    assert_string_equal(rmt_config_text(config, "store/path"), "/var/lib/ramet");
    assert_string_equal(rmt_config_text(config, "store/token"), "");
    assert_int_equal(rmt_config_number(config, "store/slots"), 2);
    assert_true(rmt_config_bool(config, "store/sync"));
    assert_string_equal(rmt_config_list(config, "brokers/list")[0], "localhost");
    assert_null(rmt_config_list(config, "brokers/list")[1]);
}

static void
test_a_file_replaces_presets(void **state)
{
    rmt_auto_str file = s_write(state, "#   A comment\n"
                                       "name = west\n"
                                       "brokers\n"
                                       "    list = \"b1:7702, b2  b3\"\n"
                                       "store\n"
                                       "    slots = 64\n"
                                       "    sync = no\n");
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = rmt_config_new(s_rows, file, &error);
    assert_string_equal(error.text, "");
    RMT_OK(config);
    assert_string_equal(rmt_config_text(config, "name"), "west");
    assert_int_equal(rmt_config_number(config, "store/slots"), 64);
    assert_false(rmt_config_bool(config, "store/sync"));
    const char *const *list = rmt_config_list(config, "brokers/list");
    assert_string_equal(list[0], "b1:7702");
    assert_string_equal(list[1], "b2");
    assert_string_equal(list[2], "b3");
    assert_null(list[3]);
}

static void
test_mistakes_name_file_and_key(void **state)
{
    static const struct {
        const char *text, *key;
    } rows[] = {
        {"nam = west\n", "nam"},
        {"stores\n    slots = 1\n", "stores"},
        {"store\n    slot = 1\n", "store/slot"},
        {"store\n    slots = 1\n    slots = 2\n", "store/slots"},
        {"store\n    slots = 1\nstore\n    sync = no\n", "store"},
        {"store\n    slots = many\n", "store/slots"},
        {"store\n    slots = 3x\n", "store/slots"},
        {"store\n    slots = 99999999999999999999\n", "store/slots"},
        {"store\n    slots = 0\n", "store/slots"},
        {"store\n    slots = 65\n", "store/slots"},
        {"store\n    sync = maybe\n", "store/sync"},
        {"store\n    path = relative\n", "store/path"},
        {"store\n    path =\n", "store/path"},
        {"store\n    slots = 1\n        deep = 1\n", "store/slots"},
        {"store = 1\n", "store"},
        {"name = \"\"\n", "name"},
        {"name = ninecharacters\n", "name"},
        {"brokers\n    list = \"a b c d\"\n", "brokers/list"},
        {"brokers\n    list = \" , \"\n", "brokers/list"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str file = s_write(state, rows[i].text);
        RMT_FAILS(rmt_config_new(s_rows, file, &error), RMT_E_CONFIG);
        assert_non_null(strstr(error.text, file));
        if (!strstr(error.text, rows[i].key))
            fail_msg("row %zu: \"%s\" does not name %s", i, error.text, rows[i].key);
    }
}

// P23: a secret in the settings makes them secret; settings that others can write are
// theirs.
static void
test_settings_are_no_place_for_others(void **state)
{
    static const rmt_config_row_t s_secret_rows[] = {
        {"name", RMT_CONFIG_TEXT, "w1", 1, 8, "Name of the worker."},
        {"token", RMT_CONFIG_SECRET, "", 0, 256, "Token, or the path of its file."},
        {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
    };
    static const struct {
        const char *text;
        mode_t mode;
        const char *told; // NULL: it is taken
    } rows[] = {
        {"name = a\n", 0644, NULL},
        {"name = a\n", 0664, "chmod go-w "},
        {"name = a\n", 0602, "chmod go-w "},
        {"token = \"/etc/token\"\n", 0644, NULL},
        {"token = \"\"\n", 0644, NULL},
        {"token = R1.x\n", 0600, NULL},
        {"token = R1.x\n", 0640, "chmod 600 "},
        {"token = R1.x\n", 0604, "chmod 600 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str file = s_write(state, rows[i].text);
        assert_int_equal(chmod(file, rows[i].mode), 0);
        rmt_auto(rmt_config) config = rmt_config_new(s_secret_rows, file, &error);
        if (!rows[i].told) {
            RMT_OK(config);
            continue;
        }
        RMT_FAILS(config, RMT_E_CONFIG);
        assert_non_null(strstr(error.text, rows[i].told));
    }
}

static void
test_a_missing_file_is_an_error(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    RMT_FAILS(rmt_config_new(s_rows, "/nonexistent/x.cfg", &error), RMT_E_CONFIG);
    assert_non_null(strstr(error.text, "/nonexistent/x.cfg"));
}

static void
test_keys_without_preset_must_be_given(void **state)
{
    rmt_error_t error = {0};
    assert_null(rmt_config_new(s_strict_rows, NULL, &error));
    assert_non_null(strstr(error.text, "the key key is missing"));
    rmt_auto_str file = s_write(state, "key = \"/etc/ramet/key\"\n");
    rmt_auto(rmt_config) config = rmt_config_new(s_strict_rows, file, &error);
    RMT_OK(config);
}

static void
test_a_refused_value_leaves_the_old_one(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = rmt_config_new(s_rows, NULL, &error);
    RMT_OK(rmt_config_set(config, "store/slots", "7", &error));
    RMT_FAILS(rmt_config_set(config, "store/slots", "700", &error), RMT_E_CONFIG);
    RMT_FAILS(rmt_config_set(config, "store/none", "7", &error), RMT_E_CONFIG);
    assert_int_equal(rmt_config_number(config, "store/slots"), 7);
}

static void
test_printed_presets_can_be_read_again(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    rmt_config_print(s_rows, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "# Tasks at once."));
    rmt_auto_str file = s_write(state, text);
    free(text);
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = rmt_config_new(s_rows, file, &error);
    assert_string_equal(error.text, "");
    RMT_OK(config);
    assert_int_equal(rmt_config_number(config, "store/slots"), 2);
}

static const rmt_options_t s_options = {
    "ramet-test", "ramet-test ROLE", s_rows, NULL, 1, 1};

static void
test_the_command_line_gives_words_and_config(void **state)
{
    rmt_auto_str file = s_write(state, "name = cli\n");
    char *argv[] = {"ramet-test", "source", "-c", file, NULL};
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = NULL;
    int first = 0;
    assert_int_equal(rmt_options_read(&s_options, 4, argv, &first, &config, &error), 1);
    assert_string_equal(argv[first], "source");
    assert_string_equal(rmt_config_text(config, "name"), "cli");
}

static void
test_the_word_is_told_from_the_values_of_options(void **state)
{
    (void) state;
    static const struct {
        const char *line[5], *word;
    } rows[] = {
        {{"ramet-test", "-c", "bare", NULL}, ""},
        {{"ramet-test", "--config=bare", NULL}, ""},
        {{"ramet-test", "-c", "bare", "source", NULL}, "source"},
        {{"ramet-test", "source", "-c", "bare", NULL}, "source"},
        {{"ramet-test", "-v", "firstboot", NULL}, "firstboot"},
        {{"ramet-test", NULL}, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *argv[5] = {NULL};
        int argc = 0;
        for (; rows[i].line[argc]; argc++)
            argv[argc] = strdup(rows[i].line[argc]);
        assert_string_equal(rmt_options_word(argc, argv), rows[i].word);
        for (int j = 0; j < argc; j++)
            free(argv[j]);
    }
}

static void
test_a_wrong_command_line_is_refused(void **state)
{
    (void) state;
    rmt_auto(rmt_config) config = NULL;
    rmt_error_t error = {0};
    int first = 0;
    char *unknown[] = {"ramet-test", "source", "--colour", NULL};
    RMT_FAILS(rmt_options_read(&s_options, 3, unknown, &first, &config, &error),
              RMT_E_USAGE);
    assert_non_null(strstr(error.text, "--colour"));
    char *bare[] = {"ramet-test", "source", "-c", NULL};
    RMT_FAILS(rmt_options_read(&s_options, 3, bare, &first, &config, &error),
              RMT_E_USAGE);
    char *wordless[] = {"ramet-test", NULL};
    RMT_FAILS(rmt_options_read(&s_options, 1, wordless, &first, &config, &error),
              RMT_E_USAGE);
    assert_null(config);
}

static void
test_checking_a_config_ends_the_program(void **state)
{
    rmt_auto(rmt_config) config = NULL;
    rmt_error_t error = {0};
    int first = 0;
    rmt_auto_str good = s_write(state, "name = cli\n");
    char *line[] = {"ramet-test", "--check-config", "-c", good, NULL};
    RMT_OK(rmt_options_read(&s_options, 4, line, &first, &config, &error));
    rmt_auto_str bad = s_write(state, "nome = cli\n");
    char *again[] = {"ramet-test", "--check-config", "-c", bad, NULL};
    RMT_FAILS(rmt_options_read(&s_options, 4, again, &first, &config, &error),
              RMT_E_CONFIG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets_hold_without_a_file),
        cmocka_unit_test_setup_teardown(test_a_file_replaces_presets, s_enter_folder,
                                        s_leave_folder),
        cmocka_unit_test_setup_teardown(test_mistakes_name_file_and_key, s_enter_folder,
                                        s_leave_folder),
        cmocka_unit_test_setup_teardown(test_settings_are_no_place_for_others,
                                        s_enter_folder, s_leave_folder),
        cmocka_unit_test(test_a_missing_file_is_an_error),
        cmocka_unit_test_setup_teardown(test_keys_without_preset_must_be_given,
                                        s_enter_folder, s_leave_folder),
        cmocka_unit_test(test_a_refused_value_leaves_the_old_one),
        cmocka_unit_test_setup_teardown(test_printed_presets_can_be_read_again,
                                        s_enter_folder, s_leave_folder),
        cmocka_unit_test_setup_teardown(test_the_command_line_gives_words_and_config,
                                        s_enter_folder, s_leave_folder),
        cmocka_unit_test(test_the_word_is_told_from_the_values_of_options),
        cmocka_unit_test(test_a_wrong_command_line_is_refused),
        cmocka_unit_test_setup_teardown(test_checking_a_config_ends_the_program,
                                        s_enter_folder, s_leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
