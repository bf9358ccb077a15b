#include "broker/keyring.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

struct rmt_keyring {
    rmt_broker_t *broker;
    zhashx_t *keys; // Public key -> rmt_record_t
    void (*done)(rmt_broker_t *broker);
};

static const struct {
    const char *role;
    rmt_socket_kind_t ports[2]; // The same twice: one only
} s_roles[] = {
    {"admin", {RMT_SOCKET_BROKER_CONSOLE, RMT_SOCKET_BROKER_EVENTS}},
    {"operator", {RMT_SOCKET_BROKER_CONSOLE, RMT_SOCKET_BROKER_EVENTS}},
    {"viewer", {RMT_SOCKET_BROKER_CONSOLE, RMT_SOCKET_BROKER_EVENTS}},
    {"dashboard", {RMT_SOCKET_BROKER_CONSOLE, RMT_SOCKET_BROKER_EVENTS}},
    {"imager", {RMT_SOCKET_BROKER_WORKERS, RMT_SOCKET_BROKER_WORKERS}},
    {"installer", {RMT_SOCKET_BROKER_WORKERS, RMT_SOCKET_BROKER_WORKERS}},
    {"source", {RMT_SOCKET_BROKER_AGENTS, RMT_SOCKET_BROKER_AGENTS}},
    {"target", {RMT_SOCKET_BROKER_AGENTS, RMT_SOCKET_BROKER_AGENTS}},
    {"firstboot", {RMT_SOCKET_BROKER_AGENTS, RMT_SOCKET_BROKER_AGENTS}},
};

static void
s_destroy_record(void **item_p)
{
    rmt_record_destroy((rmt_record_t **) item_p);
}

rmt_keyring_t *
rmt_keyring_new(rmt_broker_t *broker)
{
    rmt_keyring_t *self = zmalloc(sizeof *self);
    self->broker = broker;
    self->keys = zhashx_new();
    zhashx_set_destructor(self->keys, s_destroy_record);
    return self;
}

void
rmt_keyring_destroy(rmt_keyring_t **self_p)
{
    rmt_keyring_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->keys);
        free(self);
        *self_p = NULL;
    }
}

// A used key of a first boot may still hear that its report was taken.
static bool
s_may_act(const rmt_record_t *record)
{
    const char *state = rmt_record_text(record, "state", "");
    return streq(state, "approved") || streq(state, "used");
}

static void
s_guard(rmt_keyring_t *self, const rmt_record_t *record)
{
    const char *role = rmt_record_text(record, "role", "");
    const char *key = rmt_record_text(record, "key", "");
    for (size_t i = 0; i < sizeof s_roles / sizeof *s_roles; i++) {
        if (!streq(s_roles[i].role, role))
            continue;
        for (size_t n = 0; n < 2; n++) {
            const char *domain = rmt_socket_domain(s_roles[i].ports[n]);
            if (s_may_act(record))
                rmt_zap_allow(self->broker->zap, domain, key);
            else
                rmt_zap_deny(self->broker->zap, domain, key);
        }
    }
    if (!s_may_act(record))
        rmt_connections_end(self->broker->connections[RMT_PORT_EVENTS], key);
}

void
rmt_keyring_put(rmt_keyring_t *self, const rmt_record_t *record)
{
    const char *key = rmt_record_text(record, "key", "");
    const rmt_record_t *old = zhashx_lookup(self->keys, key);
    if (!rmt_key_is_valid(key) || (old && rmt_record_equal(old, record)))
        return;
    if (old && rmt_record_is(old, "role", "admin"))
        return; // A file's word stands over that of Redis
    zhashx_update(self->keys, key, rmt_record_dup(record));
    s_guard(self, record);
}

void
rmt_keyring_forget(rmt_keyring_t *self)
{
    rmt_auto(zlistx) keys = zhashx_keys(self->keys);
    for (const char *key = zlistx_first(keys); key; key = zlistx_next(keys)) {
        rmt_record_t *record = zhashx_lookup(self->keys, key);
        if (rmt_record_is(record, "role", "admin"))
            continue;
        rmt_record_set(record, "state", "forgotten");
        s_guard(self, record);
        zhashx_delete(self->keys, key);
    }
}

// The admin of this name, or NULL.
static const rmt_record_t *
s_find_admin(const rmt_keyring_t *self, const char *name)
{
    for (const rmt_record_t *record = zhashx_first(self->keys); record;
         record = zhashx_next(self->keys))
        if (rmt_record_is(record, "role", "admin") && rmt_record_is(record, "name", name))
            return record;
    return NULL;
}

bool
rmt_keyring_has_admin(const rmt_keyring_t *self, const char *name)
{
    return s_find_admin(self, name) != NULL;
}

void
rmt_keyring_list_admins(const rmt_keyring_t *self, rmt_msg_t *reply)
{
    if (!reply->items)
        reply->items = rmt_records_new();
    for (const rmt_record_t *record = zhashx_first(self->keys); record;
         record = zhashx_next(self->keys)) {
        if (rmt_record_is(record, "role", "admin")) {
            rmt_record_t *copy = rmt_record_dup(record);
            rmt_records_append(reply->items, &copy);
        }
    }
}

int
rmt_keyring_add_admins(rmt_keyring_t *self, rmt_error_t *error)
{
    for (const char *const *path = self->broker->settings->admins; *path; path++) {
        rmt_key_t key;
        if (rmt_key_load_public(&key, *path, error) == -1)
            return rmt_wrap(error, "admins");
        const char *slash = strrchr(*path, '/');
        const char *name = slash ? slash + 1 : *path;
        rmt_auto_str own = rmt_text("%.*s", (int) strcspn(name, "."), name);
        const rmt_record_t *other = s_find_admin(self, own);
        if (other && !rmt_record_is(other, "key", key.public_text))
            return rmt_fail(error, RMT_E_CONFIG,
                            "two files of the setting admins have the name %s; name %s "
                            "after another person",
                            own, *path);
        rmt_auto(rmt_record) record = rmt_record_new();
        rmt_record_set(record, "key", key.public_text);
        rmt_record_set(record, "role", "admin");
        rmt_record_set(record, "name", own);
        rmt_record_set(record, "state", "approved");
        rmt_keyring_put(self, record);
    }
    return 0;
}

const rmt_record_t *
rmt_keyring_find(const rmt_keyring_t *self, const char *user)
{
    const rmt_record_t *record = zhashx_lookup(self->keys, user);
    return record && s_may_act(record) ? record : NULL;
}

// ---- From Redis

static void s_ask_page(rmt_keyring_t *self, const char *cursor);

static void
s_take_page(void *context, rmt_msg_t *reply)
{
    rmt_keyring_t *self = context;
    if (reply->code == RMT_E_CANCELLED)
        return;
    if (reply->code != RMT_E_OK) {
        rmt_log(RMT_WARN, "keys.unread", "text=\"%s\"", reply->text ? reply->text : "");
        self->broker->is_opening = false; // Tried again when Redis is back or by the scan
        return;
    }
    for (size_t i = 0; i < rmt_records_count(reply->items); i++)
        rmt_keyring_put(self, rmt_records_at(reply->items, i));
    if (reply->cursor && *reply->cursor)
        s_ask_page(self, reply->cursor);
    else
        self->done(self->broker);
}

static void
s_ask_page(rmt_keyring_t *self, const char *cursor)
{
    rmt_auto(rmt_record) meta = rmt_record_new();
    rmt_record_set(meta, "cursor", cursor);
    const rmt_call_t call = {.function = "key_list", .meta = meta};
    rmt_state_call(self->broker->state, &call, s_take_page, self);
}

void
rmt_keyring_load(rmt_keyring_t *self, void (*done)(rmt_broker_t *broker))
{
    self->done = done;
    s_ask_page(self, "");
}

static void
s_take_one(void *context, rmt_msg_t *reply)
{
    if (reply->code == RMT_E_OK)
        rmt_keyring_put(context, reply->body);
}

void
rmt_keyring_refresh(rmt_keyring_t *self, const char *key)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "key", key);
    rmt_broker_call(self->broker, "key_get", body, s_take_one, self);
}
