// rmt_driver_index - foreign lists of drivers, checked before a library reads them;
// Private to lib/kernel.
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"

// Walk an index as depmod writes it (modules.*.bin): everything lies inside, every text
// ends, children stand before their parents. 0, or -1: CORRUPT, UNSUPPORTED (version).
int rmt_driver_index_check(const void *data, size_t size, rmt_error_t *error);
