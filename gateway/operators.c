#include "gateway/operators.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "console/object.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_secret.h"
#include "gateway/acts.h"
#include "gateway/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ACT_MS 1000 // After which one more is allowed

typedef struct {
    char *name;
    rmt_id_t secret;     // The digest
    int64_t acts_end_ms; // When all acts that were taken are forgotten
    char *path;
    call_t call; // Of the thread that does acts
} operator_t;

struct operators {
    operator_t all[OPERATORS_MAX];
    size_t count;
};

void
operators_destroy(operators_t **self_p)
{
    assert(self_p);
    operators_t *self = rmt_take(self_p);
    for (size_t i = 0; self && i < self->count; i++) {
        call_close(&self->all[i].call);
        rmt_key_wipe(&self->all[i].call.own);
        free(self->all[i].name);
        free(self->all[i].path);
    }
    free(self);
}

// NAME of .../NAME.cfg. Caller owns. NULL: CONFIG.
static char *
s_name(const char *path, rmt_error_t *error)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(path, '.');
    if (slash == path + strlen(path) || !slash || !dot || dot <= slash + 1 ||
        strcmp(dot, ".cfg") != 0) {
        rmt_fail(error, RMT_E_CONFIG,
                 "the setting operators has %s, and not a path such as "
                 "/etc/ramet/operators/NAME.cfg",
                 path);
        return NULL;
    }
    return rmt_text("%.*s", (int) (dot - slash - 1), slash + 1);
}

static int
s_load(operator_t *one, const char *path, rmt_error_t *error)
{
    one->path = strdup(path);
    one->name = s_name(path, error);
    if (!one->name)
        return -1;
    rmt_auto_str file = rmt_text("%.*s.token", (int) (strlen(path) - 4), path);
    char *secret = NULL;
    if (settings_load_secret(file, "token of an operator", &secret, error) == -1)
        return -1;
    rmt_id_compute(&one->secret, secret, strlen(secret));
    rmt_secret_free(&secret);
    one->call = (call_t){.options = rmt_record_new(), .config_path = one->path};
    return call_connect(&one->call, error) == -1
               ? rmt_wrap(error, "operator %s", one->name)
               : 0;
}

// One without a secret of its own would act in the name of another.
static int
s_check(const operators_t *self, const operator_t *one, rmt_error_t *error)
{
    for (const operator_t *other = self->all; other < one; other++)
        if (rmt_id_equal(&other->secret, &one->secret) ||
            strcmp(other->name, one->name) == 0)
            return rmt_fail(error, RMT_E_CONFIG,
                            "the operators %s and %s have one secret or one name; give "
                            "each its own, made with: openssl rand -hex 24",
                            other->name, one->name);
    return 0;
}

operators_t *
operators_new(const char *const *paths, rmt_error_t *error)
{
    assert(paths && error);
    operators_t *self = calloc(1, sizeof *self);
    assert(self);
    for (; *paths; paths++) {
        assert(self->count < OPERATORS_MAX);
        operator_t *one = &self->all[self->count++];
        if (s_load(one, *paths, error) == -1 || s_check(self, one, error) == -1) {
            operators_destroy(&self);
            return NULL;
        }
    }
    return self;
}

bool
operators_are_any(const operators_t *self)
{
    return self->count > 0;
}

// Digests are compared, all of them, so that the time tells nothing of secrets.
const char *
operators_find(const operators_t *self, const char *secret)
{
    rmt_id_t id;
    const char *name = NULL;
    rmt_id_compute(&id, secret, strlen(secret));
    for (size_t i = 0; i < self->count; i++)
        if (rmt_id_equal(&id, &self->all[i].secret))
            name = self->all[i].name;
    return name;
}

static operator_t *
s_find(operators_t *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->all[i].name, name) == 0)
            return &self->all[i];
    assert(false); // operators_find has named it
    return NULL;
}

bool
operators_take_act(operators_t *self, const char *name, int64_t now_ms)
{
    operator_t *one = s_find(self, name);
    const int64_t from_ms = one->acts_end_ms > now_ms ? one->acts_end_ms : now_ms;
    if (from_ms + ACT_MS > now_ms + (int64_t) OPERATORS_ACTS_MAX * ACT_MS)
        return false;
    one->acts_end_ms = from_ms + ACT_MS;
    return true;
}

// The names of the requests of an act, by its key and by what it asks.
static void
s_set_once(const operators_act_t *act, call_once_t *once_out)
{
    rmt_id_t id;
    rmt_id_compute(&id, act->key, strlen(act->key));
    memcpy(once_out->key, id.bytes + RMT_ID_SIZE - RMT_UID_SIZE, RMT_UID_SIZE);
    rmt_auto_str all = rmt_text("%s\n%s\n%s", act->key, act->path, act->body);
    rmt_id_compute(&id, all, strlen(all));
    memcpy(once_out->content, id.bytes + RMT_ID_SIZE - RMT_UID_SIZE, RMT_UID_SIZE);
}

static char *
s_who(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = call_request(call, "key.whoami", NULL, NULL, error);
    return reply ? object_record(reply->body, NULL, NULL) : NULL;
}

char *
operators_act(operators_t *self, const operators_act_t *act, rmt_error_t *error)
{
    assert(self && act && error);
    call_t *call = &s_find(self, act->name)->call;
    if (strcmp(act->path, OPERATORS_WHO) == 0)
        return s_who(call, error);
    call_once_t once;
    s_set_once(act, &once);
    call->once = &once;
    char *answer = acts_run(call, act->path, act->body, error);
    call->once = NULL;
    rmt_log(answer ? RMT_INFO : RMT_WARN, "gateway.act",
            "by=%s path=%s code=%s text=\"%s\"", act->name, act->path,
            rmt_code_name(answer ? RMT_E_OK : error->code), answer ? "" : error->text);
    return answer;
}
