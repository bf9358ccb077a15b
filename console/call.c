#include "console/call.h"
#include "console/command.h"
#include "facts/rmt_hosts.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_config.h"
#include "crypto/rmt_id.h"
#include "net/rmt_enrol.h"
#include "base/rmt_io.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_TIMEOUT_MS 15000
#define ONE_TIMEOUT_MS 5000 // Where it is asked whether one broker answers

static const rmt_config_row_t s_rows[] = {
    {"brokers", RMT_CONFIG_LIST, NULL, 1, 16, "Brokers as host:base-port."},
    {"broker-key", RMT_CONFIG_PATH, NULL, 0, 0, "File with the brokers' public key."},
    {"key", RMT_CONFIG_PATH, NULL, 0, 0, "File with this console's own key pair."},
    {"order-key", RMT_CONFIG_PATH, "", 0, 0,
     "File with the order key of this user, which signs each deployment; empty: targets "
     "that were told a trust root refuse it."},
    {"trust-root", RMT_CONFIG_PATH, "", 0, 0,
     "File with the trust root of the farm, as `ramet trust publish` took it; who signed "
     "an image is compared with it."},
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

void
call_print_settings(FILE *out)
{
    rmt_config_print(s_rows, out);
}

static const char *
s_config_path(const call_t *self)
{
    if (self->config_path)
        return self->config_path;
    const char *path = getenv("RAMET_CONFIG");
    return path && *path ? path : "/etc/ramet/console.cfg";
}

static rmt_client_t *
s_client(call_t *self, const char *const *brokers, uint32_t timeout_ms,
         rmt_error_t *error)
{
    rmt_key_t broker;
    const rmt_config_t *config = call_config(self, error);
    if (!config ||
        rmt_key_load_public(&broker, rmt_config_text(config, "broker-key"), error) ==
            -1 ||
        rmt_key_load(&self->own, rmt_config_text(config, "key"), error) == -1)
        return NULL;
    rmt_auto(rmt_hosts) ports = rmt_hosts_new(brokers, RMT_PORT_CONSOLE, error);
    uint16_t port;
    if (!ports ||
        rmt_endpoint_split(*rmt_hosts_list(ports), self->broker_host, &port, error) == -1)
        return NULL;
    return rmt_client_new(rmt_hosts_list(ports), &self->own, broker.public_text,
                          timeout_ms, error);
}

const rmt_config_t *
call_config(call_t *self, rmt_error_t *error)
{
    if (!self->config)
        self->config = rmt_config_new(s_rows, s_config_path(self), error);
    if (!self->config)
        rmt_wrap(error,
                 "read the console's configuration (--config FILE names another one)");
    return self->config;
}

int
call_connect(call_t *self, rmt_error_t *error)
{
    const rmt_config_t *config = self->client ? NULL : call_config(self, error);
    if (config)
        self->client =
            s_client(self, rmt_config_list(config, "brokers"), REQUEST_TIMEOUT_MS, error);
    return self->client ? 0 : -1;
}

rmt_client_t *
call_client(call_t *self, const char *broker, rmt_error_t *error)
{
    const char *const brokers[] = {broker, NULL};
    return s_client(self, brokers, ONE_TIMEOUT_MS, error);
}

const char *
call_path(call_t *self, const char *name, rmt_error_t *error)
{
    const rmt_config_t *config = call_config(self, error);
    return config ? rmt_config_text(config, name) : NULL;
}

static void
s_say_pending(void *context, bool is_pending, const char *text)
{
    bool *was_pending = context;
    if (is_pending && !*was_pending)
        fprintf(stderr, "%s; approve it with: ramet key approve NAME\n", text);
    *was_pending = is_pending;
}

rmt_record_t *
call_enrol(call_t *self, const char *token, const rmt_record_t *body, rmt_error_t *error)
{
    const rmt_config_t *config = call_config(self, error);
    if (!config)
        return NULL;
    rmt_key_t broker;
    if (rmt_key_load_public(&broker, rmt_config_text(config, "broker-key"), error) == -1)
        return NULL;
    bool was_pending = false;
    const rmt_enrol_config_t enrol = {.brokers = rmt_config_list(config, "brokers"),
                                      .broker_key = broker.public_text,
                                      .token = token,
                                      .body = body,
                                      .told = s_say_pending,
                                      .context = &was_pending};
    rmt_record_t *answer = NULL;
    const char *path = rmt_config_text(config, "key");
    if (rmt_enrol_find(&enrol, path, &self->own, &answer, error) == -1)
        return NULL;
    return answer ? answer : rmt_record_new();
}

static rmt_msg_t *
s_request(call_t *self, const rmt_request_t *request, rmt_error_t *error)
{
    const size_t count = request->items ? rmt_records_count(request->items) : 0;
    if (count > RMT_ITEMS_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG,
                 "%s names %zu machines, and one request at most %d; do it in several "
                 "steps, such as by rack",
                 request->verb, count, RMT_ITEMS_MAX);
        return NULL;
    }
    if (call_connect(self, error) == -1)
        return NULL;
    return rmt_client_request(self->client, request, error);
}

rmt_msg_t *
call_request(call_t *self, const char *verb, rmt_record_t *body, rmt_records_t *items,
             rmt_error_t *error)
{
    uint8_t idempotency[RMT_UID_SIZE];
    rmt_random_bytes(idempotency, sizeof idempotency);
    return s_request(self, &(rmt_request_t){verb, body, items, NULL, idempotency}, error);
}

rmt_msg_t *
call_act(call_t *self, const char *verb, rmt_record_t *body, rmt_records_t *items,
         rmt_error_t *error)
{
    if (!self->once)
        return call_request(self, verb, body, items, error);
    uint8_t of[RMT_UID_SIZE + sizeof self->act_count];
    memcpy(of, self->once->key, RMT_UID_SIZE);
    memcpy(of + RMT_UID_SIZE, &self->act_count, sizeof self->act_count);
    self->act_count++;
    rmt_id_t id;
    rmt_id_compute(&id, of, sizeof of);
    const uint8_t *idempotency = id.bytes + RMT_ID_SIZE - RMT_UID_SIZE;
    return s_request(self, &(rmt_request_t){verb, body, items, NULL, idempotency}, error);
}

void
call_say(const call_t *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    rmt_auto_str text = NULL;
    if (vasprintf(&text, format, arguments) == -1)
        abort();
    va_end(arguments);
    if (self->said)
        rmt_record_set(rmt_records_add(self->said), "text", text);
    else
        fprintf(stderr, "%s\n", text);
}

rmt_records_t *
call_list(call_t *self, const char *verb, rmt_record_t *body, rmt_error_t *error)
{
    if (call_connect(self, error) == -1)
        return NULL;
    return rmt_client_list(self->client, verb, body, error);
}

rmt_msg_t *
call_whole(call_t *self, const char *verb, rmt_record_t *body, rmt_error_t *error)
{
    if (call_connect(self, error) == -1)
        return NULL;
    return rmt_client_whole(self->client, verb, body, error);
}

const char *
call_operand(const call_t *self, size_t index)
{
    return index < self->operand_count ? self->operands[index] : NULL;
}

// A word as a shell reads it. Caller owns.
static char *
s_quoted(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-+=,:/@";
    if (*word && strspn(word, plain) == strlen(word))
        return strdup(word);
    char *quoted = strdup("'");
    for (const char *at = word; *at; at++) {
        char *longer =
            *at == '\'' ? rmt_text("%s'\\''", quoted) : rmt_text("%s%c", quoted, *at);
        free(quoted);
        quoted = longer;
    }
    rmt_auto_str open = quoted;
    return rmt_text("%s'", open);
}

// Put a word behind a line.
static void
s_append(char **line_p, const char *word)
{
    rmt_auto_str line = *line_p;
    rmt_auto_str quoted = s_quoted(word);
    *line_p = rmt_text("%s %s", line, quoted);
}

// Put those options of a table that were given behind a line.
static void
s_append_options(const call_t *self, const option_t *options, char **line_p)
{
    for (const option_t *row = options; row && row->name; row++) {
        const char *value = rmt_record_text(self->options, row->name, NULL);
        if (!value || streq(row->name, "yes") || streq(row->name, "count"))
            continue;
        rmt_auto_str name = rmt_text("--%s", row->name);
        s_append(line_p, name);
        if (row->argument)
            s_append(line_p, value);
    }
}

char *
call_line(const call_t *self, const char *more)
{
    char *line = rmt_text("ramet %s %s", self->command->noun, self->command->verb);
    for (size_t i = 0; i < self->operand_count; i++)
        s_append(&line, self->operands[i]);
    s_append_options(self, self->command->options, &line);
    s_append_options(self, command_common, &line);
    rmt_auto_str whole = line;
    return rmt_text("%s %s", whole, more);
}

rmt_record_t *
call_body(const call_t *self)
{
    rmt_record_t *body = rmt_record_new();
    for (const option_t *row = self->command->options; row && row->name; row++) {
        const char *value = rmt_record_text(self->options, row->name, NULL);
        if (value)
            rmt_record_set(body, row->name, value);
    }
    return body;
}

void
call_close(call_t *self)
{
    rmt_client_destroy(&self->client);
    rmt_config_destroy(&self->config);
    rmt_record_destroy(&self->options);
    view_free(&self->view);
}
