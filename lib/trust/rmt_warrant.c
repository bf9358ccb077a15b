#include "trust/rmt_warrant.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "facts/rmt_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char s_domain[] = "ramet-order-v1";
#define BUILT_S UINT64_C(1793491200) // 2026-11-01; raised with each release

static const char *const s_head_fields[] = {
    "class",  "farm",      "image", "target",      "identity", "policy",
    "issued", "not-after", "least", "allow-older", "nonce",    "personal"};
#define HEAD_COUNT (sizeof s_head_fields / sizeof *s_head_fields)

uint64_t
rmt_warrant_now_s(void)
{
    const int64_t now_ms = rmt_clock_wall_ms();
    const uint64_t now_s = now_ms < 0 ? 0 : (uint64_t) now_ms / 1000;
    return now_s < BUILT_S ? BUILT_S : now_s;
}

// ---- Making

static void
s_copy(rmt_records_t *records, const char *class, const rmt_records_t *from,
       const char *const *fields)
{
    for (size_t i = 0; i < rmt_records_count(from); i++) {
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "class", class);
        for (size_t k = 0; fields[k]; k++)
            rmt_record_set(record, fields[k],
                           rmt_record_text(rmt_records_at(from, i), fields[k], ""));
    }
}

char *
rmt_warrant_sign(const rmt_warrant_t *self, const rmt_sign_key_t *key)
{
    static const char *const choice[] = {"role", "disk", "bytes", NULL};
    static const char *const script[] = {"name", "hash", "timeout-s", NULL};
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *head = rmt_records_add(records);
    rmt_record_set(head, "class", "warrant");
    rmt_record_set(head, "farm", self->farm);
    rmt_record_set(head, "image", self->image);
    rmt_record_set(head, "target", self->target);
    rmt_record_set(head, "identity", self->identity);
    rmt_record_set(head, "policy", self->policy);
    rmt_record_set_u64(head, "issued", self->issued_s);
    rmt_record_set_u64(head, "not-after", self->not_after_s);
    rmt_record_set_u64(head, "least", self->least);
    rmt_record_set(head, "allow-older", self->allow_older ? "yes" : "no");
    rmt_record_set(head, "nonce", self->nonce);
    rmt_record_set(head, "personal", self->personal);
    s_copy(records, "choice", self->choice, choice);
    s_copy(records, "script", self->scripts, script);
    rmt_auto_str body = rmt_facts_print(records);
    rmt_error_t error = {0};
    rmt_auto(rmt_signed) text = rmt_signed_read(body, strlen(body), &error);
    return text ? rmt_signed_add(text, s_domain, key) : strdup("");
}

// ---- Checking

static bool
s_is_number(const rmt_record_t *record, const char *field)
{
    return rmt_record_u64(record, field, UINT64_MAX) != UINT64_MAX;
}

static bool
s_is_head(const rmt_record_t *head)
{
    bool is_whole = rmt_record_is(head, "class", "warrant") &&
                    rmt_record_count(head) == HEAD_COUNT && s_is_number(head, "issued") &&
                    s_is_number(head, "not-after") && s_is_number(head, "least");
    for (size_t i = 0; i < HEAD_COUNT; i++)
        is_whole = is_whole && rmt_record_has(head, s_head_fields[i]);
    return is_whole;
}

// A disk with a role of its own, or a script; nothing else may follow the head.
static bool
s_is_part(const rmt_signed_t *text, const rmt_record_t *record)
{
    if (rmt_record_is(record, "class", "script"))
        return rmt_record_count(record) == 4 && *rmt_record_text(record, "name", "") &&
               *rmt_record_text(record, "hash", "") &&
               rmt_record_has(record, "timeout-s");
    const char *role = rmt_record_text(record, "role", "");
    return rmt_record_is(record, "class", "choice") && rmt_record_count(record) == 4 &&
           *role && *rmt_record_text(record, "disk", "") &&
           s_is_number(record, "bytes") && rmt_record_u64(record, "bytes", 0) > 0 &&
           rmt_records_find(text->records, "role", role) == record;
}

static int
s_check_form(const rmt_signed_t *text, rmt_error_t *error)
{
    bool is_whole = s_is_head(rmt_records_at(text->records, 0)) &&
                    rmt_records_find(text->records, "class", "choice");
    for (size_t i = 1; i < rmt_records_count(text->records); i++)
        is_whole = is_whole && s_is_part(text, rmt_records_at(text->records, i));
    return is_whole ? 0
                    : rmt_fail(error, RMT_E_PROTOCOL,
                               "the warrant lacks a part, or has one that this version "
                               "does not know");
}

// The person with a key of any role, for people to read.
static const char *
s_person(const rmt_root_t *root, const char *key)
{
    for (rmt_root_role_t role = 0; role < RMT_ROOT_ROLE_COUNT; role++) {
        const char *person = rmt_root_person(root, role, key);
        if (person)
            return person;
    }
    return "";
}

// Find the true signature by an order key of the root.
static int
s_check_signature(const rmt_signed_t *text, const rmt_root_t *root,
                  rmt_warrant_signers_t *signers, rmt_error_t *error)
{
    const char *stranger = "", *name = "";
    for (size_t i = 0; i < rmt_records_count(text->signatures); i++) {
        const rmt_record_t *signature = rmt_records_at(text->signatures, i);
        const char *key = rmt_record_text(signature, "key", "");
        const char *person = rmt_root_person(root, RMT_ROOT_ROLE_ORDER, key);
        if (person && rmt_signed_is_true(text, s_domain, signature)) {
            snprintf(signers->operator, sizeof signers->operator, "%s (key %.8s)", person,
                     key);
            return 0;
        }
        stranger = key;
        name = person ? person : s_person(root, key);
    }
    return rmt_fail(error, RMT_E_NOT_ALLOWED,
                    "the warrant has no true signature by an order key of trust root "
                    "%" PRIu64 " of farm %s; it names key %.8s of %.64s",
                    rmt_root_version(root), rmt_root_farm(root),
                    *stranger ? stranger : "none", *name ? name : "a stranger");
}

static int
s_check_subject(const rmt_record_t *head, const rmt_warrant_case_t *against,
                rmt_error_t *error)
{
    char image[RMT_ID_TEXT_SIZE];
    const struct {
        const char *field, *here;
    } rows[] = {
        {"farm", rmt_root_farm(against->root)},
        {"target", against->target},
        {"identity", against->identity},
        {"image", rmt_id_text(&against->order->image, image)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *wanted = rmt_record_text(head, rows[i].field, "");
        if (!*wanted || strcasecmp(wanted, rows[i].here) != 0)
            return rmt_fail(error, RMT_E_NOT_ALLOWED,
                            "the warrant names %s %.80s, and the order of this machine "
                            "is for %.80s",
                            rows[i].field, wanted, rows[i].here);
    }
    return 0;
}

static int
s_check_time(const rmt_record_t *head, const rmt_warrant_case_t *against,
             rmt_error_t *error)
{
    const uint64_t not_after = rmt_record_u64(head, "not-after", 0);
    const uint64_t issued = rmt_record_u64(head, "issued", 0);
    char text[RMT_CLOCK_TEXT_SIZE], newest[RMT_CLOCK_TEXT_SIZE];
    if (not_after > INT64_MAX / 1000 || issued > not_after)
        return rmt_fail(error, RMT_E_NOT_ALLOWED, "the warrant ends before it begins");
    if (against->now_s > not_after)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "the warrant ended at %s; sign another one with: ramet job "
                        "retry JOB --failed",
                        rmt_clock_text((int64_t) not_after * 1000, text));
    if (issued < against->newest_s)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "the warrant was issued at %s, and this machine has accepted one "
                        "that was issued at %s",
                        rmt_clock_text((int64_t) issued * 1000, text),
                        rmt_clock_text((int64_t) against->newest_s * 1000, newest));
    return 0;
}

static bool
s_has_choice(const rmt_signed_t *text, const rmt_order_choice_t *choice)
{
    for (size_t i = 1; i < rmt_records_count(text->records); i++) {
        const rmt_record_t *record = rmt_records_at(text->records, i);
        if (rmt_record_is(record, "class", "choice") &&
            rmt_record_is(record, "role", choice->role) &&
            rmt_record_is(record, "disk", choice->disk) &&
            rmt_record_u64(record, "bytes", 0) == choice->bytes)
            return true;
    }
    return false;
}

static int
s_check_disks(const rmt_signed_t *text, const rmt_order_t *order, rmt_error_t *error)
{
    if (order->choice_count == 0)
        return rmt_fail(error, RMT_E_NOT_ALLOWED, "the order names no disk");
    for (size_t i = 0; i < order->choice_count; i++) {
        const rmt_order_choice_t *choice = &order->choices[i];
        if (!s_has_choice(text, choice))
            return rmt_fail(error, RMT_E_NOT_ALLOWED,
                            "the order writes disk '%s' of %" PRIu64
                            " bytes in role %s, and the warrant does not name it",
                            choice->disk, choice->bytes, choice->role);
    }
    return 0;
}

static bool
s_is_signed_for(const rmt_record_t *head, const rmt_record_t *target, const char *without)
{
    rmt_id_t id;
    char text[RMT_ID_TEXT_SIZE];
    rmt_order_personal_id(target, without, &id);
    return rmt_record_is(head, "personal", rmt_id_text(&id, text));
}

// What the target's record gives to the order. Where the record names no interface, the
// engine adds the MAC of the machine's only one.
static int
s_check_personal(const rmt_record_t *head, const rmt_warrant_case_t *against,
                 rmt_error_t *error)
{
    const rmt_record_t *target =
        rmt_records_find(against->order->personal, "class", "target");
    const bool is_mac_added =
        target && against->only_mac && rmt_record_is(target, "mac", against->only_mac);
    if (target && (s_is_signed_for(head, target, NULL) ||
                   (is_mac_added && s_is_signed_for(head, target, "mac"))))
        return 0;
    return rmt_fail(error, RMT_E_NOT_ALLOWED,
                    "the order gives this machine another name or network than the "
                    "record that the warrant was signed for; compare it with: ramet "
                    "target show %s, and sign again with: ramet job retry JOB --failed",
                    against->target);
}

// The record of the same script, as an order (with its contents) or a warrant has it.
static bool
s_is_script(const rmt_record_t *ordered, const rmt_record_t *named)
{
    if (!rmt_record_is(ordered, "class", "script") ||
        !rmt_record_is(named, "class", "script"))
        return false;
    size_t size = 0;
    const void *content = rmt_record_get(ordered, "content", &size);
    rmt_id_t id;
    char hash[RMT_ID_TEXT_SIZE];
    rmt_id_compute(&id, content ? content : "", size);
    return rmt_record_is(named, "hash", rmt_id_text(&id, hash)) &&
           rmt_record_is(named, "name", rmt_record_text(ordered, "name", "")) &&
           rmt_record_is(named, "timeout-s", rmt_record_text(ordered, "timeout-s", ""));
}

static bool
s_has_script(const rmt_records_t *records, const rmt_record_t *script, bool is_ordered)
{
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        if (is_ordered ? s_is_script(script, record) : s_is_script(record, script))
            return true;
    }
    return false;
}

// Each script of the order is in the warrant, and each of the warrant in the order.
static int
s_check_scripts(const rmt_signed_t *text, const rmt_order_t *order, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(order->personal); i++) {
        const rmt_record_t *script = rmt_records_at(order->personal, i);
        if (rmt_record_is(script, "class", "script") &&
            !s_has_script(text->records, script, true))
            return rmt_fail(error, RMT_E_NOT_ALLOWED,
                            "the order runs script %.63s, and the warrant does not name "
                            "it with these contents and this time limit",
                            rmt_record_text(script, "name", "?"));
    }
    for (size_t i = 1; i < rmt_records_count(text->records); i++) {
        const rmt_record_t *script = rmt_records_at(text->records, i);
        if (rmt_record_is(script, "class", "script") &&
            !s_has_script(order->personal, script, false))
            return rmt_fail(error, RMT_E_NOT_ALLOWED,
                            "the order lacks script %.63s, which the warrant names",
                            rmt_record_text(script, "name", "?"));
    }
    return 0;
}

static int
s_check_release(const rmt_record_t *head, const rmt_warrant_case_t *against,
                rmt_warrant_signers_t *signers, rmt_error_t *error)
{
    const uint64_t least = rmt_record_u64(head, "least", UINT64_MAX);
    signers->is_signed = rmt_releases_best(against->releases, &against->order->image,
                                           against->root, &signers->release);
    if (!signers->is_signed && !rmt_root_allows_unsigned(against->root))
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "the image has no true signature by an image key of trust root "
                        "%" PRIu64 " of farm %s; sign it with: ramet image sign IMAGE "
                        "--key FILE",
                        rmt_root_version(against->root), rmt_root_farm(against->root));
    const uint64_t had = signers->is_signed ? signers->release.counter : 0;
    if (had >= least || rmt_record_flag(head, "allow-older"))
        return 0;
    return rmt_fail(error, RMT_E_NOT_ALLOWED,
                    "the image is release %" PRIu64 ", and the warrant asks for %" PRIu64
                    " at least; to install an older one, add --allow-older to: ramet "
                    "deploy start",
                    had, least);
}

int
rmt_warrant_check(const char *text, const rmt_warrant_case_t *against,
                  rmt_warrant_signers_t *signers_out, rmt_error_t *error)
{
    rmt_auto(rmt_signed) warrant = rmt_signed_read(text, strlen(text), error);
    if (!warrant)
        return rmt_fail(error, RMT_E_PROTOCOL, "the order has no warrant that is one");
    const rmt_record_t *head = rmt_records_at(warrant->records, 0);
    rmt_warrant_signers_t signers = {.issued_s = rmt_record_u64(head, "issued", 0)};
    if (s_check_signature(warrant, against->root, &signers, error) == -1 ||
        s_check_form(warrant, error) == -1 ||
        s_check_subject(head, against, error) == -1 ||
        s_check_time(head, against, error) == -1 ||
        s_check_disks(warrant, against->order, error) == -1 ||
        s_check_personal(head, against, error) == -1 ||
        s_check_scripts(warrant, against->order, error) == -1 ||
        s_check_release(head, against, &signers, error) == -1)
        return -1;
    *signers_out = signers;
    return 0;
}
