// rmt_release - signatures of images (docs/spec/7-trust.md).
//
// A person signs the id of an image and a release counter, which rises from image to
// image, so that an older image is known as older. Signatures are records apart from the
// image, each a line of text:
//     class=signature key=<64 digits> counter=N signature=<128 digits>
// Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_sign.h"
#include "trust/rmt_root.h"

#define RMT_RELEASES_SIZE_MAX ((size_t) 16 * 1024)
#define RMT_RELEASE_PERSON_SIZE 256

typedef struct {
    uint64_t counter;
    char person[RMT_RELEASE_PERSON_SIZE]; // Who signed, by the trust root
} rmt_release_t;

// The line of a signature, with its line feed; key is a pair. Caller owns (free).
char *rmt_release_sign(const rmt_id_t *image, uint64_t counter,
                       const rmt_sign_key_t *key);

// Read such lines; none is a list too. Their form is checked and no signature is.
// Caller owns the result. NULL: USAGE, TOO_BIG.
rmt_records_t *rmt_releases_read(const char *text, rmt_error_t *error);

// Of the true signatures of this image by image keys of the root, the one with the
// highest counter. False, and nothing is set, when none is there.
bool rmt_releases_best(const rmt_records_t *releases, const rmt_id_t *image,
                       const rmt_root_t *root, rmt_release_t *release_out);

// Is one record a true signature of this image, by whatever key?
bool rmt_release_is_true(const rmt_record_t *release, const rmt_id_t *image);

// The person of one record, when the signature is true and its key an image key of root;
// else NULL. Valid as long as root.
const char *rmt_release_person(const rmt_record_t *release, const rmt_id_t *image,
                               const rmt_root_t *root);
