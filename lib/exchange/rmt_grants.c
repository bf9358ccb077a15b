#include "exchange/rmt_grants.h"
#include <assert.h>
#include <czmq.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "crypto/rmt_key.h"
#include "net/rmt_socket.h"

#define ROOTS_MAX 256 // For one key; the oldest goes first
#define USE_MS 600000 // A grant does not end while it is being used
#define LEFT_MAX_MS ((uint64_t) 30 * 24 * 3600 * 1000)

typedef struct {
    rmt_id_t id;
    int64_t until_ms; // 0: until dropped
} s_root_t;

typedef struct {
    bool offer;
    int64_t offer_until_ms;
    s_root_t roots[ROOTS_MAX];
    size_t count;
} s_grant_t;

struct rmt_grants {
    rmt_zap_t *zap;
    zhashx_t *table; // Public key -> s_grant_t
};

static void
s_grant_free(void **grant_p)
{
    free(*grant_p);
    *grant_p = NULL;
}

rmt_grants_t *
rmt_grants_new(rmt_zap_t *zap)
{
    rmt_grants_t *self = calloc(1, sizeof(*self));
    assert(self);
    self->zap = zap;
    self->table = zhashx_new();
    zhashx_set_destructor(self->table, s_grant_free);
    return self;
}

void
rmt_grants_destroy(rmt_grants_t **self_p)
{
    assert(self_p);
    rmt_grants_t *self = rmt_take(self_p);
    if (!self)
        return;
    zhashx_destroy(&self->table);
    free(self);
}

static bool
s_lives(int64_t until_ms, int64_t now_ms)
{
    return until_ms == 0 || now_ms < until_ms;
}

// A capture may last longer than any grant that is given in advance.
static bool
s_use(int64_t *until_ms, int64_t now_ms)
{
    if (!s_lives(*until_ms, now_ms))
        return false;
    if (*until_ms && *until_ms < now_ms + USE_MS)
        *until_ms = now_ms + USE_MS;
    return true;
}

static void
s_remove_root(s_grant_t *grant, size_t index)
{
    grant->count--;
    memmove(&grant->roots[index], &grant->roots[index + 1],
            (grant->count - index) * sizeof(*grant->roots));
}

static void
s_drop_root(s_grant_t *grant, const rmt_id_t *id)
{
    for (size_t i = grant->count; i-- > 0;)
        if (rmt_id_equal(&grant->roots[i].id, id))
            s_remove_root(grant, i);
}

static void
s_add_root(s_grant_t *grant, const rmt_id_t *id, int64_t until_ms)
{
    s_drop_root(grant, id);
    if (grant->count == ROOTS_MAX)
        s_remove_root(grant, 0);
    grant->roots[grant->count++] = (s_root_t){.id = *id, .until_ms = until_ms};
}

static s_grant_t *
s_require(rmt_grants_t *self, const char *key)
{
    s_grant_t *grant = zhashx_lookup(self->table, key);
    if (!grant) {
        grant = calloc(1, sizeof(*grant));
        assert(grant);
        zhashx_insert(self->table, key, grant);
        rmt_zap_allow(self->zap, rmt_socket_domain(RMT_SOCKET_DATA_SERVER), key);
    }
    return grant;
}

static void
s_settle(rmt_grants_t *self, const char *key)
{
    const s_grant_t *grant = zhashx_lookup(self->table, key);
    if (!grant || grant->offer || grant->count)
        return;
    rmt_zap_deny(self->zap, rmt_socket_domain(RMT_SOCKET_DATA_SERVER), key);
    zhashx_delete(self->table, key);
}

static void
s_add(rmt_grants_t *self, const char *key, const uint8_t *roots, size_t count,
      int64_t until_ms)
{
    s_grant_t *grant = s_require(self, key);
    if (count == 0) {
        grant->offer = true;
        grant->offer_until_ms = until_ms;
    }
    for (size_t i = 0; i < count; i++) {
        rmt_id_t id;
        memcpy(id.bytes, roots + i * RMT_ID_SIZE, RMT_ID_SIZE);
        s_add_root(grant, &id, until_ms);
    }
}

static void
s_drop(rmt_grants_t *self, const char *key, const uint8_t *roots, size_t count)
{
    s_grant_t *grant = zhashx_lookup(self->table, key);
    if (!grant)
        return;
    if (count == 0) {
        grant->offer = false;
        grant->count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        rmt_id_t id;
        memcpy(id.bytes, roots + i * RMT_ID_SIZE, RMT_ID_SIZE);
        s_drop_root(grant, &id);
    }
    s_settle(self, key);
}

// What is left of a grant travels, so no two clocks are ever compared.
static int64_t
s_until(const rmt_record_t *item, int64_t now_ms)
{
    const uint64_t left_ms = rmt_record_u64(item, "left-ms", 0);
    if (left_ms == 0)
        return 0;
    return now_ms + (int64_t) (left_ms < LEFT_MAX_MS ? left_ms : LEFT_MAX_MS);
}

int
rmt_grants_apply(rmt_grants_t *self, const rmt_record_t *item, int64_t now_ms,
                 rmt_error_t *error)
{
    const char *key = rmt_record_text(item, "key", "");
    const char *op = rmt_record_text(item, "op", "");
    size_t size = 0;
    const uint8_t *roots = rmt_record_get(item, "roots", &size);
    size = roots ? size : 0;
    if (!rmt_key_is_valid(key) || size % RMT_ID_SIZE != 0)
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "a grant has no valid key, or its roots are not whole ids");
    const int64_t until_ms = s_until(item, now_ms);
    if (streq(op, "add"))
        s_add(self, key, roots, size / RMT_ID_SIZE, until_ms);
    else if (streq(op, "drop"))
        s_drop(self, key, roots, size / RMT_ID_SIZE);
    else
        return rmt_fail(error, RMT_E_PROTOCOL, "a grant has an unknown op");
    return 0;
}

void
rmt_grants_expire(rmt_grants_t *self, int64_t now_ms)
{
    rmt_auto(zlistx) keys = zhashx_keys(self->table);
    for (const char *key = zlistx_first(keys); key; key = zlistx_next(keys)) {
        s_grant_t *grant = zhashx_lookup(self->table, key);
        grant->offer = grant->offer && s_lives(grant->offer_until_ms, now_ms);
        for (size_t i = grant->count; i-- > 0;)
            if (!s_lives(grant->roots[i].until_ms, now_ms))
                s_remove_root(grant, i);
        s_settle(self, key);
    }
}

bool
rmt_grants_has(const rmt_grants_t *self, const char *key)
{
    return zhashx_lookup(self->table, key) != NULL;
}

bool
rmt_grants_offers(const rmt_grants_t *self, const char *key, int64_t now_ms)
{
    const s_grant_t *grant = zhashx_lookup(self->table, key);
    return grant && grant->offer && s_lives(grant->offer_until_ms, now_ms);
}

bool
rmt_grants_may_offer(rmt_grants_t *self, const char *key, int64_t now_ms)
{
    s_grant_t *grant = zhashx_lookup(self->table, key);
    return grant && grant->offer && s_use(&grant->offer_until_ms, now_ms);
}

bool
rmt_grants_may_fetch(rmt_grants_t *self, const char *key, const rmt_id_t *root,
                     int64_t now_ms)
{
    s_grant_t *grant = zhashx_lookup(self->table, key);
    for (size_t i = 0; grant && i < grant->count; i++)
        if (rmt_id_equal(&grant->roots[i].id, root))
            return s_use(&grant->roots[i].until_ms, now_ms);
    return false;
}

bool
rmt_grants_knows(const rmt_grants_t *self, const char *key, int64_t now_ms)
{
    const s_grant_t *grant = zhashx_lookup(self->table, key);
    if (!grant)
        return false;
    for (size_t i = 0; i < grant->count; i++)
        if (s_lives(grant->roots[i].until_ms, now_ms))
            return true;
    return grant->offer && s_lives(grant->offer_until_ms, now_ms);
}
