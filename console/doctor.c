#include "console/doctor.h"
#include "console/trust_file.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_sign.h"

#include <assert.h>
#include <string.h>

doctor_t *
doctor_new(void)
{
    doctor_t *self = zmalloc(sizeof *self);
    self->status = rmt_record_new();
    self->services = rmt_records_new();
    self->own = rmt_records_new();
    self->told = rmt_records_new();
    return self;
}

void
doctor_destroy(doctor_t **self_p)
{
    assert(self_p);
    doctor_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_record_destroy(&self->status);
    rmt_records_destroy(&self->services);
    rmt_records_destroy(&self->own);
    rmt_records_destroy(&self->told);
    free(self);
}

static void
s_tell(doctor_t *self, const char *level, const char *check, const char *text,
       const char *next)
{
    rmt_record_t *finding = rmt_records_add(self->own);
    rmt_record_set(finding, "check", check);
    rmt_record_set(finding, "level", level);
    rmt_record_set(finding, "text", text);
    rmt_record_set(finding, "next", next);
}

// ---- The files that the settings of this console name

static void
s_check_order_key(doctor_t *self, const char *path)
{
    rmt_sign_key_t key = {0};
    rmt_error_t why = {0};
    if (*path && rmt_sign_key_load(&key, path, &why) == -1)
        s_tell(self, "wrong", "files", why.text,
               "mend the file that the setting order-key names; no deployment is signed "
               "without it");
    rmt_sign_key_wipe(&key);
}

static void
s_check_root(doctor_t *self, const char *path)
{
    rmt_error_t why = {0};
    rmt_auto(rmt_root) root = *path ? trust_load(path, &why) : NULL;
    if (why.code == RMT_E_OK && root)
        (void) rmt_root_check(root, &why);
    if (why.code != RMT_E_OK)
        s_tell(self, "wrong", "files", why.text,
               "mend the file that the setting trust-root names; see: ramet trust show");
}

// True when the console can talk to a broker.
static bool
s_check_keys(doctor_t *self, const char *own_path, const char *broker_path)
{
    rmt_key_t own = {0}, broker = {0};
    rmt_error_t why = {0}, broker_why = {0};
    const bool has_own = rmt_key_load(&own, own_path, &why) == 0;
    const bool has_broker = rmt_key_load_public(&broker, broker_path, &broker_why) == 0;
    rmt_key_wipe(&own);
    if (!has_own)
        s_tell(self, "wrong", "files", why.text,
               "mend the file that the setting key names; the console talks to no broker "
               "without it");
    if (!has_broker)
        s_tell(self, "wrong", "files", broker_why.text,
               "mend the file that the setting broker-key names; it is the public key of "
               "the brokers");
    return has_own && has_broker;
}

// ---- The brokers

static void
s_check_version(doctor_t *self, const char *broker, const rmt_msg_t *status)
{
    const char *version = rmt_record_text(status->body, "version", "?");
    if (streq(version, RMT_VERSION))
        return;
    rmt_auto_str text = rmt_text(
        "broker %s has version %s, and this console " RMT_VERSION, broker, version);
    s_tell(self, "note", "peers", text, "install the same version everywhere");
}

// What the farm is like, as this broker says.
static int
s_take_farm(doctor_t *self, rmt_client_t *client, const rmt_msg_t *status,
            rmt_error_t *error)
{
    const rmt_request_t request = {"farm.check", NULL, NULL, NULL, NULL};
    rmt_auto(rmt_msg) judged = rmt_client_request(client, &request, error);
    if (!judged)
        return -1;
    rmt_record_merge(self->status, status->body);
    rmt_record_merge(self->status, judged->body);
    rmt_records_destroy(&self->services);
    self->services = status->items ? rmt_records_dup(status->items) : rmt_records_new();
    rmt_records_destroy(&self->told);
    self->told = judged->items ? rmt_records_dup(judged->items) : rmt_records_new();
    return 0;
}

static int
s_ask_broker(doctor_t *self, call_t *call, const char *broker, bool is_first,
             rmt_error_t *error)
{
    rmt_auto(rmt_client) client = call_client(call, broker, error);
    rmt_auto(rmt_msg) status =
        client ? rmt_client_whole(client, "farm.status", NULL, error) : NULL;
    if (!status)
        return -1;
    s_check_version(self, broker, status);
    return is_first ? s_take_farm(self, client, status, error) : 0;
}

// All brokers of the settings are asked, so one that is away shows although another one
// does its work.
static int
s_ask_brokers(doctor_t *self, call_t *call, const char *const *brokers,
              rmt_error_t *error)
{
    bool has_answer = false;
    rmt_error_t first = {0};
    for (; *brokers; brokers++) {
        rmt_error_t why = {0};
        if (s_ask_broker(self, call, *brokers, !has_answer, &why) == 0) {
            has_answer = true;
            continue;
        }
        if (first.code == RMT_E_OK)
            first = why;
        const bool is_away = why.code == RMT_E_UNAVAILABLE;
        rmt_auto_str text = is_away ? rmt_text("broker %s does not answer", *brokers)
                                    : rmt_text("broker %s: %s", *brokers, why.text);
        s_tell(self, "wrong", "broker", text,
               "on its computer: systemctl status ramet-broker; one that is gone for "
               "good: take it out of the setting brokers");
    }
    if (has_answer)
        return 0;
    *error = first;
    return -1;
}

int
doctor_ask(doctor_t *self, call_t *call, rmt_error_t *error)
{
    assert(self && call && error);
    const rmt_config_t *config = call_config(call, error);
    if (!config)
        return -1;
    s_check_order_key(self, rmt_config_text(config, "order-key"));
    s_check_root(self, rmt_config_text(config, "trust-root"));
    if (!s_check_keys(self, rmt_config_text(config, "key"),
                      rmt_config_text(config, "broker-key")))
        return 0;
    return s_ask_brokers(self, call, rmt_config_list(config, "brokers"), error);
}
