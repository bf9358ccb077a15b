// ramet-installer - worker over the store of an engine: matches, builds, orders, serves.
#include "installer.h"
#include "rmt_auto.h"
#include "rmt_holder.h"
#include "rmt_log.h"
#include "rmt_options.h"
#include "rmt_upkeep.h"

#include <czmq.h>
#include <string.h>

static const rmt_options_t s_options = {
    .program = "ramet-installer",
    .usage =
        "Match images with targets, build imaging areas, order installs, serve chunks.",
    .rows = RMT_HOLDER_ROWS,
    .file = "/etc/ramet/installer.cfg",
};

// In threads of the data port, so nothing but the thread-safe log is touched.
static void
s_log_event(void *context, const char *event, const char *key, const char *text)
{
    (void) context;
    const bool is_bad =
        strstr(event, "refused") || strstr(event, "damaged") || strstr(event, "broken");
    rmt_log(is_bad ? RMT_WARN : RMT_INFO, event, "key=%s text=\"%s\"", key, text);
}

static int
s_run(const rmt_config_t *config, rmt_error_t *error)
{
    const uint32_t slots = (uint32_t) rmt_config_number(config, "slots");
    const rmt_holder_service_t services[] = {
        {"match", slots, installer_match},
        {"build", slots, installer_build},
        {"order", slots, installer_order},
        {"netboot", slots, installer_netboot},
        RMT_UPKEEP_SERVICES,
    };
    rmt_auto(rmt_holder) holder = rmt_holder_new(config, "installer", s_log_event, error);
    if (!holder)
        return -1;
    return rmt_holder_run(holder, services, sizeof services / sizeof *services, error);
}

int
main(int argc, char **argv)
{
    zsys_init();
    zsys_handler_set(NULL);
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = NULL;
    int first_word;
    int rc = rmt_options_read(&s_options, argc, argv, &first_word, &config, &error);
    if (rc == 1)
        rc = s_run(config, &error);
    if (rc == -1)
        rmt_log(RMT_ERROR, "installer.failed", "text=\"%s\"", error.text);
    return rc == -1 ? rmt_code_exit(error.code) : 0;
}
