#include "agent/install/cmdline.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"
#include "base/rmt_record.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define PREFIX "ramet."
#define HEX_SIZE 64

// Options and the keys of the agent's configuration that they become. The shell is
// started by what runs before the agent.
static const struct {
    const char *option, *key;
} s_rows[] = {
    {"broker", "brokers"}, {"key", "broker-key"}, {"token", "token"},
    {"engine", "engine"},  {"name", "name"},      {"root", "trust-root"},
    {"shell", NULL},
};

// Values become quoted text in a file of lines.
static bool
s_is_value(const char *text)
{
    for (; *text; text++)
        if (!isgraph((unsigned char) *text) || *text == '"' || *text == '\\')
            return false;
    return true;
}

static int
s_take_word(const char *word, rmt_record_t *values, rmt_error_t *error)
{
    const char *option = word + strlen(PREFIX);
    const size_t size = strcspn(option, "=");
    const char *value = option[size] ? option + size + 1 : "";
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strlen(s_rows[i].option) != size ||
            strncmp(s_rows[i].option, option, size) != 0)
            continue;
        if (!s_rows[i].key)
            return 0;
        if (rmt_record_has(values, s_rows[i].key))
            return rmt_fail(error, RMT_E_CONFIG,
                            "%s%s is on the kernel's command line twice; remove one",
                            PREFIX, s_rows[i].option);
        if (!*value || !s_is_value(value))
            return rmt_fail(
                error, RMT_E_CONFIG,
                "%s%s on the kernel's command line has no value, or a value "
                "with blanks, quotes, \"\\\" or bytes that are not printable ASCII",
                PREFIX, s_rows[i].option);
        rmt_record_set(values, s_rows[i].key, value);
        return 0;
    }
    return rmt_fail(
        error, RMT_E_CONFIG,
        "%.40s on the kernel's command line is not an option; the options are "
        "ramet.broker, ramet.key, ramet.token, ramet.engine, ramet.name, ramet.root and "
        "ramet.shell",
        word);
}

// A token has the broker's key as digits, which is what reads digits here too.
static int
s_read_digits(rmt_record_t *values, rmt_error_t *error)
{
    const char *key = rmt_record_text(values, "broker-key", "");
    if (strlen(key) != HEX_SIZE)
        return 0;
    rmt_auto_str text = rmt_text("R1.%s.aaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaa", key);
    rmt_token_t token;
    if (rmt_token_parse(&token, text, error) == -1)
        return rmt_fail(error, RMT_E_CONFIG,
                        "ramet.key on the kernel's command line is not a public key");
    rmt_record_set(values, "broker-key", token.broker_key);
    return 0;
}

static int
s_check(rmt_record_t *values, rmt_error_t *error)
{
    static const char *const needed[] = {"brokers", "token"};
    static const char *const options[] = {"broker", "token"};
    for (size_t i = 0; i < 2; i++)
        if (!rmt_record_has(values, needed[i]))
            return rmt_fail(error, RMT_E_CONFIG,
                            "%s%s is missing on the kernel's command line", PREFIX,
                            options[i]);
    return s_read_digits(values, error);
}

static char *
s_write(const rmt_record_t *values, const char *folder)
{
    char *text = rmt_text("role = \"target\"\nreboot = \"yes\"\n"
                          "key = \"%s/agent.key\"\nstate = \"%s\"\n",
                          folder, folder);
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        if (!s_rows[i].key || !rmt_record_has(values, s_rows[i].key))
            continue;
        char *longer = rmt_text("%s%s = \"%s\"\n", text, s_rows[i].key,
                                rmt_record_text(values, s_rows[i].key, ""));
        free(text);
        text = longer;
    }
    return text;
}

char *
rmt_cmdline_config(const char *line, const char *folder, rmt_error_t *error)
{
    assert(line && folder && error);
    rmt_auto(rmt_record) values = rmt_record_new();
    rmt_auto_str copy = rmt_text("%s", line);
    char *rest = copy;
    for (char *word = strsep(&rest, " \t\n"); word; word = strsep(&rest, " \t\n")) {
        if (strncmp(word, PREFIX, strlen(PREFIX)) == 0 &&
            s_take_word(word, values, error) == -1)
            return NULL;
    }
    return s_check(values, error) == -1 ? NULL : s_write(values, folder);
}
