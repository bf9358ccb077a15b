// ramet-broker: checks keys, hands out tasks, decides what runs next.
#include <czmq.h>
#include "broker/loop.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_options.h"
#include "base/rmt_signals.h"
#include "base/rmt_process.h"

static const rmt_options_t s_options = {
    .program = "ramet-broker",
    .usage = "ramet-broker [-c FILE] [-v]\n"
             "Checks keys, hands out tasks, decides what runs next. State is in Redis.",
    .rows = rmt_settings_rows,
    .file = "/etc/ramet/broker.cfg",
};

static int
s_run(const rmt_config_t *config, rmt_error_t *error)
{
    rmt_auto_fd signals = rmt_signals_open(error);
    if (signals == -1)
        return -1;
    rmt_settings_t settings;
    if (rmt_settings_read(&settings, config, error) == -1)
        return -1;
    rmt_broker_t *broker = rmt_broker_new(&settings, error);
    if (!broker)
        return -1;
    rmt_log(RMT_INFO, "broker.started", "listen=%s port=%u", settings.host,
            settings.port);
    const int rc = rmt_broker_run(broker, signals, error);
    rmt_log(RMT_INFO, "broker.stopped", "rc=%d", rc);
    rmt_broker_destroy(&broker);
    return rc;
}

int
main(int argc, char **argv)
{
    rmt_process_keep_secrets();
    rmt_signals_block();
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = NULL;
    int first = 0;
    int rc = rmt_options_read(&s_options, argc, argv, &first, &config, &error);
    if (rc == 0)
        return 0;
    if (rc == 1)
        rc = s_run(config, &error);
    if (rc == -1) {
        rmt_log(RMT_ERROR, "broker.failed", "code=%s text=\"%s\"",
                rmt_code_name(error.code), error.text);
        return rmt_code_exit(error.code);
    }
    return 0;
}
