// image_archive - images to pax archives and back (M17).
#pragma once

#include "console/command.h"

// Runners of `image export` and `image import`.
int archive_export(call_t *call, rmt_error_t *error);
int archive_import(call_t *call, rmt_error_t *error);
