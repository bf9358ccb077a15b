#include "broker/verbs.h"

#include <string.h>
#include "broker/clocks.h"
#include "broker/driver.h"
#include "broker/events.h"
#include "broker/guard.h"
#include "broker/keyring.h"
#include "broker/lanes.h"
#include "broker/peers.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"
#include "facts/rmt_fields.h"
#include "facts/rmt_location.h"
#include "facts/rmt_policy.h"

#define TOO_MANY "the broker has too many requests under way; try again in a moment"

enum {
    ADMIN = 1,
    VIEWER = 2,
    DASHBOARD = 4,
    IMAGER = 8,
    INSTALLER = 16,
    SOURCE = 32,
    TARGET = 64,
    FIRSTBOOT = 128,
    QUIET = 256,   // No role: the verb leaves no entry in the audit stream
    SETS = 512,    // No role: what it sets is checked with the record as it is
    JUDGES = 1024, // No role: it is called with the settings of Redis
    READ = ADMIN | VIEWER | DASHBOARD | QUIET,
    WORKERS = IMAGER | INSTALLER | SOURCE | TARGET,
};

typedef struct verb verb_t;

// One request on its way to Redis and back.
typedef struct {
    rmt_broker_t *broker;
    const verb_t *verb;
    zsock_t *port;
    zframe_t *route;
    rmt_origin_t origin;
    rmt_msg_t *msg;
    rmt_record_t *meta;
    size_t size; // Of the envelope
    char key[RMT_USER_SIZE];
    char lane[RMT_LANE_NAME_SIZE];
    char token[RMT_TOKEN_TEXT_SIZE];
} ask_t;

struct verb {
    const char *name;
    unsigned roles; // And QUIET, SETS, JUDGES
    const char *function;
    int (*before)(ask_t *ask, rmt_error_t *error); // Checks and adds; may be NULL
    void (*after)(ask_t *ask, rmt_msg_t *reply);   // For code 0; may be NULL
};

static const struct {
    const char *name;
    unsigned bit;
} s_roles[] = {
    {"admin", ADMIN},   {"viewer", VIEWER},       {"dashboard", DASHBOARD},
    {"imager", IMAGER}, {"installer", INSTALLER}, {"source", SOURCE},
    {"target", TARGET}, {"firstboot", FIRSTBOOT},
};

// ---- Before

// The class of records is the part of the verb before the dot.
static int
s_class(ask_t *ask, rmt_error_t *error)
{
    (void) error;
    rmt_auto_str class = strndup(ask->verb->name, strcspn(ask->verb->name, "."));
    rmt_record_set(ask->msg->body, "class", class);
    return 0;
}

static int
s_new_record(ask_t *ask, rmt_error_t *error)
{
    s_class(ask, error);
    return rmt_fields_check(rmt_record_text(ask->msg->body, "class", ""), ask->msg->body,
                            NULL, error);
}

// Each item is a record by itself: what is known of it already does not count.
static int
s_new_records(ask_t *ask, rmt_error_t *error)
{
    s_class(ask, error);
    const char *class = rmt_record_text(ask->msg->body, "class", "");
    for (size_t i = 0; i < rmt_records_count(ask->msg->items); i++) {
        if (rmt_fields_check(class, rmt_records_at(ask->msg->items, i), NULL, error) ==
            -1)
            return rmt_wrap(error, "item %zu", i + 1);
    }
    return 0;
}

static int
s_new_job(ask_t *ask, rmt_error_t *error)
{
    static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
    (void) error;
    uint8_t uid[RMT_UID_SIZE];
    char text[33], name[11] = "j-", clock[RMT_CLOCK_TEXT_SIZE], stamp[16];
    rmt_random_bytes(uid, sizeof uid);
    for (size_t i = 0; i < 8; i++) {
        const size_t bit = i * 5;
        const unsigned pair = (unsigned) uid[bit / 8] << 8 | uid[bit / 8 + 1];
        name[2 + i] = base32[pair >> (11 - bit % 8) & 31];
    }
    rmt_clock_text(rmt_clock_wall_ms(), clock);
    size_t length = 0;
    for (const char *c = clock; *c && length < 14; c++) // 20261123100000
        if (*c >= '0' && *c <= '9')
            stamp[length++] = *c;
    stamp[length] = '\0';
    rmt_record_set(ask->meta, "job", rmt_uid_text(uid, text));
    rmt_record_set(ask->meta, "job-name", name);
    rmt_record_set(ask->meta, "stamp", stamp);
    return 0;
}

// A policy is refused here and not by the matching, when the job has been made.
static int
s_new_plan(ask_t *ask, rmt_error_t *error)
{
    if (rmt_policy_check(rmt_record_text(ask->msg->body, "policy", ""), error) == -1)
        return -1;
    return s_new_job(ask, error);
}

// What is only asked about leaves nothing behind, not even its answer.
static int
s_new_install(ask_t *ask, rmt_error_t *error)
{
    if (rmt_record_flag(ask->msg->body, "dry-run"))
        rmt_record_remove(ask->meta, "idem");
    return s_new_plan(ask, error);
}

static int
s_new_token(ask_t *ask, rmt_error_t *error)
{
    (void) error;
    rmt_token_t token;
    rmt_id_t hash;
    char text[RMT_ID_TEXT_SIZE];
    rmt_token_new(&token, ask->broker->settings->own.public_text);
    rmt_token_hash(&token, &hash);
    rmt_token_text(&token, ask->token);
    rmt_record_set(ask->meta, "hash", rmt_id_text(&hash, text));
    rmt_record_remove(ask->meta, "idem"); // Its answer is not kept, for it is a secret
    return 0;
}

// A script has its contents here, or a location and the hash that they must have.
static int
s_check_script(ask_t *ask, rmt_error_t *error)
{
    size_t size = 0;
    const rmt_record_t *body = ask->msg->body;
    const void *content = rmt_record_get(body, "content", &size);
    const char *location = rmt_record_text(body, "location", "");
    const char *sha256 = rmt_record_text(body, "sha256", "");
    rmt_id_t id;
    char text[RMT_ID_TEXT_SIZE];
    if (!content == !*location)
        return rmt_fail(error, RMT_E_USAGE,
                        "a script needs either contents or a location");
    if (content) {
        rmt_id_compute(&id, content, size);
        rmt_record_set(ask->meta, "hash", rmt_id_text(&id, text));
        return 0;
    }
    rmt_location_t parsed;
    if (rmt_location_parse(location, &parsed, error) == -1)
        return -1;
    if (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64)
        return rmt_fail(error, RMT_E_USAGE,
                        "a location needs the SHA-256 of its contents: 64 digits, as "
                        "sha256sum prints them");
    rmt_record_setf(ask->meta, "hash", "%02x%s", RMT_ID_SHA256, sha256);
    return 0;
}

// An installer speaks for its own engine only.
static int
s_own_engine(ask_t *ask, rmt_error_t *error)
{
    const char *own = rmt_record_text(ask->meta, "place", "");
    if (!streq(rmt_record_text(ask->msg->body, "engine", ""), own))
        return rmt_fail(error, RMT_E_NOT_ALLOWED, "this key is for engine %s only", own);
    return 0;
}

// What the broker knows of itself. What the request says of it does not count.
static int
s_judge_broker(ask_t *ask, rmt_error_t *error)
{
    (void) error;
    rmt_error_t fault = {0};
    rmt_record_destroy(&ask->msg->body);
    rmt_record_t *body = rmt_msg_body(ask->msg);
    rmt_record_set(body, "version", RMT_VERSION);
    if (rmt_broker_check(ask->broker, &fault) == -1)
        rmt_record_set(body, "state-fault", fault.text);
    return 0;
}

// ---- After

static void
s_drive(ask_t *ask, rmt_msg_t *reply)
{
    const char *job = rmt_record_text(reply->body, "job", "");
    if (*job)
        rmt_driver_drive(ask->broker->driver, job);
}

static void
s_show_token(ask_t *ask, rmt_msg_t *reply)
{
    rmt_record_set(reply->body, "token", ask->token);
}

// The holders hear of the caller before the caller hears of them.
static void
s_announce(ask_t *ask, rmt_msg_t *reply)
{
    static const char *const inner[] = {"root", "left-ms"};
    rmt_auto(rmt_record) grant = rmt_record_dup(reply->body);
    rmt_record_set(grant, "key", ask->key);
    rmt_peers_grant(ask->broker, rmt_record_text(reply->body, "place", ""), grant);
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        rmt_record_remove(reply->body, inner[i]);
}

static void
s_add_version(ask_t *ask, rmt_msg_t *reply)
{
    (void) ask;
    rmt_record_set(reply->body, "version", RMT_VERSION);
    rmt_clocks_add_redis(reply->body);
    rmt_record_set_u64(reply->body, "refused", ask->broker->refused);
    rmt_record_set_u64(reply->body, "handshakes-refused", ask->broker->strangers);
}

static void
s_merge_targets(ask_t *ask, rmt_msg_t *reply)
{
    const char *job = rmt_record_text(reply->body, "id", "");
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        rmt_record_t *item = rmt_records_at(reply->items, i);
        rmt_auto_str topic =
            rmt_text("job/%s/target/%s", job, rmt_record_text(item, "name", ""));
        rmt_events_merge(ask->broker->events, topic, item);
    }
    const char *stage = rmt_record_text(reply->body, "stage", "");
    const char *at = rmt_record_text(reply->body, "place", "");
    rmt_auto_str service =
        streq(stage, "capture")
            ? rmt_text("capture@source/%s", rmt_record_text(reply->body, "source", ""))
            : rmt_text("%s@%s", stage, rmt_record_text(reply->body, "at", at));
    rmt_auto_str topic = rmt_text("job/%s/task/%s", job, service);
    rmt_events_merge(ask->broker->events, topic, reply->body);
}

static void
s_merge_snapshot(ask_t *ask, rmt_msg_t *reply)
{
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        rmt_record_t *item = rmt_records_at(reply->items, i);
        rmt_auto_str topic = strdup(rmt_record_text(item, "topic", ""));
        rmt_events_merge(ask->broker->events, topic, item);
    }
}

// ---- The table

#define RECORDS(class)                                                                   \
    {class ".list", READ, "record_list", s_class, NULL},                                 \
        {class ".show", READ, "record_show", s_class, NULL},                             \
        {class ".add", ADMIN, "record_add", s_new_record, NULL},                         \
        {class ".set", ADMIN | SETS, "record_set", s_class, NULL},                       \
        {class ".remove", ADMIN, "record_remove", s_class, NULL},                        \
        {class ".import", ADMIN, "record_import", s_new_records, NULL},                  \
    {                                                                                    \
        class ".approve", ADMIN, "record_approve", s_class, NULL                         \
    }

static const verb_t s_verbs[] = {
    RECORDS("source"),
    RECORDS("engine"),
    RECORDS("target"),
    {"target.hold", ADMIN, "target_hold", NULL, NULL},
    {"target.unhold", ADMIN, "target_unhold", NULL, NULL},
    {"target.protect", ADMIN, "target_protect", NULL, NULL},
    {"target.unprotect", ADMIN, "target_unprotect", NULL, NULL},
    {"image.create", ADMIN, "image_create", s_new_job, s_drive},
    {"image.list", READ, "image_list", NULL, NULL},
    {"image.show", READ, "image_show", NULL, NULL},
    {"image.verify", ADMIN, "image_verify", s_new_job, s_drive},
    {"image.receive", ADMIN, "image_receive", NULL, s_announce},
    {"image.import", ADMIN, "image_import", s_new_job, s_drive},
    {"image.sign", ADMIN, "image_sign", NULL, NULL},
    {"image.remove", ADMIN, "image_remove", NULL, NULL},
    {"image.grant", ADMIN, "image_grant", NULL, s_announce},
    {"store.check", ADMIN, "store_check", s_new_job, s_drive},
    {"store.scrub", ADMIN, "store_scrub", s_new_job, s_drive},
    {"store.gc", ADMIN, "store_gc", s_new_job, s_drive},
    {"store.pin", ADMIN, "store_pin", NULL, NULL},
    {"store.unpin", ADMIN, "store_unpin", NULL, NULL},
    {"store.pins", READ, "store_pins", NULL, NULL},
    {"deploy.plan", ADMIN, "deploy_plan", s_new_plan, s_drive},
    {"deploy.start", ADMIN, "deploy_start", s_new_install, s_drive},
    {"job.list", READ, "job_list", NULL, NULL},
    {"job.show", READ, "job_show", NULL, s_merge_targets},
    {"job.verdicts", READ, "job_verdicts", NULL, NULL},
    {"job.findings", READ, "job_findings", NULL, NULL},
    {"job.logs", READ, "job_logs", NULL, NULL},
    {"job.cancel", ADMIN, "job_cancel", NULL, NULL},
    {"job.retry", ADMIN, "job_retry", s_new_install, s_drive},
    {"lock.list", READ, "lock_list", NULL, NULL},
    {"lock.show", READ, "lock_show", NULL, NULL},
    {"lock.break", ADMIN, "lock_break", NULL, NULL},
    {"key.list", ADMIN, "key_list", NULL, NULL},
    {"key.token", ADMIN, "key_token", s_new_token, s_show_token},
    {"key.approve", ADMIN, "key_approve", NULL, NULL},
    {"key.revoke", ADMIN, "key_revoke", NULL, NULL},
    {"trust.publish", ADMIN, "trust_publish", NULL, NULL},
    {"trust.root", READ | TARGET, "trust_root", NULL, NULL},
    {"script.add", ADMIN, "script_add", s_check_script, NULL},
    {"script.list", READ, "script_list", NULL, NULL},
    {"script.remove", ADMIN, "script_remove", NULL, NULL},
    {"events.snapshot", READ, "events_snapshot", NULL, s_merge_snapshot},
    {"farm.status", READ, "farm_status", NULL, s_add_version},
    {"farm.check", READ | JUDGES, "farm_check", s_judge_broker, NULL},
    {"target.page", INSTALLER | QUIET, "target_page", s_own_engine, NULL},
    {"verdict.put", INSTALLER | QUIET, "verdict_put", s_own_engine, NULL},
    {"script.page", INSTALLER | QUIET, "script_page", s_own_engine, NULL},
    {"image.placed", IMAGER | INSTALLER, "image_placed", NULL, NULL},
    {"image.removed", IMAGER | INSTALLER, "image_removed", NULL, NULL},
    {"finding.put", WORKERS, "finding_put", NULL, NULL},
    {"holders", WORKERS, "holders", NULL, s_announce},
    {"target.heard", FIRSTBOOT, "target_heard", NULL, NULL},
    {"target.confirm", FIRSTBOOT, "target_confirm", NULL, NULL},
};

static const verb_t *
s_find(const char *name)
{
    for (size_t i = 0; i < sizeof s_verbs / sizeof *s_verbs; i++)
        if (streq(s_verbs[i].name, name))
            return &s_verbs[i];
    return NULL;
}

static unsigned
s_role_bit(const rmt_record_t *key)
{
    const char *role = rmt_record_text(key, "role", "");
    for (size_t i = 0; i < sizeof s_roles / sizeof *s_roles; i++)
        if (streq(s_roles[i].name, role))
            return s_roles[i].bit;
    return 0;
}

// ---- Asking

static void
s_ask_destroy(ask_t **self_p)
{
    ask_t *self = *self_p;
    if (self) {
        zframe_destroy(&self->route);
        rmt_msg_destroy(&self->msg);
        rmt_record_destroy(&self->meta);
        memset(self->token, 0, sizeof self->token);
        free(self);
        *self_p = NULL;
    }
}

static void
s_send(ask_t *ask, rmt_msg_t *reply)
{
    rmt_error_t error = {0};
    rmt_unsent_t *unsent = rmt_lanes_unsent(ask->broker->lanes, ask->lane);
    reply->sequence = ask->msg->sequence;
    if (rmt_socket_reply(ask->port, ask->route, reply, unsent, &error) == 0 ||
        error.code == RMT_E_NOT_FOUND)
        return; // A peer that has gone asks again
    if (error.code == RMT_E_UNAVAILABLE) {
        rmt_guard_cut(ask->broker, ask->key, &ask->origin, RMT_GUARD_DEAF);
        return;
    }
    rmt_auto(rmt_msg) other = rmt_msg_new(RMT_MSG_REPLY);
    other->sequence = ask->msg->sequence;
    other->code = RMT_E_TOO_BIG;
    rmt_msg_text(&other->text, "the answer is larger than a message may be");
    (void) rmt_socket_reply(ask->port, ask->route, other, unsent, &error);
}

static void
s_fail(ask_t *ask, rmt_code_t code, const char *text)
{
    rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->code = code;
    rmt_msg_text(&reply->text, text);
    s_send(ask, reply);
}

static void s_ask(ask_t *ask);

static ask_t *
s_leave(ask_t *ask)
{
    ask_t *next = rmt_lanes_leave(ask->broker->lanes, ask->lane, ask->size);
    s_ask_destroy(&ask);
    return next;
}

// The request is answered: the next one of its key has its turn. Those that wait behind
// answers that the peer does not read are not asked.
static void
s_end(ask_t *ask)
{
    ask_t *next = s_leave(ask);
    while (next && rmt_lanes_is_full(next->broker->lanes, next->lane)) {
        s_fail(next, RMT_E_BUSY, TOO_MANY);
        next = s_leave(next);
    }
    if (next)
        s_ask(next);
}

static void
s_on_reply(void *context, rmt_msg_t *reply)
{
    ask_t *ask = context;
    if (reply->code == RMT_E_OK && ask->verb->after)
        ask->verb->after(ask, reply);
    if (reply->code == RMT_E_NOT_ALLOWED)
        rmt_guard_refuse(ask->broker, ask->key, &ask->origin, ask->verb->name,
                         reply->text ? reply->text : "");
    if (reply->code != RMT_E_CANCELLED) { // Else the broker ends: the asker tries again
        s_send(ask, reply);
        if (!(ask->verb->roles & QUIET))
            rmt_events_tail(ask->broker->events);
    }
    s_end(ask);
}

static rmt_record_t *
s_meta(const rmt_record_t *key, const rmt_msg_t *msg)
{
    static const uint8_t none[RMT_UID_SIZE] = {0};
    rmt_record_t *meta = rmt_record_new();
    rmt_record_set(meta, "by", rmt_record_text(key, "key", ""));
    rmt_record_set(meta, "role", rmt_record_text(key, "role", ""));
    rmt_record_set(meta, "name", rmt_record_text(key, "name", ""));
    rmt_record_set(meta, "place", rmt_record_text(key, "place", ""));
    rmt_record_set(meta, "epoch", rmt_record_text(key, "epoch", ""));
    rmt_record_set(meta, "cursor", msg->cursor ? msg->cursor : "");
    if (memcmp(msg->idempotency, none, sizeof none) != 0) {
        char text[33];
        rmt_record_set(meta, "idem", rmt_uid_text(msg->idempotency, text));
    }
    return meta;
}

static void
s_call(ask_t *ask)
{
    const rmt_call_t call = {.function = ask->verb->function,
                             .meta = ask->meta,
                             .body = ask->msg->body,
                             .items = ask->msg->items};
    rmt_state_call(ask->broker->state, &call, s_on_reply, ask);
}

// What is set is checked together with what the record has, so that an address may have
// its length from there. A change that comes between is found by the plan.
static void
s_on_record(void *context, rmt_msg_t *reply)
{
    ask_t *ask = context;
    rmt_error_t error = {0};
    const char *class = rmt_record_text(ask->msg->body, "class", "");
    if (reply->code != RMT_E_OK) {
        s_on_reply(ask, reply);
    } else if (rmt_fields_check(class, ask->msg->body, reply->body, &error) == -1) {
        s_fail(ask, error.code, error.text);
        s_end(ask);
    } else {
        s_call(ask);
    }
}

static void
s_on_settings(void *context, rmt_msg_t *reply)
{
    ask_t *ask = context;
    if (reply->code == RMT_E_OK)
        rmt_record_merge(ask->msg->body, rmt_msg_body(reply));
    else
        rmt_record_set(ask->msg->body, "settings-fault", reply->text);
    s_call(ask);
}

static void
s_call_with_settings(ask_t *ask)
{
    rmt_broker_call(ask->broker, RMT_STATE_SETTINGS, NULL, s_on_settings, ask);
}

static void
s_call_with_record(ask_t *ask)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "class", rmt_record_text(ask->msg->body, "class", ""));
    rmt_record_set(body, "name", rmt_record_text(ask->msg->body, "name", ""));
    rmt_broker_call(ask->broker, "record_show", body, s_on_record, ask);
}

static void
s_ask(ask_t *ask)
{
    rmt_error_t error = {0};
    const verb_t *verb = ask->verb;
    if (!rmt_keyring_find(ask->broker->keyring, ask->key)) {
        s_fail(ask, RMT_E_NOT_ALLOWED, RMT_BROKER_NO_KEY); // Revoked while it waited
        s_end(ask);
        return;
    }
    if (verb->before && verb->before(ask, &error) == -1) {
        s_fail(ask, error.code, error.text);
        if (error.code == RMT_E_NOT_ALLOWED)
            rmt_guard_refuse(ask->broker, ask->key, &ask->origin, verb->name, error.text);
        s_end(ask);
        return;
    }
    if (verb->roles & SETS)
        s_call_with_record(ask);
    else if (verb->roles & JUDGES)
        s_call_with_settings(ask);
    else
        s_call(ask);
}

// Reading is repeated at will: an answer of an old state is not kept for it.
static void
s_enter(ask_t *ask, const rmt_record_t *key)
{
    ask->meta = s_meta(key, ask->msg);
    if (ask->verb->roles & VIEWER)
        rmt_record_remove(ask->meta, "idem");
    (void) rmt_msg_body(ask->msg);
    switch (rmt_lanes_enter(ask->broker->lanes, ask->lane, ask->size,
                            s_role_bit(key) == ADMIN, ask)) {
    case RMT_LANE_GO:
        s_ask(ask);
        break;
    case RMT_LANE_WAIT:
        break;
    case RMT_LANE_BUSY:
        s_fail(ask, RMT_E_BUSY, TOO_MANY);
        s_ask_destroy(&ask);
    }
}

void
rmt_verbs_answer(rmt_broker_t *broker, zsock_t *port, const rmt_record_t *key,
                 rmt_packet_t *packet)
{
    rmt_auto_str name = strdup(packet->msg->verb ? packet->msg->verb : "");
    ask_t *ask = zmalloc(sizeof *ask);
    ask->broker = broker;
    ask->port = port;
    ask->route = rmt_take(&packet->route);
    ask->msg = rmt_take(&packet->msg);
    ask->origin = packet->origin;
    rmt_guard_lane(broker, packet, ask->lane);
    ask->size = packet->size;
    snprintf(ask->key, sizeof ask->key, "%s", packet->user);
    ask->verb = s_find(name);
    if (ask->verb && (ask->verb->roles & s_role_bit(key)) && rmt_broker_is_open(broker)) {
        s_enter(ask, key);
        return;
    }
    if (!ask->verb) {
        rmt_auto_str text = rmt_text("the verb %.64s does not exist", name);
        s_fail(ask, RMT_E_UNSUPPORTED, text);
    } else if (!rmt_broker_is_open(broker)) {
        s_fail(ask, RMT_E_UNAVAILABLE, RMT_BROKER_NOT_OPEN);
    } else {
        rmt_auto_str text = rmt_text("a key with role %s may not use the verb %s",
                                     rmt_record_text(key, "role", "?"), name);
        s_fail(ask, RMT_E_NOT_ALLOWED, text);
        rmt_guard_refuse(broker, ask->key, &ask->origin, name, text);
    }
    s_ask_destroy(&ask);
}
