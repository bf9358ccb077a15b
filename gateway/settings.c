#include "gateway/settings.h"
#include "base/rmt_auto.h"
#include "base/rmt_guarded.h"
#include "base/rmt_io.h"
#include "base/rmt_record.h"
#include "crypto/rmt_secret.h"
#include "gateway/operators.h"
#include "net/rmt_enrol.h"

#include <czmq.h>
#include <string.h>

#define FILE_SIZE_MAX (64 * 1024)
#define SECRET_SIZE_MIN 16
#define NO_STREAMS_MIN 50 // Connections that are left when all streams are open

const rmt_config_row_t settings_rows[] = {
    {"listen", RMT_CONFIG_TEXT, "127.0.0.1:7780", 1, 255,
     "Address and port of HTTP; an address of IPv6 in brackets. Port 0 takes a free "
     "one."},
    {"brokers", RMT_CONFIG_LIST, NULL, 1, 16, "Brokers as host:base-port."},
    {"broker-key", RMT_CONFIG_TEXT, "", 0, 4096,
     "The brokers' public key, or the path of its file; empty: that of the token."},
    {"key", RMT_CONFIG_PATH, NULL, 0, 0, "Key pair of this gateway; made when missing."},
    {"token", RMT_CONFIG_SECRET, "", 0, 4096,
     "Token of the role dashboard, or the path of its file, for a new key."},
    {"name", RMT_CONFIG_TEXT, "gateway", 1, 64, "Name under which a new key enrols."},
    {"tls-certificate", RMT_CONFIG_PATH, "", 0, 0,
     "File with the certificate chain (PEM); empty: HTTP without TLS."},
    {"tls-key", RMT_CONFIG_PATH, "", 0, 0, "File with the certificate's key (PEM)."},
    {"read-token", RMT_CONFIG_PATH, "", 0, 0,
     "File with a secret of 16 letters or more, which each request must give as "
     "Authorization: Bearer SECRET; empty: all who reach the port may read."},
    {"operators", RMT_CONFIG_LIST, "", 0, OPERATORS_MAX,
     "Settings of a console, as /etc/ramet/operators/NAME.cfg, of each operator who may "
     "act; the secret that the operator gives is in NAME.token beside it."},
    {"hosts", RMT_CONFIG_LIST, "localhost 127.0.0.1 [::1]", 1, 16,
     "Names and addresses under which this gateway is asked, without a port."},
    {"page", RMT_CONFIG_PATH, "/usr/share/ramet/page", 0, 0,
     "Folder with the page for browsers; empty: none."},
    {"webhooks", RMT_CONFIG_LIST, "", 0, SETTINGS_WEBHOOKS_MAX,
     "Addresses, as https://host.example/path, to which each new state of each job is "
     "sent."},
    {"webhook-secret", RMT_CONFIG_PATH, "", 0, 0,
     "File with a secret of 16 letters or more, by which what is sent is signed."},
    {"webhook-ca", RMT_CONFIG_PATH, "/etc/ssl/certs/ca-certificates.crt", 0, 0,
     "File with the certificates (PEM) to which those of webhooks must lead."},
    {"state", RMT_CONFIG_PATH, "/var/lib/ramet/gateway", 0, 0,
     "Folder that keeps what each webhook has taken."},
    {"connections", RMT_CONFIG_NUMBER, "1000", 8, 20000, "Connections at once."},
    {"connections-per-address", RMT_CONFIG_NUMBER, "100", 1, 20000,
     "Connections at once of one address; not where only this computer reaches the "
     "listener."},
    {"streams", RMT_CONFIG_NUMBER, "600", 1, 19000,
     "Event streams at once; at least 50 fewer than connections."},
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

static int
s_find_key(settings_t *self, const rmt_config_t *config, rmt_error_t *error)
{
    const char *setting = rmt_config_text(config, "token");
    if (rmt_token_broker_key(rmt_config_text(config, "broker-key"), setting,
                             self->broker_key, error) == -1)
        return -1;
    rmt_auto_str token = rmt_token_find(setting, error);
    if (!token)
        return -1;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "role", "dashboard");
    rmt_record_set(body, "name", rmt_config_text(config, "name"));
    const rmt_enrol_config_t enrol = {.brokers = rmt_config_list(config, "brokers"),
                                      .broker_key = self->broker_key,
                                      .token = token,
                                      .body = body,
                                      .by_signals = true};
    rmt_auto(rmt_record) answer = NULL;
    return rmt_enrol_find(&enrol, rmt_config_text(config, "key"), &self->own, &answer,
                          error);
}

// A file that only its owner may read. *text_out stays NULL for no path.
static int
s_load_guarded(const char *path, const char *what, char **text_out, rmt_error_t *error)
{
    size_t size;
    const rmt_guarded_t file = {path, what, RMT_GUARDED_SECRET, FILE_SIZE_MAX};
    return *path ? rmt_guarded_load(&file, text_out, &size, error) : 0;
}

static int
s_load_tls(settings_t *self, const rmt_config_t *config, rmt_error_t *error)
{
    const char *certificate = rmt_config_text(config, "tls-certificate");
    const char *key = rmt_config_text(config, "tls-key");
    if (!*certificate != !*key)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the settings tls-certificate and tls-key go together: give both "
                        "or none");
    if (!*key)
        return 0;
    void *data = NULL;
    size_t size = 0;
    if (rmt_io_load(certificate, FILE_SIZE_MAX, &data, &size, error) == -1)
        return -1;
    self->certificate = data;
    return s_load_guarded(key, "tls-key", &self->private_key, error);
}

static int
s_check_secret(const char *path, char *secret, rmt_error_t *error)
{
    secret[strcspn(secret, "\r\n")] = '\0';
    const size_t size = strlen(secret);
    for (size_t i = 0; i < size; i++)
        if (secret[i] <= ' ' || secret[i] > '~')
            return rmt_fail(error, RMT_E_CONFIG,
                            "%s: the secret has a blank, or a letter outside ASCII",
                            path);
    if (size < SECRET_SIZE_MIN)
        return rmt_fail(error, RMT_E_CONFIG,
                        "%s: the secret has %zu letters, and needs %d; make one with: "
                        "openssl rand -hex 24",
                        path, size, SECRET_SIZE_MIN);
    return 0;
}

int
settings_load_secret(const char *path, const char *what, char **secret_out,
                     rmt_error_t *error)
{
    char *secret = NULL;
    if (s_load_guarded(path, what, &secret, error) == -1)
        return -1;
    if (secret && s_check_secret(path, secret, error) == -1) {
        rmt_secret_free(&secret);
        return -1;
    }
    *secret_out = secret;
    return 0;
}

static bool
s_is_loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0;
}

int
settings_read(settings_t *self, const rmt_config_t *config, rmt_error_t *error)
{
    *self = (settings_t){
        .listen = rmt_config_text(config, "listen"),
        .hosts = rmt_config_list(config, "hosts"),
        .operators = rmt_config_list(config, "operators"),
        .page = rmt_config_text(config, "page"),
        .webhooks = rmt_config_list(config, "webhooks"),
        .webhook_ca = rmt_config_text(config, "webhook-ca"),
        .state = rmt_config_text(config, "state"),
        .connections = (unsigned) rmt_config_number(config, "connections"),
        .streams = (unsigned) rmt_config_number(config, "streams"),
    };
    if (!s_is_loopback(self->listen))
        self->connections_per_address =
            (unsigned) rmt_config_number(config, "connections-per-address");
    if (self->streams + NO_STREAMS_MIN > self->connections)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the setting streams (%u) leaves fewer than %d of the "
                        "connections (%u) for other requests; write connections = %u",
                        self->streams, NO_STREAMS_MIN, self->connections,
                        self->streams + NO_STREAMS_MIN);
    if (s_load_tls(self, config, error) == -1 ||
        settings_load_secret(rmt_config_text(config, "read-token"), "read-token",
                             &self->read_token, error) == -1 ||
        settings_load_secret(rmt_config_text(config, "webhook-secret"), "webhook-secret",
                             &self->webhook_secret, error) == -1 ||
        !(self->brokers =
              rmt_hosts_new(rmt_config_list(config, "brokers"), RMT_PORT_CONSOLE, error)))
        return -1;
    if (!s_is_loopback(self->listen) && (!self->read_token || !self->private_key))
        return rmt_fail(error, RMT_E_CONFIG,
                        "other computers reach %s (the setting listen): give read-token "
                        "and tls-certificate with tls-key, or listen at 127.0.0.1 behind "
                        "a proxy",
                        self->listen);
    if (*self->webhooks && !self->webhook_secret)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the setting webhooks needs webhook-secret, the path of a file; "
                        "make one with: openssl rand -hex 24");
    return s_find_key(self, config, error);
}

void
settings_free(settings_t *self)
{
    rmt_hosts_destroy(&self->brokers);
    free(self->certificate);
    rmt_secret_free(&self->private_key);
    rmt_secret_free(&self->read_token);
    rmt_secret_free(&self->webhook_secret);
    rmt_key_wipe(&self->own);
}
