#include "broker/verbs.h"

#include <assert.h>
#include <string.h>
#include "broker/audit.h"
#include "broker/clocks.h"
#include "broker/driver.h"
#include "broker/events.h"
#include "broker/keyring.h"
#include "broker/peers.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"
#include "facts/rmt_fields.h"
#include "facts/rmt_location.h"
#include "facts/rmt_policy.h"

enum {
    ADMIN = 1,
    VIEWER = 2,
    DASHBOARD = 4,
    IMAGER = 8,
    INSTALLER = 16,
    SOURCE = 32,
    TARGET = 64,
    FIRSTBOOT = 128,
    QUIET = RMT_VERB_QUIET,
    SETS = RMT_VERB_SETS,
    JUDGES = RMT_VERB_JUDGES,
    OPERATOR = 4096,
    WORK = ADMIN | OPERATOR,
    PEOPLE = WORK | VIEWER | DASHBOARD,
    READ = PEOPLE | QUIET | RMT_VERB_READS,
    AUDIT = ADMIN | QUIET | RMT_VERB_READS,
    WORKERS = IMAGER | INSTALLER | SOURCE | TARGET,
};

static const struct {
    const char *name;
    unsigned bit;
} s_roles[] = {
    {"admin", ADMIN},         {"operator", OPERATOR}, {"viewer", VIEWER},
    {"dashboard", DASHBOARD}, {"imager", IMAGER},     {"installer", INSTALLER},
    {"source", SOURCE},       {"target", TARGET},     {"firstboot", FIRSTBOOT},
};

static unsigned
s_role_bit(const char *role)
{
    for (size_t i = 0; i < sizeof s_roles / sizeof *s_roles; i++)
        if (streq(s_roles[i].name, role))
            return s_roles[i].bit;
    return 0;
}

// ---- Before

// The class of records is the part of the verb before the dot.
static int
s_class(rmt_ask_t *ask, rmt_error_t *error)
{
    (void) error;
    rmt_auto_str class = strndup(ask->verb->name, strcspn(ask->verb->name, "."));
    rmt_record_set(ask->msg->body, "class", class);
    return 0;
}

static int
s_new_record(rmt_ask_t *ask, rmt_error_t *error)
{
    s_class(ask, error);
    return rmt_fields_check(rmt_record_text(ask->msg->body, "class", ""), ask->msg->body,
                            NULL, error);
}

// Each item is a record by itself: what is known of it already does not count.
static int
s_new_records(rmt_ask_t *ask, rmt_error_t *error)
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
s_new_job(rmt_ask_t *ask, rmt_error_t *error)
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
s_new_plan(rmt_ask_t *ask, rmt_error_t *error)
{
    if (rmt_policy_check(rmt_record_text(ask->msg->body, "policy", ""), error) == -1)
        return -1;
    return s_new_job(ask, error);
}

// What is only asked about leaves nothing behind, not even its answer.
static int
s_new_install(rmt_ask_t *ask, rmt_error_t *error)
{
    if (rmt_record_flag(ask->msg->body, "dry-run"))
        rmt_record_remove(ask->meta, "idem");
    return s_new_plan(ask, error);
}

static int
s_new_key(rmt_ask_t *ask, rmt_error_t *error)
{
    if (rmt_key_is_valid(rmt_record_text(ask->msg->body, "key", "")))
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "the request names no public key of 40 Z85 characters; use: "
                    "ramet key rotate");
}

static int
s_new_token(rmt_ask_t *ask, rmt_error_t *error)
{
    (void) error;
    rmt_token_t token;
    rmt_id_t hash;
    char text[RMT_ID_TEXT_SIZE];
    rmt_token_new(&token, ask->broker->settings->own.public_text);
    rmt_token_hash(&token, &hash);
    rmt_token_text(&token, ask->token);
    rmt_record_set(ask->meta, "hash", rmt_id_text(&hash, text));
    rmt_record_set(ask->meta, "token", token.id); // The part of it that is no secret
    rmt_record_remove(ask->meta, "idem"); // Its answer is not kept, for it is a secret
    return 0;
}

// A script has its contents here, or a location and the hash that they must have.
static int
s_check_script(rmt_ask_t *ask, rmt_error_t *error)
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

static int
s_may_relay(rmt_ask_t *ask, rmt_error_t *error)
{
    if (ask->broker->settings->relays)
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "relays are off in this broker's configuration (relays = no)");
}

// An installer speaks for its own engine only.
static int
s_own_engine(rmt_ask_t *ask, rmt_error_t *error)
{
    const char *own = rmt_record_text(ask->meta, "place", "");
    if (!streq(rmt_record_text(ask->msg->body, "engine", ""), own))
        return rmt_fail(error, RMT_E_NOT_ALLOWED, "this key is for engine %s only", own);
    return 0;
}

// What the broker knows of itself. What the request says of it does not count.
static int
s_judge_broker(rmt_ask_t *ask, rmt_error_t *error)
{
    (void) error;
    rmt_error_t fault = {0};
    rmt_record_destroy(&ask->msg->body);
    rmt_record_t *body = rmt_msg_body(ask->msg);
    rmt_record_set(body, "version", RMT_VERSION);
    rmt_broker_tell_name(ask->broker, body);
    if (rmt_broker_check(ask->broker, &fault) == -1)
        rmt_record_set(body, "state-fault", fault.text);
    rmt_record_set(body, "audit-fault", rmt_audit_fault(ask->broker->audit_files));
    const rmt_state_server_t *redis = &ask->broker->settings->redis;
    if (rmt_state_server_is_guided(redis))
        rmt_record_set_u64(body, "redis-replicas", redis->replicas);
    return 0;
}

// ---- After

static void
s_drive(rmt_ask_t *ask, rmt_msg_t *reply)
{
    const char *job = rmt_record_text(reply->body, "job", "");
    if (*job)
        rmt_driver_drive(ask->broker->driver, job);
}

static void
s_show_token(rmt_ask_t *ask, rmt_msg_t *reply)
{
    rmt_record_set(reply->body, "token", ask->token);
}

// The holders hear of the caller before the caller hears of them.
static void
s_announce(rmt_ask_t *ask, rmt_msg_t *reply)
{
    static const char *const inner[] = {"root", "left-ms"};
    rmt_auto(rmt_record) grant = rmt_record_dup(reply->body);
    rmt_record_set(grant, "key", ask->key);
    rmt_peers_grant(ask->broker, rmt_record_text(reply->body, "place", ""), grant);
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        rmt_record_remove(reply->body, inner[i]);
}

static void
s_tell_relays(rmt_ask_t *ask, rmt_msg_t *reply)
{
    rmt_peers_relay(ask->broker, reply->body, reply->items);
}

static void
s_add_version(rmt_ask_t *ask, rmt_msg_t *reply)
{
    (void) ask;
    rmt_record_set(reply->body, "version", RMT_VERSION);
    rmt_clocks_add_redis(reply->body);
    rmt_record_set_u64(reply->body, "refused", ask->broker->refused);
    rmt_record_set_u64(reply->body, "handshakes-refused", ask->broker->strangers);
}

static void
s_merge_targets(rmt_ask_t *ask, rmt_msg_t *reply)
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
s_merge_snapshot(rmt_ask_t *ask, rmt_msg_t *reply)
{
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        rmt_record_t *item = rmt_records_at(reply->items, i);
        rmt_auto_str topic = strdup(rmt_record_text(item, "topic", ""));
        rmt_events_merge(ask->broker->events, topic, item);
    }
}

static char *s_verbs_of(unsigned role);

static void
s_add_may(rmt_ask_t *ask, rmt_msg_t *reply)
{
    const char *role = rmt_record_text(ask->meta, "role", "");
    rmt_auto_str verbs = s_verbs_of(s_role_bit(role));
    rmt_record_set(reply->body, "may", verbs);
}

// The new key is let in before it hears so.
static void
s_let_in(rmt_ask_t *ask, rmt_msg_t *reply)
{
    rmt_auto(rmt_record) record = rmt_record_dup(reply->body);
    rmt_record_set(record, "state", "approved");
    rmt_keyring_put(ask->broker->keyring, record);
}

// Redis does not know the admins, whose keys are files. They stand on the first page.
static void
s_add_admins(rmt_ask_t *ask, rmt_msg_t *reply)
{
    if (!*rmt_record_text(ask->meta, "cursor", ""))
        rmt_keyring_list_admins(ask->broker->keyring, reply);
}

// The files of this broker, page by page, from itself.
static void
s_add_audit_page(rmt_ask_t *ask, rmt_msg_t *reply)
{
    rmt_error_t error = {0};
    if (rmt_audit_page(ask->broker->audit_files, rmt_record_text(ask->meta, "cursor", ""),
                       reply, &error) == 0)
        return;
    reply->code = error.code;
    rmt_msg_text(&reply->text, error.text);
}

// ---- The table

static const rmt_verb_t s_verbs[] = {
    {"source.list", READ, "record_list", s_class, NULL},
    {"source.show", READ, "record_show", s_class, NULL},
    {"source.add", WORK, "record_add", s_new_record, NULL},
    {"source.set", WORK | SETS, "record_set", s_class, NULL},
    {"source.remove", ADMIN, "record_remove", s_class, NULL},
    {"source.import", WORK, "record_import", s_new_records, NULL},
    {"source.approve", ADMIN, "record_approve", s_class, NULL},
    {"engine.list", READ, "record_list", s_class, NULL},
    {"engine.show", READ, "record_show", s_class, NULL},
    {"engine.add", ADMIN, "record_add", s_new_record, NULL},
    {"engine.set", ADMIN | SETS, "record_set", s_class, NULL},
    {"engine.remove", ADMIN, "record_remove", s_class, NULL},
    {"engine.import", ADMIN, "record_import", s_new_records, NULL},
    {"engine.approve", ADMIN, "record_approve", s_class, NULL},
    {"target.list", READ, "record_list", s_class, NULL},
    {"target.show", READ, "record_show", s_class, NULL},
    {"target.add", WORK, "record_add", s_new_record, NULL},
    {"target.set", WORK | SETS, "record_set", s_class, NULL},
    {"target.remove", ADMIN, "record_remove", s_class, NULL},
    {"target.import", WORK, "record_import", s_new_records, NULL},
    {"target.approve", ADMIN, "record_approve", s_class, NULL},
    {"target.hold", WORK, "target_hold", NULL, NULL},
    {"target.unhold", WORK, "target_unhold", NULL, NULL},
    {"target.protect", WORK, "target_protect", NULL, NULL},
    {"target.unprotect", ADMIN, "target_unprotect", NULL, NULL},
    {"target.secret", ADMIN, "target_secret", NULL, NULL},
    {"target.power", WORK, "target_power", s_new_job, s_drive},
    {"image.create", WORK, "image_create", s_new_job, s_drive},
    {"image.list", READ, "image_list", NULL, NULL},
    {"image.show", READ, "image_show", NULL, NULL},
    {"image.verify", WORK, "image_verify", s_new_job, s_drive},
    {"image.receive", WORK, "image_receive", NULL, s_announce},
    {"image.import", WORK, "image_import", s_new_job, s_drive},
    {"image.sign", ADMIN, "image_sign", NULL, NULL},
    {"image.set", WORK, "image_set", NULL, NULL},
    {"image.rename", ADMIN, "image_rename", NULL, NULL},
    {"image.remove", ADMIN, "image_remove", NULL, NULL},
    {"image.grant", WORK, "image_grant", NULL, s_announce},
    {"store.check", WORK, "store_check", s_new_job, s_drive},
    {"store.scrub", WORK, "store_scrub", s_new_job, s_drive},
    {"store.gc", ADMIN, "store_gc", s_new_job, s_drive},
    {"store.pin", ADMIN, "store_pin", NULL, NULL},
    {"store.unpin", ADMIN, "store_unpin", NULL, NULL},
    {"store.pins", READ, "store_pins", NULL, NULL},
    {"deploy.plan", WORK, "deploy_plan", s_new_plan, s_drive},
    {"deploy.start", WORK, "deploy_start", s_new_install, s_drive},
    {"warrant.put", WORK, "warrant_put", NULL, NULL},
    {"job.list", READ, "job_list", NULL, NULL},
    {"job.show", READ, "job_show", NULL, s_merge_targets},
    {"job.verdicts", READ, "job_verdicts", NULL, NULL},
    {"job.findings", READ, "job_findings", NULL, NULL},
    {"job.logs", READ, "job_logs", NULL, NULL},
    {"job.cancel", WORK, "job_cancel", NULL, NULL},
    {"job.retry", WORK, "job_retry", s_new_install, s_drive},
    {"lock.list", READ, "lock_list", NULL, NULL},
    {"lock.show", READ, "lock_show", NULL, NULL},
    {"lock.break", ADMIN, "lock_break", NULL, NULL},
    {"key.whoami", READ, "key_whoami", NULL, s_add_may},
    {"key.rotate", PEOPLE, "key_rotate", s_new_key, s_let_in},
    {"key.list", ADMIN, "key_list", NULL, s_add_admins},
    {"key.token", ADMIN, "key_token", s_new_token, s_show_token},
    {"token.list", ADMIN, "token_list", NULL, NULL},
    {"token.revoke", ADMIN, "token_revoke", NULL, NULL},
    {"key.approve", ADMIN, "key_approve", NULL, NULL},
    {"key.revoke", ADMIN, "key_revoke", NULL, NULL},
    {"trust.publish", ADMIN, "trust_publish", NULL, NULL},
    {"trust.root", READ | TARGET, "trust_root", NULL, NULL},
    {"audit.list", AUDIT, "audit_list", NULL, NULL},
    {"audit.heads", AUDIT, "audit_heads", NULL, NULL},
    {"audit.export", AUDIT, "audit_heads", NULL, s_add_audit_page},
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
    {"relays", TARGET, "relays", s_may_relay, s_tell_relays},
    {"target.heard", FIRSTBOOT, "target_heard", NULL, NULL},
    {"target.confirm", FIRSTBOOT, "target_confirm", NULL, NULL},
};

const rmt_verb_t *
rmt_verbs_find(const char *name)
{
    assert(name);
    for (size_t i = 0; i < sizeof s_verbs / sizeof *s_verbs; i++)
        if (streq(s_verbs[i].name, name))
            return &s_verbs[i];
    return NULL;
}

bool
rmt_verbs_may(const rmt_verb_t *verb, const rmt_record_t *key)
{
    assert(verb && key);
    return verb->roles & s_role_bit(rmt_record_text(key, "role", ""));
}

// The verbs that a role may use, with blanks between. Caller owns it (free).
static char *
s_verbs_of(unsigned role)
{
    char *list = strdup("");
    for (size_t i = 0; i < sizeof s_verbs / sizeof *s_verbs; i++) {
        if (!(s_verbs[i].roles & role))
            continue;
        rmt_auto_str before = list;
        list = rmt_text("%s%s%s", before, *before ? " " : "", s_verbs[i].name);
    }
    return list;
}

char *
rmt_verbs_refusal(const rmt_verb_t *verb, const rmt_record_t *key)
{
    assert(verb && key);
    rmt_auto_str roles = strdup("");
    for (size_t i = 0; i < sizeof s_roles / sizeof *s_roles; i++) {
        if (!(verb->roles & s_roles[i].bit))
            continue;
        rmt_auto_str before = rmt_take(&roles);
        roles = rmt_text("%s%s%s", before, *before ? " or " : "", s_roles[i].name);
    }
    const char *way = verb->roles & OPERATOR
                          ? "; an admin makes a token for such a key with: "
                            "ramet key token operator --name NAME"
                      : verb->roles & ADMIN ? "; ask an admin to do it"
                                            : "";
    return rmt_text(
        "a key with role %s may not use the verb %s, which needs the role %s%s",
        rmt_record_text(key, "role", "?"), verb->name, roles, way);
}
