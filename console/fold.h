// fold - many names in few words.
#pragma once

#include <stddef.h>
#include "base/rmt_record.h"

// Names with numbers that follow each other as ranges, "n[01-30],web": they can be given
// to --targets again. Sorts the names. At most so many bytes, with "and N more" behind.
// Caller owns the result (free).
char *fold_names(const char **names, size_t count, size_t size);

// Items that are equal in all columns but the field become one, when they are many:
// "30 machines: n[01-30]" in the field. Caller owns the result.
rmt_records_t *fold_items(const rmt_records_t *items, const char *field,
                          const char *const *columns);
