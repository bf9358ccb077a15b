// ramet-imager - worker over the store of a sending place: receives captures, commits
// images, serves them to engines. With --check-store it checks a store and leaves.
#include "check.h"
#include "imager.h"
#include "rmt_auto.h"
#include "rmt_holder.h"
#include "rmt_log.h"
#include "rmt_options.h"
#include "rmt_upkeep.h"

#include <czmq.h>
#include <stdio.h>
#include <string.h>

static const rmt_options_t s_options = {
    .program = "ramet-imager",
    .usage =
        "Receive captures, commit images, package and serve them.\n"
        "ramet-imager --check-store FOLDER   check every chunk of a store, then leave",
    .rows = RMT_HOLDER_ROWS,
    .file = "/etc/ramet/imager.cfg",
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
        {"commit", slots, imager_commit},
        {"package", slots, imager_package},
        {"receive", 1, imager_receive},
        RMT_UPKEEP_SERVICES,
    };
    rmt_auto(rmt_holder) holder = rmt_holder_new(config, "imager", s_log_event, error);
    if (!holder)
        return -1;
    return rmt_holder_run(holder, services, sizeof services / sizeof *services, error);
}

int
main(int argc, char **argv)
{
    zsys_init();
    zsys_handler_set(NULL);
    if (argc == 3 && strcmp(argv[1], "--check-store") == 0)
        return imager_check_store(argv[2]);
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = NULL;
    int first_word;
    int rc = rmt_options_read(&s_options, argc, argv, &first_word, &config, &error);
    if (rc == 1)
        rc = s_run(config, &error);
    if (rc == -1)
        rmt_log(RMT_ERROR, "imager.failed", "text=\"%s\"", error.text);
    return rc == -1 ? rmt_code_exit(error.code) : 0;
}
