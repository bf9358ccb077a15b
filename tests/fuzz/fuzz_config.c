// A configuration file. What is accepted keeps the limits of its table.
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_config.h"
#include "base/rmt_io.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const rmt_config_row_t s_rows[] = {
    {"name", RMT_CONFIG_TEXT, "", 1, 8, "a text"},
    {"count", RMT_CONFIG_NUMBER, "3", -5, 1000, "a number"},
    {"on", RMT_CONFIG_BOOL, "no", 0, 0, "a switch"},
    {"store/path", RMT_CONFIG_PATH, "/var", 0, 0, "a path"},
    {"store/words", RMT_CONFIG_LIST, "a, b", 0, 4, "some words"},
    {"store/any", RMT_CONFIG_NUMBER, "0", 0, 0, "any number"},
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/cfg", grove_top());
    {
        rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        MUST(fd != -1 && rmt_io_write(fd, data, size, &error) == 0);
    }
    rmt_auto(rmt_config) config = rmt_config_new(s_rows, path, &error);
    MUST(config || (error.code == RMT_E_CONFIG && *error.text));
    if (!config)
        return 0;
    const int64_t count = rmt_config_number(config, "count");
    size_t words = 0;
    for (const char *const *at = rmt_config_list(config, "store/words"); *at;
         at++, words++)
        MUST(**at && !strpbrk(*at, " \t,"));
    MUST(strlen(rmt_config_text(config, "name")) <= 8);
    MUST(count >= -5 && count <= 1000 && words <= 4);
    MUST(rmt_config_text(config, "store/path")[0] == '/');
    (void) rmt_config_bool(config, "on");
    (void) rmt_config_number(config, "store/any");
    return 0;
}
