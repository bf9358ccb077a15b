// ramet-gateway: shows the farm to browsers and monitoring, over HTTP.
#include "gateway/gateway.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_options.h"
#include "base/rmt_process.h"
#include "base/rmt_signals.h"

static const rmt_options_t s_options = {
    .program = "ramet-gateway",
    .usage = "ramet-gateway [-c FILE] [-v]\n"
             "Shows the farm over HTTP: a page, JSON, events and metrics; operators act "
             "there.",
    .rows = settings_rows,
    .file = "/etc/ramet/gateway.cfg",
};

static int
s_serve(const settings_t *settings, int signals, rmt_error_t *error)
{
    gateway_t *gateway = gateway_new(settings, error);
    if (!gateway)
        return -1;
    rmt_log(RMT_INFO, "gateway.started", "listen=%s port=%u", settings->listen,
            gateway_port(gateway));
    const int rc = gateway_run(gateway, signals, error);
    rmt_log(RMT_INFO, "gateway.stopped", "rc=%d", rc);
    gateway_destroy(&gateway);
    return rc;
}

static int
s_run(const rmt_config_t *config, rmt_error_t *error)
{
    rmt_auto_fd signals = rmt_signals_open(error);
    if (signals == -1)
        return -1;
    rmt_process_open_many();
    settings_t settings;
    int rc = settings_read(&settings, config, error);
    if (rc == 0)
        rc = s_serve(&settings, signals, error);
    settings_free(&settings);
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
        rmt_log(RMT_ERROR, "gateway.failed", "code=%s text=\"%s\"",
                rmt_code_name(error.code), error.text);
        return rmt_code_exit(error.code);
    }
    return 0;
}
