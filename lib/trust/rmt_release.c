#include "trust/rmt_release.h"
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#define DIGEST_SIZE (RMT_ID_SIZE - 1)

// Domain and NUL, the digest of the image, the counter with its high octet first.
typedef struct {
    char domain[15];
    uint8_t digest[DIGEST_SIZE];
    uint8_t counter[8];
} subject_t;

static_assert(sizeof(subject_t) == 15 + DIGEST_SIZE + 8, "the octets that are signed");

static subject_t
s_subject(const rmt_id_t *image, uint64_t counter)
{
    subject_t subject = {.domain = "ramet-image-v1"};
    const uint64_t high_first = htobe64(counter);
    memcpy(subject.digest, image->bytes + 1, DIGEST_SIZE);
    memcpy(subject.counter, &high_first, sizeof high_first);
    return subject;
}

char *
rmt_release_sign(const rmt_id_t *image, uint64_t counter, const rmt_sign_key_t *key)
{
    const subject_t subject = s_subject(image, counter);
    uint8_t signature[RMT_SIGN_SIZE];
    char key_text[RMT_SIGN_PUBLIC_TEXT_SIZE], digits[RMT_SIGN_TEXT_SIZE];
    rmt_sign_make(key, &subject, sizeof subject, signature);
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *record = rmt_records_add(records);
    rmt_record_set(record, "class", "signature");
    rmt_record_set(record, "key", rmt_sign_key_text(key, key_text));
    rmt_record_set_u64(record, "counter", counter);
    rmt_record_set(record, "signature", rmt_sign_text(signature, digits));
    return rmt_facts_print(records);
}

static bool
s_is_release(const rmt_record_t *record)
{
    rmt_sign_key_t key;
    uint8_t signature[RMT_SIGN_SIZE];
    return rmt_record_count(record) == 4 && rmt_record_is(record, "class", "signature") &&
           rmt_record_u64(record, "counter", UINT64_MAX) != UINT64_MAX &&
           rmt_sign_key_parse(&key, rmt_record_text(record, "key", "")) &&
           rmt_sign_parse(signature, rmt_record_text(record, "signature", ""));
}

rmt_records_t *
rmt_releases_read(const char *text, rmt_error_t *error)
{
    if (strlen(text) > RMT_RELEASES_SIZE_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG, "the signatures have %zu bytes, limit %zu",
                 strlen(text), RMT_RELEASES_SIZE_MAX);
        return NULL;
    }
    rmt_auto(rmt_records) records = rmt_facts_parse(text, error);
    if (!records)
        return NULL;
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        if (!s_is_release(rmt_records_at(records, i))) {
            rmt_fail(error, RMT_E_USAGE,
                     "signature %zu has another form than: class=signature key=DIGITS "
                     "counter=N signature=DIGITS",
                     i + 1);
            return NULL;
        }
    }
    return rmt_take(&records);
}

bool
rmt_release_is_true(const rmt_record_t *release, const rmt_id_t *image)
{
    rmt_error_t ignored = {0};
    rmt_sign_key_t key;
    uint8_t signature[RMT_SIGN_SIZE];
    const subject_t subject = s_subject(image, rmt_record_u64(release, "counter", 0));
    return rmt_sign_key_parse(&key, rmt_record_text(release, "key", "")) &&
           rmt_sign_parse(signature, rmt_record_text(release, "signature", "")) &&
           rmt_sign_check(&key, &subject, sizeof subject, signature, &ignored) == 0;
}

const char *
rmt_release_person(const rmt_record_t *release, const rmt_id_t *image,
                   const rmt_root_t *root)
{
    const char *key = rmt_record_text(release, "key", "");
    return rmt_release_is_true(release, image)
               ? rmt_root_person(root, RMT_ROOT_ROLE_IMAGE, key)
               : NULL;
}

bool
rmt_releases_best(const rmt_records_t *releases, const rmt_id_t *image,
                  const rmt_root_t *root, rmt_release_t *release_out)
{
    bool is_found = false;
    rmt_release_t best = {0};
    for (size_t i = 0; i < rmt_records_count(releases); i++) {
        const rmt_record_t *record = rmt_records_at(releases, i);
        const char *person = rmt_release_person(record, image, root);
        const uint64_t counter = rmt_record_u64(record, "counter", 0);
        if (!person || (is_found && counter <= best.counter))
            continue;
        is_found = true;
        best.counter = counter;
        snprintf(best.person, sizeof best.person, "%s", person);
    }
    if (is_found)
        *release_out = best;
    return is_found;
}
