// The kernel's command line of a bare machine. What is accepted is a configuration that
// the agent reads, with the very words of the line.
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/install/cmdline.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The value of "ramet.NAME=VALUE" in the line, or "".
static char *
s_word(const char *line, const char *option)
{
    rmt_auto_str copy = rmt_text("%s", line);
    char *rest = copy;
    const size_t size = strlen(option);
    for (char *word = strsep(&rest, " \t\n"); word; word = strsep(&rest, " \t\n"))
        if (strncmp(word, option, size) == 0)
            return rmt_text("%s", word + size);
    return rmt_text("%s", "");
}

// The brokers stand in the configuration as in the line.
static void
s_check_brokers(const rmt_config_t *config, const char *line)
{
    rmt_auto_str said = s_word(line, "ramet.broker=");
    const char *const *list = rmt_config_list(config, "brokers");
    char *rest = said;
    size_t count = 0;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        if (!*word)
            continue;
        MUST(list[count] && strcmp(list[count], word) == 0);
        count++;
    }
    MUST(count > 0 && !list[count]);
}

static void
s_check(const rmt_config_t *config, const char *line)
{
    static const struct {
        const char *option, *key;
    } rows[] = {{"ramet.token=", "token"},
                {"ramet.engine=", "engine"},
                {"ramet.name=", "name"},
                {"ramet.root=", "trust-root"}};
    rmt_auto_str key = s_word(line, "ramet.key=");
    MUST(!*key || strlen(key) == 64 ||
         strcmp(key, rmt_config_text(config, "broker-key")) == 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str said = s_word(line, rows[i].option);
        MUST(!*said || strcmp(said, rmt_config_text(config, rows[i].key)) == 0);
    }
    s_check_brokers(config, line);
    MUST(strcmp(rmt_config_text(config, "role"), "target") == 0);
    MUST(rmt_config_bool(config, "reboot"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str line = strndup((const char *) data, size);
    rmt_auto_str text = rmt_cmdline_config(line, grove_top(), &error);
    MUST(text || (error.code == RMT_E_CONFIG && *error.text));
    if (!text)
        return 0;
    rmt_auto_str path = rmt_text("%s/agent.cfg", grove_top());
    {
        rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        MUST(fd != -1 && rmt_io_write(fd, text, strlen(text), &error) == 0);
    }
    rmt_auto(rmt_config) config = rmt_config_new(RMT_AGENT_ROWS, path, &error);
    MUST(config || error.code == RMT_E_CONFIG);
    if (config)
        s_check(config, line);
    return 0;
}
