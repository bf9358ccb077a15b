// update - a folder with an older tree made into that of an image (M34).
#pragma once

#include "console/call.h"

// The runner of `image checkout --update`: says what would be done, or does it, and shows
// the counts. 0, or -1: REFUSED without --yes, NOT_FOUND for a --keep that matches
// nothing, what fetching and rmt_converge say.
int update_folder(call_t *call, rmt_error_t *error);
