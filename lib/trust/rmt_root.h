// rmt_root - a trust root: whose signatures count in a farm (docs/spec/7-trust.md).
//
// It is a signed text (trust/rmt_signed.h):
//     class=root farm=NAME version=N threshold=M unsigned-images=yes|no
//     class=key role=root|order|image key=<64 digits> name=PERSON
//     class=revoked key=<64 digits>
// A program that was told the id of one version accepts the next one when M root keys of
// the version before it and M' of its own have signed it, M' being its own threshold.
// Pure; an instance does not change.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "trust/rmt_signed.h"

typedef enum {
    RMT_ROOT_ROLE_ROOT,  // Signs trust roots
    RMT_ROOT_ROLE_ORDER, // Signs warrants
    RMT_ROOT_ROLE_IMAGE, // Signs images
    RMT_ROOT_ROLE_COUNT
} rmt_root_role_t;

typedef struct rmt_root rmt_root_t;

// Read a trust root. Its signatures are not looked at: see the checks below. A class or
// field that this version does not know is refused, as it would be left undone.
// Caller owns the result. NULL: USAGE, TOO_BIG.
rmt_root_t *rmt_root_read(const void *data, size_t size, rmt_error_t *error);
void rmt_root_destroy(rmt_root_t **self_p);

const rmt_id_t *rmt_root_id(const rmt_root_t *self);
const char *rmt_root_farm(const rmt_root_t *self);
uint64_t rmt_root_version(const rmt_root_t *self);
bool rmt_root_allows_unsigned(const rmt_root_t *self); // Images; never warrants
const rmt_signed_t *rmt_root_text(const rmt_root_t *self);

// "root", "order" or "image".
const char *rmt_root_role_name(rmt_root_role_t role);
// False, and nothing is set, for other text.
bool rmt_root_role_parse(const char *text, rmt_root_role_t *role_out);

// The name of the person with this key in this role; NULL when the key has another role,
// is not known, or is revoked.
const char *rmt_root_person(const rmt_root_t *self, rmt_root_role_t role,
                            const char *key_text);

// Have enough of its own root keys signed it? 0, or -1: NOT_ALLOWED.
int rmt_root_check(const rmt_root_t *self, rmt_error_t *error);
// May a program that relies on self rely on next from now on? 0, or -1: NOT_ALLOWED.
int rmt_root_check_next(const rmt_root_t *self, const rmt_root_t *next,
                        rmt_error_t *error);

// ---- Drafts. Each gives the text of a trust root without signatures, which the caller
// owns (free). A change of a signed one is a draft of the version after it.

// Version 1, without keys. NULL: USAGE (the farm's name, or a threshold that is not 1 to
// RMT_SIGNED_KEYS_MAX).
char *rmt_root_draft(const char *farm, uint64_t threshold, bool allows_unsigned,
                     rmt_error_t *error);
// NULL: EXISTS (the key has the role), REFUSED (it is revoked), USAGE (the name).
char *rmt_root_draft_add(const rmt_root_t *self, rmt_root_role_t role,
                         const char *key_text, const char *person, rmt_error_t *error);
// The key loses its roles and is revoked for all versions to come. NULL: NOT_FOUND.
char *rmt_root_draft_remove(const rmt_root_t *self, const char *key_text,
                            rmt_error_t *error);

// The text with the signature of a pair in addition. Caller owns the result (free).
char *rmt_root_sign(const rmt_root_t *self, const rmt_sign_key_t *key);
