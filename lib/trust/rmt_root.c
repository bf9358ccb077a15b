#include "trust/rmt_root.h"
#include "base/rmt_auto.h"
#include "facts/rmt_name.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char s_domain[] = "ramet-root-v1";
static const char *const s_roles[RMT_ROOT_ROLE_COUNT] = {"root", "order", "image"};

struct rmt_root {
    rmt_signed_t *text;
    rmt_id_t id;
    const rmt_record_t *head; // In text
};

// What a class may have; all of it, and nothing else.
static const struct {
    const char *class;
    const char *fields[5];
} s_classes[] = {
    {"root", {"class", "farm", "version", "threshold", "unsigned-images"}},
    {"key", {"class", "role", "key", "name", NULL}},
    {"revoked", {"class", "key", NULL}},
};

const char *
rmt_root_role_name(rmt_root_role_t role)
{
    assert(role < RMT_ROOT_ROLE_COUNT);
    return s_roles[role];
}

bool
rmt_root_role_parse(const char *text, rmt_root_role_t *role_out)
{
    for (rmt_root_role_t role = 0; role < RMT_ROOT_ROLE_COUNT; role++) {
        if (strcmp(text, s_roles[role]) == 0) {
            *role_out = role;
            return true;
        }
    }
    return false;
}

void
rmt_root_destroy(rmt_root_t **self_p)
{
    rmt_root_t *self = *self_p;
    if (!self)
        return;
    rmt_signed_destroy(&self->text);
    free(self);
    *self_p = NULL;
}

// ---- Reading

static bool
s_has_its_fields(const rmt_record_t *record)
{
    for (size_t i = 0; i < sizeof s_classes / sizeof *s_classes; i++) {
        if (!rmt_record_is(record, "class", s_classes[i].class))
            continue;
        size_t count = 0;
        for (; count < 5 && s_classes[i].fields[count]; count++)
            if (!*rmt_record_text(record, s_classes[i].fields[count], ""))
                return false;
        return rmt_record_count(record) == count;
    }
    return false;
}

static int
s_check_head(const rmt_record_t *head, rmt_error_t *error)
{
    const uint64_t threshold = rmt_record_u64(head, "threshold", 0);
    if (rmt_name_check(rmt_record_text(head, "farm", ""), error) == -1)
        return rmt_wrap(error, "farm");
    if (rmt_record_u64(head, "version", 0) == 0)
        return rmt_fail(error, RMT_E_USAGE, "version=%s is not a number from 1 on",
                        rmt_record_text(head, "version", ""));
    if (threshold == 0 || threshold > RMT_SIGNED_KEYS_MAX)
        return rmt_fail(error, RMT_E_USAGE, "threshold=%s is not a number from 1 to %d",
                        rmt_record_text(head, "threshold", ""), RMT_SIGNED_KEYS_MAX);
    if (!rmt_record_is(head, "unsigned-images", "yes") &&
        !rmt_record_is(head, "unsigned-images", "no"))
        return rmt_fail(error, RMT_E_USAGE, "unsigned-images=%s is neither yes nor no",
                        rmt_record_text(head, "unsigned-images", ""));
    return 0;
}

static const rmt_record_t *
s_find_key(const rmt_root_t *self, const char *role, const char *key_text)
{
    for (size_t i = 0; i < rmt_records_count(self->text->records); i++) {
        const rmt_record_t *record = rmt_records_at(self->text->records, i);
        if (rmt_record_is(record, "class", "key") &&
            rmt_record_is(record, "role", role) && rmt_record_is(record, "key", key_text))
            return record;
    }
    return NULL;
}

static bool
s_is_revoked(const rmt_root_t *self, const char *key_text)
{
    for (size_t i = 0; i < rmt_records_count(self->text->records); i++) {
        const rmt_record_t *record = rmt_records_at(self->text->records, i);
        if (rmt_record_is(record, "class", "revoked") &&
            rmt_record_is(record, "key", key_text))
            return true;
    }
    return false;
}

static int
s_check_record(const rmt_root_t *self, size_t index, rmt_error_t *error)
{
    const rmt_record_t *record = rmt_records_at(self->text->records, index);
    const char *role = rmt_record_text(record, "role", "");
    const char *key_text = rmt_record_text(record, "key", "");
    rmt_root_role_t known;
    rmt_sign_key_t key;
    if (!s_has_its_fields(record) ||
        (index == 0) != rmt_record_is(record, "class", "root"))
        return rmt_fail(
            error, RMT_E_USAGE,
            "record %zu: class \"%.32s\" with these fields does not belong there",
            index + 1, rmt_record_text(record, "class", ""));
    if (index == 0)
        return s_check_head(record, error);
    if (!rmt_sign_key_parse(&key, key_text))
        return rmt_fail(error, RMT_E_USAGE,
                        "record %zu: a key is 64 hexadecimal digits, as in the .pub file "
                        "of: ramet trust key FILE",
                        index + 1);
    if (!rmt_record_is(record, "class", "key"))
        return 0;
    if (!rmt_root_role_parse(role, &known))
        return rmt_fail(error, RMT_E_USAGE,
                        "record %zu: role %.32s is not root, order or image", index + 1,
                        role);
    if (s_find_key(self, role, key_text) != record)
        return rmt_fail(error, RMT_E_USAGE, "record %zu repeats %s key %.16s...",
                        index + 1, role, key_text);
    return 0;
}

rmt_root_t *
rmt_root_read(const void *data, size_t size, rmt_error_t *error)
{
    rmt_auto(rmt_root) self = calloc(1, sizeof *self);
    assert(self);
    self->text = rmt_signed_read(data, size, error);
    for (size_t i = 0; self->text && i < rmt_records_count(self->text->records); i++)
        if (s_check_record(self, i, error) == -1)
            rmt_signed_destroy(&self->text);
    if (!self->text) {
        rmt_wrap(error, "trust root");
        return NULL;
    }
    self->head = rmt_records_at(self->text->records, 0);
    rmt_signed_id(self->text, &self->id);
    return rmt_take(&self);
}

const rmt_id_t *
rmt_root_id(const rmt_root_t *self)
{
    return &self->id;
}

const char *
rmt_root_farm(const rmt_root_t *self)
{
    return rmt_record_text(self->head, "farm", "");
}

uint64_t
rmt_root_version(const rmt_root_t *self)
{
    return rmt_record_u64(self->head, "version", 0);
}

bool
rmt_root_allows_unsigned(const rmt_root_t *self)
{
    return rmt_record_flag(self->head, "unsigned-images");
}

const rmt_signed_t *
rmt_root_text(const rmt_root_t *self)
{
    return self->text;
}

const char *
rmt_root_person(const rmt_root_t *self, rmt_root_role_t role, const char *key_text)
{
    const rmt_record_t *record = s_find_key(self, rmt_root_role_name(role), key_text);
    return record && !s_is_revoked(self, key_text) ? rmt_record_text(record, "name", "")
                                                   : NULL;
}

// ---- Signatures

// Have enough root keys of judge signed self? Signatures of different keys are different
// records (rmt_signed_read), so each key counts once.
static int
s_check_by(const rmt_root_t *self, const rmt_root_t *judge, rmt_error_t *error)
{
    uint64_t count = 0;
    for (size_t i = 0; i < rmt_records_count(self->text->signatures); i++) {
        const rmt_record_t *signature = rmt_records_at(self->text->signatures, i);
        if (rmt_root_person(judge, RMT_ROOT_ROLE_ROOT,
                            rmt_record_text(signature, "key", "")) &&
            rmt_signed_is_true(self->text, s_domain, signature))
            count++;
    }
    const uint64_t wanted = rmt_record_u64(judge->head, "threshold", 0);
    if (count >= wanted)
        return 0;
    return rmt_fail(error, RMT_E_NOT_ALLOWED,
                    "trust root %" PRIu64 " of farm %s has %" PRIu64 " of the %" PRIu64
                    " signatures by root keys of version %" PRIu64
                    " that it needs; sign it with: ramet trust sign FILE --key KEY",
                    rmt_root_version(self), rmt_root_farm(self), count, wanted,
                    rmt_root_version(judge));
}

int
rmt_root_check(const rmt_root_t *self, rmt_error_t *error)
{
    uint64_t count = 0;
    for (size_t i = 0; i < rmt_records_count(self->text->records); i++) {
        const rmt_record_t *record = rmt_records_at(self->text->records, i);
        count +=
            rmt_record_is(record, "role", "root") &&
            rmt_root_person(self, RMT_ROOT_ROLE_ROOT, rmt_record_text(record, "key", ""));
    }
    const uint64_t wanted = rmt_record_u64(self->head, "threshold", 0);
    if (count < wanted)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "trust root %" PRIu64 " of farm %s has %" PRIu64
                        " root keys and needs the signatures of %" PRIu64
                        "; add a key with: ramet trust add FILE root KEY --name PERSON",
                        rmt_root_version(self), rmt_root_farm(self), count, wanted);
    return s_check_by(self, self, error);
}

int
rmt_root_check_next(const rmt_root_t *self, const rmt_root_t *next, rmt_error_t *error)
{
    const uint64_t version = rmt_root_version(self);
    if (strcmp(rmt_root_farm(self), rmt_root_farm(next)) != 0 || version == UINT64_MAX ||
        rmt_root_version(next) != version + 1)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "trust root %" PRIu64
                        " of farm %s does not follow trust root %" PRIu64 " of farm %s",
                        rmt_root_version(next), rmt_root_farm(next), version,
                        rmt_root_farm(self));
    return s_check_by(next, self, error) == -1 ? -1 : rmt_root_check(next, error);
}

char *
rmt_root_sign(const rmt_root_t *self, const rmt_sign_key_t *key)
{
    return rmt_signed_add(self->text, s_domain, key);
}
