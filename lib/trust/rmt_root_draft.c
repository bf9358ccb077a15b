// Drafts of trust roots: what becomes one when enough root keys have signed it.
#include "trust/rmt_root.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_name.h"

#include <string.h>

// The text when it can be read again. Caller owns.
static char *
s_print(const rmt_records_t *records, rmt_error_t *error)
{
    rmt_auto_str text = rmt_facts_print(records);
    rmt_auto(rmt_root) again = rmt_root_read(text, strlen(text), error);
    return again ? rmt_take(&text) : NULL;
}

char *
rmt_root_draft(const char *farm, uint64_t threshold, bool allows_unsigned,
               rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *head = rmt_records_add(records);
    rmt_record_set(head, "class", "root");
    rmt_record_set(head, "farm", farm);
    rmt_record_set_u64(head, "version", 1);
    rmt_record_set_u64(head, "threshold", threshold);
    rmt_record_set(head, "unsigned-images", allows_unsigned ? "yes" : "no");
    return s_print(records, error);
}

// A copy of the records, of the next version when this one is signed.
static rmt_records_t *
s_begin(const rmt_root_t *self)
{
    const rmt_signed_t *text = rmt_root_text(self);
    rmt_records_t *records = rmt_records_dup(text->records);
    if (rmt_records_count(text->signatures) > 0)
        rmt_record_set_u64(rmt_records_at(records, 0), "version",
                           rmt_root_version(self) + 1);
    return records;
}

char *
rmt_root_draft_add(const rmt_root_t *self, rmt_root_role_t role, const char *key_text,
                   const char *person, rmt_error_t *error)
{
    if (!*person || rmt_name_check_value(person, error) == -1) {
        rmt_fail(error, RMT_E_USAGE,
                 "a key needs the name of its person, on one line of at most %d bytes: "
                 "--name \"Ada Example\"",
                 RMT_VALUE_MAX);
        return NULL;
    }
    if (rmt_root_person(self, role, key_text)) {
        rmt_fail(error, RMT_E_EXISTS, "key %.16s... is a key of role %s already",
                 key_text, rmt_root_role_name(role));
        return NULL;
    }
    rmt_auto(rmt_records) records = s_begin(self);
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        if (rmt_record_is(record, "class", "revoked") &&
            rmt_record_is(record, "key", key_text)) {
            rmt_fail(error, RMT_E_REFUSED,
                     "key %.16s... is revoked; make another one with: ramet trust key "
                     "FILE",
                     key_text);
            return NULL;
        }
    }
    rmt_record_t *record = rmt_records_add(records);
    rmt_record_set(record, "class", "key");
    rmt_record_set(record, "role", rmt_root_role_name(role));
    rmt_record_set(record, "key", key_text);
    rmt_record_set(record, "name", person);
    return s_print(records, error);
}

char *
rmt_root_draft_remove(const rmt_root_t *self, const char *key_text, rmt_error_t *error)
{
    rmt_auto(rmt_records) records = s_begin(self);
    rmt_auto(rmt_records) kept = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        rmt_record_t *copy = rmt_record_dup(rmt_records_at(records, i));
        if (rmt_record_is(copy, "class", "key") && rmt_record_is(copy, "key", key_text))
            rmt_record_destroy(&copy);
        else
            rmt_records_append(kept, &copy);
    }
    if (rmt_records_count(kept) == rmt_records_count(records)) {
        rmt_fail(error, RMT_E_NOT_FOUND,
                 "the trust root has no key %.64s; see: ramet trust show FILE", key_text);
        return NULL;
    }
    rmt_record_t *revoked = rmt_records_add(kept);
    rmt_record_set(revoked, "class", "revoked");
    rmt_record_set(revoked, "key", key_text);
    return s_print(kept, error);
}
