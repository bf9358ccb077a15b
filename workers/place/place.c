#include "place/place.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_memory.h"
#include "base/rmt_process.h"

#include <assert.h>
#include <czmq.h>
#include <string.h>

#define SERVICE_COUNT_MAX 16

// In threads of the data port, so nothing but the thread-safe log is touched.
static void
s_log_event(void *context, const char *event, const char *key, const char *text)
{
    (void) context;
    const bool is_bad = strstr(event, "refused") || strstr(event, "damaged") ||
                        strstr(event, "broken") || strstr(event, "cut");
    rmt_log(is_bad ? RMT_WARN : RMT_INFO, event, "key=%s text=\"%s\"", key, text);
}

static int
s_run(const place_program_t *program, const rmt_config_t *config, rmt_error_t *error)
{
    assert(program->service_count <= SERVICE_COUNT_MAX);
    rmt_holder_service_t services[SERVICE_COUNT_MAX];
    for (size_t i = 0; i < program->service_count; i++) {
        services[i] = program->services[i];
        if (services[i].slots == 0)
            services[i].slots = (uint32_t) rmt_config_number(config, "slots");
    }
    rmt_auto(rmt_holder) holder =
        rmt_holder_new(config, program->role, s_log_event, error);
    if (!holder)
        return -1;
    return rmt_holder_run(holder, services, program->service_count, error);
}

int
place_main(const place_program_t *program, int argc, char **argv)
{
    rmt_process_keep_secrets();
    rmt_memory_keep();
    zsys_init();
    zsys_handler_set(NULL);
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = NULL;
    int first_word;
    int rc = rmt_options_read(program->options, argc, argv, &first_word, &config, &error);
    if (rc == 1)
        rc = s_run(program, config, &error);
    if (rc == -1)
        rmt_log(RMT_ERROR, "program.failed", "program=%s text=\"%s\"",
                program->options->program, error.text);
    return rc == -1 ? rmt_code_exit(error.code) : 0;
}
