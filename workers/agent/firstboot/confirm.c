#include "agent/firstboot/confirm.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "net/rmt_client.h"
#include "crypto/rmt_id.h"
#include "base/rmt_log.h"
#include "base/rmt_signals.h"

#include <poll.h>
#include <signal.h>

#define ASK_MS 15000
#define REPEAT_MS 1000
#define REPEAT_MAX_MS 60000
#define SAY_MS 4000

// Codes that say "later" leave the question open.
static bool
s_is_open(rmt_code_t code)
{
    return code == RMT_E_UNAVAILABLE || code == RMT_E_BUSY || code == RMT_E_TIMEOUT ||
           code == RMT_E_IO || code == RMT_E_INTERNAL;
}

// Wait, at most wait_ms; a signal ends it all.
static int
s_pause(int signals, int wait_ms, rmt_error_t *error)
{
    struct pollfd item = {.fd = signals, .events = POLLIN};
    (void) poll(&item, 1, wait_ms);
    const int number = rmt_signals_read(signals);
    if (number == SIGTERM || number == SIGINT)
        return rmt_fail(error, RMT_E_CANCELLED,
                        "ended by signal %d before a broker answered", number);
    return 0;
}

static int
s_with_jitter(int wait_ms)
{
    uint16_t chance;
    rmt_random_bytes(&chance, sizeof chance);
    return wait_ms / 2 + (int) ((int64_t) wait_ms * chance / UINT16_MAX);
}

static rmt_msg_t *
s_ask(const rmt_confirm_config_t *config, const rmt_request_t *request,
      uint32_t timeout_ms, rmt_error_t *error)
{
    rmt_auto(rmt_client) client = rmt_client_new(config->brokers, config->own,
                                                 config->broker_key, timeout_ms, error);
    return client ? rmt_client_request(client, request, error) : NULL;
}

int
rmt_confirm_run(const rmt_confirm_config_t *config, const rmt_record_t *body,
                const rmt_records_t *outcomes, rmt_error_t *error)
{
    rmt_auto_fd signals = rmt_signals_open(error);
    if (signals == -1)
        return -1;
    uint8_t idempotency[RMT_UID_SIZE]; // However often it travels, it counts once
    rmt_random_bytes(idempotency, sizeof idempotency);
    const rmt_request_t request = {.verb = "target.confirm",
                                   .body = body,
                                   .items = outcomes,
                                   .idempotency = idempotency};
    for (int wait_ms = REPEAT_MS;;
         wait_ms = wait_ms * 2 < REPEAT_MAX_MS ? wait_ms * 2 : REPEAT_MAX_MS) {
        rmt_auto(rmt_msg) reply = s_ask(config, &request, ASK_MS, error);
        if (reply)
            return 0;
        if (!s_is_open(error->code))
            return rmt_wrap(error, "the broker refused the report");
        rmt_log(RMT_WARN, "confirm.later", "code=%s text=\"%s\"",
                rmt_code_name(error->code), error->text);
        if (s_pause(signals, s_with_jitter(wait_ms), error) == -1)
            return -1;
    }
}

void
rmt_confirm_say(const rmt_confirm_config_t *config, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "text", text);
    const rmt_request_t request = {.verb = "target.heard", .body = body};
    rmt_auto(rmt_msg) reply = s_ask(config, &request, SAY_MS, &error);
    if (!reply)
        rmt_log(RMT_INFO, "firstboot.unheard", "text=\"%s\"", error.text);
}
