// release - signatures of images: made, shown, carried by archives.
#pragma once

#include "console/call.h"
#include "crypto/rmt_id.h"
#include "trust/rmt_release.h"

// ramet image sign. 0, or -1.
int release_sign(call_t *call, rmt_error_t *error);

// Give the broker the true ones of these signatures of an image (lines of text).
// 0, or -1: what the broker said, USAGE.
int release_put(call_t *call, const rmt_id_t *image, const char *text,
                rmt_error_t *error);

// The signatures that the catalogue's record of an image has, taken out of it: items
// {release, name, state, key}. Who signed is known where the configuration names a trust
// root. Caller owns. NULL: CONFIG, CORRUPT.
rmt_records_t *release_take(call_t *call, rmt_record_t *image, rmt_error_t *error);

// The id of an image of the catalogue, which is image itself when that is an id, and its
// best release by a trust root: counter 0 for one that is not signed and need not be.
// 0, or -1: NOT_ALLOWED when it has no true signature and needs one, what the broker
// said.
int release_find(call_t *call, const char *image, const rmt_root_t *root,
                 char id_out[RMT_ID_TEXT_SIZE], rmt_release_t *release_out,
                 rmt_error_t *error);

// Say (call_say) which release an image of the catalogue is and who signed it, by
// the trust root that the configuration names; nothing without one. 0, or -1: NOT_ALLOWED
// when it has no true signature and needs one, what the broker said, CONFIG.
int release_say(call_t *call, const char *image, rmt_error_t *error);
