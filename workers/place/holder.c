#include "place/holder.h"
#include "facts/rmt_hosts.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "machine/rmt_inventory.h"
#include "net/rmt_enrol.h"
#include "net/rmt_own_address.h"
#include "net/rmt_socket.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "store/rmt_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE_COUNT_MAX 16

const rmt_config_row_t RMT_HOLDER_ROWS[] = {
    {"brokers", RMT_CONFIG_LIST, NULL, 1, 16, "Brokers, as host or host:base-port."},
    {"broker-key", RMT_CONFIG_TEXT, "", 0, 4096,
     "Public key of the brokers, or the path of its file; empty: the key in the token."},
    {"key", RMT_CONFIG_PATH, "", 0, 0,
     "Key file of this worker; without it the worker makes and enrols a key; empty: "
     "/var/lib/ramet/ROLE.key."},
    {"token", RMT_CONFIG_SECRET, "", 0, 4096,
     "Token that enrols the key, or the path of a file with the token."},
    {"name", RMT_CONFIG_TEXT, "", 0, 63,
     "Name of this worker in lists; empty: the name of the host."},
    {"place", RMT_CONFIG_TEXT, NULL, 1, 63, "Place whose store this worker serves."},
    {"store", RMT_CONFIG_PATH, NULL, 0, 0,
     "Folder of the store; the worker makes a missing one."},
    {"listen", RMT_CONFIG_TEXT, "", 0, 255,
     "host:port of the data port; port 0: any free port; empty: port 7710 of an imager, "
     "7711 of an installer."},
    {"addresses", RMT_CONFIG_LIST, "@", 1, 16,
     "Hosts by which peers reach the data port; @ is the broker's host, auto is this "
     "host's address towards the broker as it is at the start, or @ on the same host."},
    {"boot", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: folder of netboot files (MAC.ipxe); empty: this engine netboots no "
     "machine."},
    {"script-ca", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: file of certificates for scripts over https; empty: the system's "
     "certificates."},
    {"script-key", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: private key for scripts over ssh; empty: the keys of its user."},
    {"script-hosts", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: known hosts for scripts over ssh; empty: the known hosts of its user."},
    {"luks-passphrase", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: file, of its user alone, with the passphrase of encrypted partitions on "
     "targets; empty: none."},
    {"luks-recipient", RMT_CONFIG_TEXT, "", 0, 40,
     "Installer: public key of the admin who may read the passphrase that is made for "
     "each target; empty: none is made."},
    {"power-secrets", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: folder with the passwords of BMCs, each in a file that is called like "
     "the power-address of its machine; empty: none."},
    {"power-program", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: program that switches the machines with power=exec; empty: none."},
    {"power-wol", RMT_CONFIG_TEXT, "", 0, 255,
     "Installer: interface or broadcast address by which machines with power=wol are "
     "woken; empty: that of their records alone."},
    {"power-ca", RMT_CONFIG_PATH, "", 0, 0,
     "Installer: file of the certificates that certificates of BMCs lead to (Redfish); "
     "empty: each has its public key in power-secrets."},
    {"power-cipher", RMT_CONFIG_NUMBER, "0", 0, 17,
     "Installer: cipher suite of IPMI, such as 3 for a BMC that lacks the list of its "
     "suites; 0: the BMC is asked."},
    {"power-timeout-s", RMT_CONFIG_NUMBER, "60", 5, 600,
     "Installer: seconds that one machine has to be switched."},
    {"sign-key", RMT_CONFIG_PATH, "", 0, 0,
     "Imager: image key that signs each image that this worker commits; empty: persons "
     "sign them."},
    {"window-kib", RMT_CONFIG_NUMBER, "8192", 1024, RMT_SERVE_WINDOW / 1024,
     "KiB of chunks that may be under way to or from one peer; a cut connection sends "
     "no more than these again."},
    {"handshake-ms", RMT_CONFIG_NUMBER, "6000", RMT_HANDSHAKE_MS_MIN,
     RMT_HANDSHAKE_MS_MAX,
     "Milliseconds that a connection to the data port has until its peer has shown its "
     "key: four round trips of the slowest link."},
    {"slots", RMT_CONFIG_NUMBER, "2", 1, 64, "Tasks of one service at the same time."},
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

struct rmt_holder {
    const rmt_config_t *config;
    const char *role;
    char *name, *key_path;
    rmt_key_t key;
    char broker_key[RMT_KEY_TEXT_SIZE];
    rmt_zap_t *zap;
    rmt_serve_t *serve;
    char *addresses; // As HELLO tells them
};

static char *
s_name(const rmt_config_t *config)
{
    char host[64] = "";
    const char *name = rmt_config_text(config, "name");
    if (!*name && gethostname(host, sizeof host - 1) == 0)
        name = host;
    return rmt_text("%s", name);
}

static int
s_find_key(rmt_holder_t *self, rmt_error_t *error)
{
    if (rmt_token_broker_key(rmt_config_text(self->config, "broker-key"),
                             rmt_config_text(self->config, "token"), self->broker_key,
                             error) == -1)
        return -1;
    rmt_auto_str token = rmt_token_find(rmt_config_text(self->config, "token"), error);
    if (!token)
        return -1;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "role", self->role);
    rmt_record_set(body, "place", rmt_config_text(self->config, "place"));
    rmt_record_set(body, "name", self->name);
    const rmt_enrol_config_t config = {.brokers =
                                           rmt_config_list(self->config, "brokers"),
                                       .broker_key = self->broker_key,
                                       .token = token,
                                       .body = body,
                                       .by_signals = true};
    rmt_auto(rmt_record) answer = NULL;
    return rmt_enrol_find(&config, self->key_path, &self->key, &answer, error);
}

static int
s_start_serving(rmt_holder_t *self, rmt_serve_event_fn *event, rmt_error_t *error)
{
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(self), true, error);
    if (!store)
        return -1;
    self->zap = rmt_zap_new(error);
    if (!self->zap || rmt_zap_self_test(self->zap, error) == -1)
        return -1;
    const char *listen = rmt_config_text(self->config, "listen");
    const bool is_imager = strcmp(self->role, "imager") == 0;
    const rmt_serve_config_t config = {
        .endpoint = *listen     ? listen
                    : is_imager ? "*:7710"
                                : "*:7711",
        .own = &self->key,
        .zap = self->zap,
        .store = rmt_holder_store(self),
        .place = rmt_holder_place(self),
        .receives = is_imager,
        .window = 1024 * (uint64_t) rmt_config_number(self->config, "window-kib"),
        .handshake_ms = (uint32_t) rmt_config_number(self->config, "handshake-ms"),
        .event = event};
    self->serve = rmt_serve_new(&config, error);
    return self->serve ? 0 : rmt_wrap(error, "open the data port (the setting listen)");
}

// The hosts of the settings, joined. Caller owns the result. NULL: UNAVAILABLE.
static char *
s_addresses(const rmt_config_t *config, rmt_error_t *error)
{
    const char *const *list = rmt_config_list(config, "addresses");
    char *joined = NULL;
    for (size_t i = 0; list[i]; i++) {
        rmt_auto_str before = joined;
        rmt_auto_str host =
            strcmp(list[i], "auto") != 0
                ? rmt_text("%s", list[i])
                : rmt_own_address(rmt_config_list(config, "brokers"), error);
        if (!host)
            return NULL;
        joined = before ? rmt_text("%s,%s", before, host) : rmt_text("%s", host);
    }
    return joined;
}

rmt_holder_t *
rmt_holder_new(const rmt_config_t *config, const char *role, rmt_serve_event_fn *event,
               rmt_error_t *error)
{
    rmt_signals_block();
    rmt_auto(rmt_holder) self = calloc(1, sizeof *self);
    assert(self);
    self->config = config;
    self->role = role;
    self->name = s_name(config);
    self->key_path = *rmt_config_text(config, "key")
                         ? rmt_text("%s", rmt_config_text(config, "key"))
                         : rmt_text("/var/lib/ramet/%s.key", role);
    self->addresses = s_addresses(config, error);
    if (!self->addresses || s_find_key(self, error) == -1 ||
        s_start_serving(self, event, error) == -1)
        return NULL;
    return rmt_take(&self);
}

void
rmt_holder_destroy(rmt_holder_t **self_p)
{
    rmt_holder_t *self = *self_p;
    if (!self)
        return;
    rmt_serve_destroy(&self->serve);
    rmt_zap_destroy(&self->zap);
    rmt_key_wipe(&self->key);
    free(self->name);
    free(self->key_path);
    free(self->addresses);
    free(self);
    *self_p = NULL;
}

const rmt_config_t *
rmt_holder_config(const rmt_holder_t *self)
{
    return self->config;
}

const char *
rmt_holder_store(const rmt_holder_t *self)
{
    return rmt_config_text(self->config, "store");
}

const char *
rmt_holder_place(const rmt_holder_t *self)
{
    return rmt_config_text(self->config, "place");
}

const rmt_key_t *
rmt_holder_key(const rmt_holder_t *self)
{
    return &self->key;
}

static void
s_on_peers(void *context, const char *place, const rmt_records_t *items)
{
    (void) place;
    rmt_holder_t *self = context;
    rmt_serve_peers(self->serve, items);
}

// What changes is told once, so that a worker that serves says so, and one that does not
// says why.
static bool
s_on_link(void *context, bool is_welcome, const rmt_error_t *trouble)
{
    const rmt_holder_t *self = context;
    if (is_welcome)
        rmt_log(RMT_INFO, "worker.connected", "place=%s addresses=%s port=%u",
                rmt_holder_place(self), self->addresses, rmt_serve_port(self->serve));
    else if (trouble->code != RMT_E_OK)
        rmt_log(RMT_WARN, "worker.apart", "place=%s error=\"%s\"", rmt_holder_place(self),
                trouble->text);
    return true;
}

static rmt_record_t *
s_hello(const rmt_holder_t *self)
{
    rmt_record_t *hello = rmt_record_new();
    rmt_record_set_u64(hello, "port", rmt_serve_port(self->serve));
    rmt_record_set(hello, "key", self->key.public_text);
    rmt_record_set(hello, "place", rmt_holder_place(self));
    rmt_record_set(hello, "addresses", self->addresses);
    rmt_auto_str identity = rmt_inventory_own_identity();
    if (identity)
        rmt_record_set(hello, "identity", identity);
    return hello;
}

int
rmt_holder_run(rmt_holder_t *self, const rmt_holder_service_t *services, size_t count,
               rmt_error_t *error)
{
    assert(count <= SERVICE_COUNT_MAX);
    char names[SERVICE_COUNT_MAX][192];
    rmt_service_t offered[SERVICE_COUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s@%s", services[i].verb,
                 rmt_holder_place(self));
        offered[i] = (rmt_service_t){names[i], services[i].slots, services[i].run};
    }
    rmt_auto(rmt_hosts) brokers =
        rmt_hosts_new(rmt_config_list(self->config, "brokers"), RMT_PORT_WORKERS, error);
    if (!brokers)
        return -1;
    rmt_auto(rmt_record) hello = s_hello(self);
    const rmt_worker_config_t config = {.brokers = rmt_hosts_list(brokers),
                                        .own = &self->key,
                                        .broker_key = self->broker_key,
                                        .role = self->role,
                                        .name = self->name,
                                        .hello = hello,
                                        .store = rmt_config_text(self->config, "store"),
                                        .services = offered,
                                        .service_count = count,
                                        .context = self,
                                        .on_peers = s_on_peers,
                                        .on_link = s_on_link};
    rmt_auto(rmt_worker) worker = rmt_worker_new(&config, error);
    return worker ? rmt_worker_run(worker, error) : -1;
}
